"""What kernels demand of their arguments is declared once for people and once for `Lowering.step`, which checks it."""

from __future__ import annotations

import re

import pytest

from tinyinfer import registry
from tinyinfer.errors import PlanError
from tinyinfer.graph import Node
from tinyinfer.types import DType, TensorType
from tinyinfer.wasm_backend import demands
from tinyinfer.wasm_backend.kernel_module import find_sources, load_kernels
from tinyinfer.wasm_backend.kernels import KERNELS
from tinyinfer.wasm_backend.lowering import Lowering


def headers(source: str) -> set[str]:
    """The conditions under `Requires` in a kernel's source and in the libraries whose macros it calls."""
    folder = find_sources()
    assert folder is not None
    text = (folder / source).read_text(encoding="utf-8")
    called = set(re.findall(r"\$\w+!", text))
    libraries = [
        library
        for library in (path.read_text(encoding="utf-8") for path in folder.glob("lib_*.wat"))
        if called & set(re.findall(r"\(func (\$\w+!)", library))
    ]
    lines = re.findall(r"^ *;; Requires  (.*(?:\n *;;           .*)*)", "\n".join([text, *libraries]), re.MULTILINE)
    stated = (re.sub(r"\s*;;\s*", " ", line).split(" · ") for line in lines)
    return {condition.strip() for line in stated for condition in line}


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_header_and_row_demand_the_same(name: str) -> None:
    kernel, parameters = KERNELS[name], {p.name for p in load_kernels().signature(name)}
    parsed = {text: demands.parse(text) for text in headers(kernel.source)}
    stated = {text for text, demand in parsed.items() if demand is not None and demand.names <= parameters}
    assert stated == set(kernel.demands)


@pytest.mark.parametrize(
    ("text", "met", "missed"),
    [
        ("ns > 0", {"ns": 1}, {"ns": -4}),
        ("k ≥ 1", {"k": 1}, {"k": 0}),
        ("ks = 4 or ns = 4", {"ks": 8, "ns": 4}, {"ks": 8, "ns": 8}),
        ("a3 = size or a3 = 0", {"a3": 8}, {"a3": 4}),
        ("ldy = 4 where inner = 1", {"ldy": 8, "inner": 2}, {"ldy": 8, "inner": 1}),
    ],
)
def test_conditions(text: str, met: dict[str, int], missed: dict[str, int]) -> None:
    assert demands.unmet((text,), met, 8) is None
    assert demands.unmet((text,), missed, 8) == f"{text}, but {', '.join(f'{n} = {missed[n]}' for n in sorted(missed))}"


def test_prose_is_no_condition() -> None:
    assert demands.parse("y and x do not overlap") is None
    assert demands.parse("ns > 0 where it matters") is None


def test_a_step_that_does_not_meet_them_is_refused() -> None:
    builder = registry.builder("case")
    x = builder.input("x", TensorType(DType.FLOAT, (2, 3)))
    builder.output("y", builder.add1("Neg", x))
    graph = builder.build()
    to = Lowering(graph, {}, load_kernels().signatures, registry.SEMANTICS)

    def wrong(node: Node, to: Lowering) -> None:
        pointer = to.input(x)
        to.step("f32_pack", w=pointer, b=pointer, k=2, n=3, ks=12, ns=-4, bs=0, m0=0, m1=1)

    with pytest.raises(PlanError, match="Neg: f32_pack requires ns > 0, but ns = -4"):
        to.lower(lambda _: wrong)
