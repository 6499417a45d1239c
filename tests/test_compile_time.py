"""The work of compiling grows as the graph does: counted in lines of Python that are executed, not in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.differential import assert_same_bits
from tests.onnx_models import model
from tinyinfer import compiler, frontend, passes, registry
from tinyinfer.ref import interpreter
from tinyinfer.session import InferenceSession
from tinyinfer.wasm_backend import bound, memory, placement

Nodes = list[onnx.NodeProto]
X = np.arange(4, dtype=np.float32)


def _model(nodes: Nodes, outputs: list[str], inputs: dict[str, Any] | None = None, **constants: Any) -> bytes:
    given = inputs or {"x0": (TensorProto.FLOAT, [4])}
    return model(nodes, given, outputs, constants).SerializeToString()


def _factors(n: int) -> dict[str, Any]:
    return {f"k{i}": np.array([i], np.float32) for i in range(n)}


def chain(n: int) -> bytes:
    ops = ["Sigmoid", "Neg", "Abs", "Relu", "Tanh"]
    return _model([helper.make_node(ops[i % 5], [f"x{i}"], [f"x{i + 1}"]) for i in range(n)], [f"x{n}"])


def one_value_read_often(n: int) -> bytes:
    nodes = [helper.make_node("Mul", ["x0", f"k{i}"], [f"y{i}"]) for i in range(n)]
    nodes.append(helper.make_node("Concat", [f"y{i}" for i in range(n)], ["y"], axis=0))
    return _model(nodes, ["y"], **_factors(n))


def many_outputs(n: int) -> bytes:
    nodes = [helper.make_node("Mul", ["x0", f"k{i}"], [f"y{i}"]) for i in range(n)]
    return _model(nodes, [f"y{i}" for i in range(n)], **_factors(n))


def many_inputs(n: int) -> bytes:
    inputs = {f"x{i}": (TensorProto.FLOAT, [4]) for i in range(n)}
    return _model([helper.make_node("Concat", list(inputs), ["y"], axis=0)], ["y"], inputs)


def a_tree(n: int) -> bytes:
    nodes = [helper.make_node("Mul", ["x0", f"k{i}"], [f"y{i}"]) for i in range(n)]
    level = [f"y{i}" for i in range(n)]
    while len(level) > 1:
        pairs = list(zip(level[::2], level[1::2], strict=True))
        nodes += [helper.make_node("Add", pair, ["+".join(pair)]) for pair in pairs]
        level = ["+".join(pair) for pair in pairs]
    return _model(nodes, level, **_factors(n))


def values_kept_for_later(n: int) -> bytes:
    nodes = [helper.make_node("Mul", ["x0", f"k{i}"], [f"y{i}"]) for i in range(n)]
    sums = ["x0", *(f"s{i}" for i in range(n))]
    nodes += [helper.make_node("Add", [sums[i], f"y{n - 1 - i}"], [sums[i + 1]]) for i in range(n)]
    return _model(nodes, sums[-1:], **_factors(n))


def many_parts(n: int) -> bytes:
    names = [f"p{i}" for i in range(n)]
    nodes = [helper.make_node("Split", ["x", "s"], names, axis=0)]
    nodes.append(helper.make_node("Concat", names[::-1], ["y"], axis=0))
    return _model(nodes, ["y"], {"x": (TensorProto.FLOAT, [n])}, s=np.ones(n, np.int64))


def nodes_of_one_name(n: int) -> bytes:
    nodes = [helper.make_node("Sum", [f"x{i}", f"x{i}", "x0"], [f"x{i + 1}"], name="sum") for i in range(n)]
    return _model(nodes, [f"x{n}"])


def constants_that_fold(n: int) -> bytes:
    nodes = [helper.make_node("Add", [f"c{i}", "c0"], [f"c{i + 1}"]) for i in range(n)]
    return _model([*nodes, helper.make_node("Add", ["x0", f"c{n}"], ["y"])], ["y"], c0=X)


def embeddings(n: int) -> bytes:
    nodes = [helper.make_node("Gather", [f"t{i}", "i"], [f"g{i}"], axis=0) for i in range(n)]
    nodes += [helper.make_node("MatMul", ["x", f"m{i}"], [f"y{i}"]) for i in range(n)]
    tables = {f"t{i}": np.full((3, 4), i, np.float32) for i in range(n)}
    matrices = {f"m{i}": np.full((4, 3), n + i, np.float32) for i in range(n)}
    inputs = {"x": (TensorProto.FLOAT, [2, 4]), "i": (TensorProto.INT64, [2])}
    return _model(nodes, [f"{c}{i}" for c in "gy" for i in range(n)], inputs, **tables, **matrices)


def bytes_between_floats(n: int) -> bytes:
    nodes: Nodes = []
    for i in range(n):
        nodes.append(helper.make_node("QuantizeLinear", [f"x{i}", "s", "z"], [f"q{i}"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"q{i}", "s", "z"], [f"d{i}"]))
        nodes.append(helper.make_node(["Sigmoid", "Relu"][i % 2], [f"d{i}"], [f"x{i + 1}"]))
    return _model(nodes, [f"x{n}"], s=np.float32(0.1), z=np.uint8(3))


def branches(n: int) -> bytes:
    def branch(op: str, i: int) -> onnx.GraphProto:
        out = helper.make_tensor_value_info(f"{op}{i}", TensorProto.FLOAT, [4])
        return helper.make_graph([helper.make_node(op, [f"x{i}"], [f"{op}{i}"])], op, [], [out])

    nodes = [
        helper.make_node("If", ["c"], [f"x{i + 1}"], then_branch=branch("Neg", i), else_branch=branch("Abs", i))
        for i in range(n)
    ]
    return _model(nodes, [f"x{n}"], c=np.array(True))


def growing_concatenations(n: int) -> bytes:
    nodes = [helper.make_node("Concat", [f"x{i}", "x0"], [f"x{i + 1}"], axis=0) for i in range(n)]
    return _model(nodes, [f"x{n}"])


def a_chain_into_a_concatenation(n: int) -> bytes:
    nodes = [helper.make_node("Neg" if i % 2 else "Sigmoid", [f"x{i}"], [f"x{i + 1}"]) for i in range(n)]
    return _model([*nodes, helper.make_node("Concat", [f"x{n}", "x0"], ["y"], axis=0)], ["y"])


def views_into_a_concatenation(n: int) -> bytes:
    nodes = [helper.make_node("Transpose", [f"x{i}"], [f"x{i + 1}"], perm=[1, 0]) for i in range(n)]
    nodes = [helper.make_node("Sigmoid", ["x"], ["x0"]), *nodes]
    nodes.append(helper.make_node("Concat", [f"x{n}", "x0"], ["y"], axis=0))
    return _model(nodes, ["y"], {"x": (TensorProto.FLOAT, [4, 4])})


def one_operand_many_times(n: int) -> bytes:
    nodes = [helper.make_node("Concat", ["x0"] * 2, ["pair"], axis=0)]
    nodes += [helper.make_node("Sigmoid", ["pair"], ["s"]), helper.make_node("Concat", ["x0"] * n, ["y"], axis=0)]
    return _model(nodes, ["s", "y"])


LINEAR = [
    chain, one_value_read_often, many_outputs, many_inputs, a_tree, values_kept_for_later, many_parts,
    nodes_of_one_name, constants_that_fold, embeddings, bytes_between_floats, branches, a_chain_into_a_concatenation,
]  # fmt: skip


def lines_executed(work: Callable[[], object]) -> int:
    """Lines of the package that `work` executes, each turn of a loop counted."""
    count = 0

    def local(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return local

    def enter(frame: FrameType, event: str, argument: object) -> Any:
        return local if "tinyinfer" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def compiled(blob: bytes, optimize: bool = True) -> compiler.CompiledModel:
    graph = frontend.load(blob)
    optimized = passes.run(graph) if optimize else graph
    plan = compiler.lower(optimized)
    file = compiler.tinf.ModelFile("test", (plan,), compiler.hashes(), {})
    made = compiler.CompiledModel((graph,), (optimized,), file)
    made.to_bytes()
    return made


@pytest.mark.parametrize("make", LINEAR, ids=lambda make: make.__name__)
def test_four_times_the_graph_is_four_times_the_work(make: Callable[[int], bytes], monkeypatch: Any) -> None:
    """Were all of it quadratic, it would be sixteen times. The search of the memory planner looks at pairs: it is out
    of this, as it is for large graphs."""
    monkeypatch.setattr(memory, "MOST_PAIRS_AT_ONCE", 0)
    compiled(make(4))  # what is cached is cached
    small, large = make(32), make(128)
    assert lines_executed(lambda: compiled(large)) <= 4.6 * lines_executed(lambda: compiled(small))


@pytest.mark.parametrize("optimize", [True, False], ids=["optimized", "as it is"])
@pytest.mark.parametrize(
    "make",
    [growing_concatenations, a_chain_into_a_concatenation, views_into_a_concatenation, one_operand_many_times],
    ids=lambda make: make.__name__,
)
def test_depth_is_no_recursion(make: Callable[[int], bytes], optimize: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr(placement, "MOST_VISITS", 5_000)
    monkeypatch.setattr(bound, "MOST_PARTS", 5_000)
    monkeypatch.setattr(memory, "MOST_PAIRS_AT_ONCE", 0)
    compiled(make(1100), optimize)


@pytest.mark.parametrize(
    ("module", "limit"),
    [(placement, "MOST_VISITS"), (placement, "MOST_LINKS"), (memory, "MOST_PAIRS_AT_ONCE"), (bound, "MOST_PARTS")],
)
def test_what_is_left_out_of_a_search_changes_no_result(module: Any, limit: str, monkeypatch: Any) -> None:
    """Limits cost memory or a tighter bound, nothing else."""
    whole = compiled(growing_concatenations(6))
    monkeypatch.setattr(module, limit, 0)
    made = compiled(growing_concatenations(6))
    assert made.plan.live_bytes <= whole.plan.live_bytes
    assert made.plan.arena_bytes >= whole.plan.arena_bytes
    expected = interpreter.run(made.imported[0], {"x0": X}, registry.reference_of)
    for name, array in InferenceSession(made).run({"x0": X}).items():
        assert_same_bits(array, expected[name], name)
