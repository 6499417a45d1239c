"""The cases of `tests/cases` execute every function of the kernel modules, also those that are not exported.

The modules are assembled here with one more instruction at the beginning of each function, which notes in a global of
its own that the function was entered. Sizes show that nothing else differs from the modules that are shipped.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings

from tests.cases import CASES
from tests.conftest import ENGINES
from tests.differential import Case, feeds_of, graph_of
from tinyinfer import compiler
from tinyinfer.wasm_backend import build, macros, pool, wat
from tinyinfer.wasm_backend.engines import WasmtimeEngine
from tinyinfer.wasm_backend.kernel_module import BUILD, MANIFEST, SOURCES, TIERS, KernelModule, load_kernels
from tinyinfer.wasm_backend.session import PlanRunner
from tinyinfer.wasm_backend.wat import Form

pytestmark = pytest.mark.skipif("wasmtime" not in ENGINES, reason="only wasmtime gives access to an instance's globals")
HEADER = ("export", "param", "result", "local")


def noted(function: Form) -> tuple[Form, Form]:
    """The global that notes whether the function was entered, and the function with the instruction that sets it."""
    at, name = function.at, function.words[1]
    length = sum(part.head in HEADER for part in function.parts)
    one, zero = (Form(("i32.const", value), (), at) for value in "10")
    mutable, export = Form(("mut", "i32"), (), at), Form(("export", f'"entered {name[1:]}"'), (), at)
    entered = Form(("global", f"$entered.{name[1:]}"), (export, mutable, zero), at)
    note = Form(("global.set", entered.words[1]), (one,), at)
    return entered, replace(function, parts=(*function.parts[:length], note, *function.parts[length:]))


def noting_module(tier: str) -> tuple[KernelModule, set[str]]:
    """The module of the tier whose functions note that they were entered, and the names of them all."""
    source = wat.read_module(build.read_sources(SOURCES[0], tier))
    fields = pool.pooled(macros.expand_module(source))
    functions = [field for field in fields if field.head == "func"]
    globals_, functions_ = zip(*map(noted, functions))
    others = [field for field in fields if field.head != "func"]
    wasm = build._to_wasm(wat.print_module([*others, *globals_, *functions_]), build._engine(tier))
    module = replace(load_kernels(tier), wasm=wasm, sha256=hashlib.sha256(wasm).hexdigest())
    return module, {function.words[1][1:] for function in functions}


class Entered:
    """The functions of a noting module that were entered so far."""

    def __init__(self, module: KernelModule, functions: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.module, self.missing = module, set(functions)
        self.instances: list[WasmtimeEngine] = []
        start = WasmtimeEngine._start

        def starting(member: WasmtimeEngine, *arguments: object) -> None:
            start(member, *arguments)
            self.instances.append(member)

        monkeypatch.setattr(WasmtimeEngine, "_start", starting)

    def run(self, case: Case) -> None:
        plan = compiler.lower(graph_of(case))
        PlanRunner(plan, self.module, "wasmtime").run(feeds_of(case))
        for instance in self.instances:
            found = instance._instance.exports(instance._store)
            self.missing -= {name for name in self.missing if found[f"entered {name}"].value(instance._store)}
        self.instances.clear()


@pytest.mark.parametrize("tier", TIERS)
def test_every_function_is_executed(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = Entered(*noting_module(tier), monkeypatch)
    assert entered.missing == set(json.loads((BUILD / MANIFEST).read_text())["tiers"][tier]["code"])

    for kernel in sorted(CASES):

        @settings(phases=[Phase.generate], max_examples=3)
        @given(CASES[kernel])
        def execute(case: Case) -> None:
            entered.run(case)

        execute()
    assert entered.missing == set()
