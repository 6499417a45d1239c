"""WebAssembly engines under one protocol: instantiate the kernel module over one linear memory and call kernels."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from tinyinfer.errors import EngineError
from tinyinfer.wasm_backend.kernel_module import TIERS, KernelModule, shared
from tinyinfer.wasm_backend.memory import PAGE

Call = Callable[..., Any]

_PROCESS = os.getpid()


class Engine(Protocol):
    """One instance of the kernel module."""

    name: str
    tiers: ClassVar[tuple[str, ...]]
    """The tiers whose modules it runs, with the bits they are defined to have."""
    memory: NDArray[np.uint8]
    """The linear memory, without a copy."""

    def kernel(self, name: str) -> Call:
        """The exported kernel as a callable of positional numbers; EngineError when it traps."""
        ...


class WasmtimeEngine:
    """Bytecode Alliance's wasmtime: the default."""

    name = "wasmtime"
    tiers: ClassVar[tuple[str, ...]] = ("simd128", "relaxed")
    _modules: ClassVar[dict[bytes, tuple[Any, Any]]] = {}

    def __init__(self, wasm: bytes, memory_bytes: int) -> None:
        wasmtime = _import_wasmtime()
        engine, module = self._compile(wasm)
        store = wasmtime.Store(engine)
        try:
            memory = wasmtime.Memory(store, wasmtime.MemoryType(_limits(memory_bytes)))
        except wasmtime.WasmtimeError as error:
            raise _no_memory(memory_bytes, error) from None
        self.memory = np.ctypeslib.as_array(memory.data_ptr(store), (memory.data_len(store),))
        self._start(store, module, memory)

    @classmethod
    def team(cls, wasm: bytes, memory_bytes: int, threads: int) -> list[WasmtimeEngine]:
        """One engine for each thread, over one shared memory."""
        wasmtime = _import_wasmtime()
        engine, module = cls._compile(shared(wasm))
        try:
            memory = _shared_memory(engine, wasmtime.MemoryType(_limits(memory_bytes), shared=True))
        except wasmtime.WasmtimeError as error:
            raise _no_memory(memory_bytes, error) from None
        view = np.ctypeslib.as_array(memory.data_ptr(), (memory.data_len(),))
        members = [cls.__new__(cls) for _ in range(threads)]
        for member in members:
            member.memory = view
            member._start(wasmtime.Store(engine), module, memory)
        return members

    @classmethod
    def _compile(cls, wasm: bytes) -> tuple[Any, Any]:
        wasmtime = _import_wasmtime()
        if wasm not in cls._modules:
            config = wasmtime.Config()
            config.wasm_relaxed_simd = True
            config.wasm_relaxed_simd_deterministic = True  # relaxed_madd is fused on every machine
            config.wasm_threads = True
            config.shared_memory = True
            # The threads that compile are not there any more in a process that was forked.
            config.parallel_compilation = os.getpid() == _PROCESS
            engine = wasmtime.Engine(config)
            cls._modules[wasm] = engine, wasmtime.Module(engine, wasm)
        return cls._modules[wasm]

    def _start(self, store: Any, module: Any, memory: Any) -> None:
        self._store, self._memory = store, memory
        self._instance = _import_wasmtime().Instance(store, module, [memory])

    def kernel(self, name: str) -> Call:
        wasmtime = _import_wasmtime()
        function = self._instance.exports(self._store)[name]
        store = self._store

        def call(*args: int | float) -> Any:
            try:
                return function(store, *args)
            except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
                raise EngineError(str(error).strip().splitlines()[-1].partition("wasm trap: ")[2] or error) from None

        return call


class WasmerEngine:
    """wasmer 1.1 with Cranelift: the second, independent engine; wheels exist for CPython 3.10 and older only."""

    name = "wasmer"
    tiers: ClassVar[tuple[str, ...]] = ("simd128",)
    _modules: ClassVar[dict[bytes, tuple[Any, Any]]] = {}

    def __init__(self, wasm: bytes, memory_bytes: int) -> None:
        wasmer, cranelift = _import_wasmer()
        if wasm not in self._modules:
            store = wasmer.Store(wasmer.engine.JIT(cranelift.Compiler))
            self._modules[wasm] = store, wasmer.Module(store, wasm)
        store, module = self._modules[wasm]
        pages = memory_bytes // PAGE
        try:
            memory = wasmer.Memory(store, wasmer.MemoryType(pages, pages, shared=False))
        except RuntimeError as error:
            raise _no_memory(memory_bytes, error) from None
        imports = wasmer.ImportObject()
        imports.register("env", {"memory": memory})
        self._instance = wasmer.Instance(module, imports)
        self._memory = memory
        self.memory = np.frombuffer(memory.buffer, dtype=np.uint8)

    def kernel(self, name: str) -> Call:
        function: Call = getattr(self._instance.exports, name)

        def call(*args: int | float) -> Any:
            try:
                return function(*args)
            except RuntimeError as error:
                raise EngineError(str(error).splitlines()[0].removeprefix("RuntimeError: ")) from None

        return call


def _no_memory(memory_bytes: int, error: Exception) -> EngineError:
    size = f"{memory_bytes / 2**20:.1f} MiB"
    return EngineError(f"the engine did not give the {size} of memory that the model needs: {error}")


def _limits(memory_bytes: int) -> Any:
    pages = memory_bytes // PAGE
    return _import_wasmtime().Limits(pages, pages)


def _shared_memory(engine: Any, kind: Any) -> Any:
    """A memory to import. wasmtime 50 passes the address of its handle instead of the handle, a TypeError."""
    wasmtime = _import_wasmtime()
    from wasmtime import _ffi as ffi

    class SharedMemory(wasmtime.SharedMemory):  # type: ignore[name-defined, misc]
        def _as_extern(self) -> Any:
            union = ffi.wasmtime_extern_union(sharedmemory=self.ptr())
            return ffi.wasmtime_extern_t(ffi.WASMTIME_EXTERN_SHAREDMEMORY, union)

    return SharedMemory(engine, kind)


def _import_wasmtime() -> Any:
    try:
        import wasmtime
    except ImportError as error:
        raise EngineError(f'engine "wasmtime" is not available: {error}; install it: pip install wasmtime') from None
    return wasmtime


def _import_wasmer() -> tuple[Any, Any]:
    try:
        import wasmer
        import wasmer_compiler_cranelift
    except ImportError:
        version = ".".join(map(str, sys.version_info[:3]))
        raise EngineError(
            f"engine 'wasmer' is not installed: pip install 'tinyinfer[wasmer]' on CPython 3.10 (this is {version})"
        ) from None
    return wasmer, wasmer_compiler_cranelift


ENGINES: dict[str, type[WasmtimeEngine] | type[WasmerEngine]] = {
    "wasmtime": WasmtimeEngine,
    "wasmer": WasmerEngine,
}


def problem(name: str, tiers: Iterable[str] = ()) -> str | None:
    """Why the engine of this name cannot be used here, or not for one of the tiers; None when it can."""
    try:
        for tier in tiers:
            check_tier(name, tier)
        {"wasmtime": _import_wasmtime, "wasmer": _import_wasmer}[name]()
    except EngineError as error:
        return str(error)
    return None


def check_tier(name: str, tier: str) -> None:
    """Raise EngineError unless the engine of this name exists and runs the tier."""
    if name not in ENGINES:
        raise EngineError(f"unknown engine {name!r}; known: {', '.join(ENGINES)}")
    if tier not in ENGINES[name].tiers:
        able = " or ".join(repr(other) for other, engine in ENGINES.items() if tier in engine.tiers)
        raise EngineError(
            f"engine {name!r} does not run the {tier} tier, only {', '.join(ENGINES[name].tiers)}"
            + (f"; engine {able} does" if able else f"; the tiers are {', '.join(TIERS)}")
        )


def create(name: str, kernels: KernelModule, memory_bytes: int, threads: int = 1) -> Sequence[Engine]:
    """Engines by name over the kernels, one for each thread, and one zeroed memory (bytes: a multiple of 64 KiB)."""
    check_tier(name, kernels.tier)
    if threads == 1:
        return [ENGINES[name](kernels.wasm, memory_bytes)]
    if name != WasmtimeEngine.name or threads < 1:
        able = "from 1 thread on" if name == WasmtimeEngine.name else "one thread"
        raise EngineError(f"engine {name!r} runs {able}, not {threads}")
    return WasmtimeEngine.team(kernels.wasm, memory_bytes, threads)
