"""Small files that ask for much are refused or compiled, and messages name the limit that raises it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.onnx_models import model
from tinyinfer import compiler, frontend, limits, registry
from tinyinfer.errors import LimitError, ModelError, TinyInferError
from tinyinfer.types import DType, TensorType
from tinyinfer.wasm_backend.lower.pooling import Axis

node = helper.make_node
FLOAT = TensorProto.FLOAT


def lowered(proto: onnx.ModelProto) -> Any:
    return compiler.lower(frontend.load(proto))


def one(op: str, shape: list[int], constants: dict[str, Any] | None = None, opset: int = 17, **attrs: Any) -> Any:
    inputs = ["x", *(constants or {})]
    return model([node(op, inputs, ["y"], name="n", **attrs)], {"x": (FLOAT, shape)}, ["y"], constants, opset)


def functions(calls: list[list[str]], body: list[onnx.NodeProto] | None = None) -> onnx.ModelProto:
    """Functions f0, f1 … of one operand; each calls those named, one after the other; the graph calls f0."""
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    made = []
    for i, names in enumerate(calls):
        nodes = list(body or [])
        for k, name in enumerate(names):
            nodes.append(node(name, [f"t{k}"], [f"t{k + 1}"], domain="own"))
        nodes.append(node("Neg", [f"t{len(names)}"], ["out"]))
        made.append(helper.make_function("own", f"f{i}", ["t0"], ["out"], nodes, imports))
    graph = model([node("f0", ["x"], ["y"], domain="own")], {"x": (FLOAT, [2])}).graph
    return helper.make_model(graph, functions=made, opset_imports=imports, ir_version=8)


def test_every_limit_is_raised_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in limits.ALL:
        most = limit.value
        limit.check(most)
        with pytest.raises(LimitError, match=f"{limit.variable}"):
            limit.check(most + 1, "m.onnx")
        monkeypatch.setenv(limit.variable, str(most + 1))
        limit.check(most + 1)
        monkeypatch.setenv(limit.variable, "many")
        with pytest.raises(TinyInferError, match="expected a whole number"):
            limit.check(1)
        monkeypatch.delenv(limit.variable)


def test_functions_that_call_the_next_twice() -> None:
    proto = functions([[f"f{i + 1}"] * 2 for i in range(40)] + [[]])
    with pytest.raises(LimitError, match=r"nodes that calls .* accepted: 10,000 .*TINYINFER_MAX_FUNCTION_NODES"):
        frontend.load(proto)


def test_functions_that_call_each_other_in_a_long_row() -> None:
    with pytest.raises(LimitError, match="levels of functions"):
        frontend.load(functions([[f"f{i + 1}"] for i in range(5000)] + [[]]))


@pytest.mark.parametrize("calls", [[["f0"]], [["f1"], ["f2"], ["f0"]]])
def test_functions_that_call_themselves(calls: list[list[str]]) -> None:
    with pytest.raises(ModelError, match="calls itself"):
        frontend.load(functions(calls))


def test_functions_with_a_large_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYINFER_MAX_FUNCTION_BYTES", "10000")
    large = node("Constant", [], ["c"], value=helper.make_tensor("", FLOAT, [1000], np.ones(1000)))
    frontend.load(functions([["f1"], []], [large]))
    with pytest.raises(LimitError, match="bytes of nodes"):
        frontend.load(functions([["f1"] * 2, []], [large]))


@pytest.mark.parametrize("op", ["Concat", "Tile", "Pad"])
def test_constants_that_grow(op: str) -> None:
    """What would fold beyond the limit is left to a run, until no memory holds it."""
    nodes, n = [], 40
    for i in range(n):
        operands = {"Concat": [f"t{i}", f"t{i}"], "Tile": [f"t{i}", "two"], "Pad": [f"t{i}", "pads"]}[op]
        nodes.append(node(op, operands, [f"t{i + 1}"], **({"axis": 0} if op == "Concat" else {})))
    nodes.append(node("Add", ["x", f"t{n}"], ["y"]))
    constants = {"t0": np.ones(1000, np.float32), "two": np.array([2]), "pads": np.array([0, 10**8])}
    with pytest.raises(ModelError, match="4 GiB"):
        lowered(model(nodes, {"x": (FLOAT, [1])}, ["y"], constants))


def test_many_constants_fold_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYINFER_MAX_CONSTANT_BYTES", "40000")
    nodes = [node("Expand", ["one", "shape"], [f"t{i}"]) for i in range(20)]
    constants = {"one": np.ones(1, np.float32), "shape": np.array([1000])}
    graph = frontend.load(model(nodes, {"x": (FLOAT, [1])}, [f"t{i}" for i in range(20)], constants))
    assert sum(value.is_constant for value in graph.outputs.values()) == 10


def test_work_of_folding_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYINFER_MAX_CONSTANT_WORK", "1000")
    constants = {"a": np.ones((20, 20), np.float32), "b": np.ones((20, 20), np.float32)}
    graph = frontend.load(model([node("MatMul", ["a", "b"], ["y"])], {"x": (FLOAT, [1])}, ["y"], constants))
    assert [n.op for n in graph.nodes] == ["MatMul"]


@pytest.mark.parametrize("limit", [2**63 - 1, 2**40, 10**9])
def test_long_ranges(limit: int) -> None:
    constants = {"start": np.array(-1), "limit": np.array(limit), "delta": np.array(1)}
    proto = model([node("Range", list(constants), ["y"], name="n")], {"x": (FLOAT, [1])}, ["y"], constants)
    with pytest.raises(LimitError, match=r"node n \(Range\): .* bytes of constants.*TINYINFER_MAX_CONSTANT_BYTES"):
        frontend.load(proto)


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (one("Resize", [1, 1, 1, 1], {"roi": np.zeros(0, np.float32), "s": np.array([1, 1, 1, 1e8], np.float32)}),
         "elements of tables"),
        (one("Resize", [1, 1, 1, 4], {"roi": np.zeros(0, np.float32), "s": np.array([1, 1, 1, 3e38], np.float32)}),
         "accepted: less than 4 GiB"),
        (one("ConvTranspose", [1, 1, 2], {"w": np.ones((1, 1, 3), np.float32)}, strides=[10**8]), "kernel calls"),
        (one("Conv", [1, 40_000, 2], {"w": np.ones((80_000, 1, 1), np.float32)}, group=40_000), "kernel calls"),
        (one("MaxPool", [1, 1, 8], kernel_shape=[2**62], pads=[2**62, 2**62]), "must be ≤ 2147483647"),
        (one("AveragePool", [1, 1, 8], kernel_shape=[2], strides=[2**40]), "must be ≤ 2147483647"),
        (one("Conv", [1, 1, 8], {"w": np.ones((1, 1, 1), np.float32)}, pads=[2**40, 0]), "must be ≤ 2147483647"),
        (one("Pad", [2], {"pads": np.array([0, 10**7])}, mode="reflect"), "elements of tables"),
    ],
    ids=["resize", "infinite", "stride", "groups", "kernel", "pool stride", "pads", "reflect"],
)  # fmt: skip
def test_operators_that_ask_for_much(proto: onnx.ModelProto, message: str) -> None:
    with pytest.raises(ModelError, match=rf"node n \(\w+\): .*{message}"):
        lowered(proto)


def test_a_large_window_is_a_small_table() -> None:
    proto = one("AveragePool", [1, 1, 8], kernel_shape=[10**8], pads=[10**8 - 8, 4])
    assert lowered(proto).memory_bytes < 1 << 20


def test_a_plan_larger_than_a_memory_says_what_needs_how_much() -> None:
    b = registry.builder("net")
    x = b.input("x", TensorType(DType.FLOAT, (1 << 29,)))
    b.output("y", b.add1("Neg", b.add1("Abs", x, name="a", output="a"), name="b", output="b"))
    b.output("z", b.add1("Exp", x, name="c", output="c"))
    with pytest.raises(LimitError, match=r"net: a run needs .* GiB .*'x' 2.00 GiB.*at most 4 GiB.*--shape"):
        compiler.lower(b.build())


@given(
    st.builds(
        Axis,
        length=st.integers(1, 9), out=st.integers(1, 8), kernel=st.integers(1, 6), stride=st.integers(1, 5),
        dilation=st.integers(1, 4), begin=st.integers(0, 7), counted=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    )
)  # fmt: skip
def test_tables_of_pooling_list_the_taps(axis: Axis) -> None:
    before, after = axis.counted
    for number, row in enumerate(axis.table(4).tolist()):
        start = number * axis.stride - axis.begin
        places = range(start, start + axis.kernel * axis.dilation, axis.dilation)
        inside = [p for p in places if 0 <= p < axis.length]
        counted = [p for p in places if -before <= p < axis.length + after]
        assert row == [inside[0] * 4 if inside else 0, len(inside), len(counted)]
