"""WebAssembly engines under one protocol: instantiate the kernel module over one linear memory and call kernels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from tinyinfer.errors import EngineError
from tinyinfer.wasm_backend.kernel_module import TIERS, KernelModule
from tinyinfer.wasm_backend.memory import PAGE

Call = Callable[..., Any]


class Engine(Protocol):
    """One instance of the kernel module."""

    name: str
    tiers: ClassVar[tuple[str, ...]]
    """The tiers whose modules it runs, with the bits they are defined to have."""
    memory: NDArray[np.uint8]
    """The linear memory, without a copy."""

    def kernel(self, name: str) -> Call:
        """The exported kernel as a callable of positional numbers."""
        ...


class WasmtimeEngine:
    """Bytecode Alliance's wasmtime: the default."""

    name = "wasmtime"
    tiers: ClassVar[tuple[str, ...]] = ("simd128", "relaxed")
    _modules: ClassVar[dict[bytes, tuple[Any, Any]]] = {}

    def __init__(self, wasm: bytes, memory_bytes: int) -> None:
        wasmtime = _import_wasmtime()

        if wasm not in self._modules:
            config = wasmtime.Config()
            config.wasm_relaxed_simd = True
            config.wasm_relaxed_simd_deterministic = True  # relaxed_madd is fused on every machine
            engine = wasmtime.Engine(config)
            self._modules[wasm] = engine, wasmtime.Module(engine, wasm)
        engine, module = self._modules[wasm]
        self._store = wasmtime.Store(engine)
        limits = wasmtime.Limits(memory_bytes // PAGE, None)
        shared = wasmtime.Memory(self._store, wasmtime.MemoryType(limits))
        self._instance = wasmtime.Instance(self._store, module, [shared])
        self.memory = np.ctypeslib.as_array(shared.data_ptr(self._store), (shared.data_len(self._store),))

    def kernel(self, name: str) -> Call:
        function = self._instance.exports(self._store)[name]
        store = self._store

        def call(*args: int | float) -> Any:
            return function(store, *args)

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
        memory = wasmer.Memory(store, wasmer.MemoryType(pages, shared=False))
        imports = wasmer.ImportObject()
        imports.register("env", {"memory": memory})
        self._instance = wasmer.Instance(module, imports)
        self._memory = memory
        self.memory = np.frombuffer(memory.buffer, dtype=np.uint8)

    def kernel(self, name: str) -> Call:
        call: Call = getattr(self._instance.exports, name)
        return call


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
    except ImportError as error:
        version = ".".join(map(str, sys.version_info[:3]))
        raise EngineError(
            f'engine "wasmer" is not available on Python {version}: {error}. wasmer 1.1 (2022, its last release) has '
            "wheels for CPython 3.10 and older. Use engine='wasmtime' (default), or in a CPython 3.10 "
            "environment: pip install 'tinyinfer[wasmer]'"
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
        raise EngineError(f"unknown engine {name!r}; available: {', '.join(ENGINES)}")
    if tier not in ENGINES[name].tiers:
        able = " or ".join(repr(other) for other, engine in ENGINES.items() if tier in engine.tiers)
        raise EngineError(
            f"engine {name!r} does not run the {tier} tier, only {', '.join(ENGINES[name].tiers)}"
            + (f"; engine {able} does" if able else f"; the tiers are {', '.join(TIERS)}")
        )


def create(name: str, kernels: KernelModule, memory_bytes: int) -> Engine:
    """An engine by name over the kernels, with `memory_bytes` (a multiple of 64 KiB) of zeroed linear memory."""
    check_tier(name, kernels.tier)
    return ENGINES[name](kernels.wasm, memory_bytes)
