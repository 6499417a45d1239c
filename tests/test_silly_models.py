"""Small files that ask for much: each is refused or compiled within the seconds and the memory of `tests.confined`."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper

from tests import confined
from tests.onnx_models import model
from tests.test_limits import functions, one
from tinyinfer import compiler, frontend
from tinyinfer.errors import LimitError, ModelError
from tinyinfer.wasm_backend import pack

node = helper.make_node
FLOAT = TensorProto.FLOAT


def growing(op: str, n: int, folds: bool, pads: int = 10**6) -> onnx.ModelProto:
    """One tensor that each node doubles or pads: a constant if it `folds`, else an input."""
    more = {"Concat": None, "Tile": "two", "Pad": "pads"}[op]
    nodes = []
    for i in range(n):
        attrs = {"axis": 0} if op == "Concat" else {}
        nodes.append(node(op, [f"t{i}", more or f"t{i}"], [f"t{i + 1}"], **attrs))
    nodes.append(node("Add", ["x", f"t{n}"], ["y"]))
    constants = {"two": np.array([2]), "pads": np.array([0, pads])}
    inputs: dict[str, Any] = {"x": (FLOAT, [1])}
    if folds:
        constants["t0"] = np.ones(1, np.float32)
    else:
        inputs["t0"] = (FLOAT, [1])
    return model(nodes, inputs, ["y"], constants)


def ranges(limit: Any, delta: Any) -> onnx.ModelProto:
    constants = {"start": limit * 0, "limit": limit, "delta": delta}
    return model([node("Range", list(constants), ["y"], name="n")], {"x": (FLOAT, [1])}, ["y"], constants)


def sized(mode: str, times: float) -> onnx.ModelProto:
    scales = np.array([1, 1, 1, times], np.float32)
    return one("Resize", [1, 1, 1, 1], {"roi": np.zeros(0, np.float32), "s": scales}, mode=mode)


def branches_in_branches(levels: int) -> onnx.ModelProto:
    proto = model([], {"x": (FLOAT, [2])}, ["y0"], {"c": np.array(True)})
    graph = proto.graph
    for i in range(levels):
        made = graph.node.add(op_type="If", input=["c"], output=[f"y{i}"])
        for name in ("else_branch", "then_branch"):
            graph = made.attribute.add(name=name, type=AttributeProto.GRAPH).g
            graph.output.add(name=f"y{i + 1}")
            if name == "else_branch":
                graph.node.add(op_type="Abs", input=["x"], output=[f"y{i + 1}"])
    graph.node.add(op_type="Neg", input=["x"], output=[f"y{levels}"])
    return proto


def shared_weight(n: int, size: int = 4) -> onnx.ModelProto:
    nodes = [node("Conv", [f"x{i}", "w"], [f"x{i + 1}"]) for i in range(n)]
    return model(nodes, {"x0": (FLOAT, [1, size, 1, 1])}, [f"x{n}"], {"w": np.ones((size, size, 1, 1), np.float32)})


def ones(*shape: int) -> dict[str, Any]:
    return {"w": np.ones(shape, np.float32)}


SILLY: dict[str, onnx.ModelProto] = {
    "functions that call the next twice": functions([[f"f{i + 1}"] * 2 for i in range(40)] + [[]]),
    "ten calls in seven levels": functions([[f"f{i + 1}"] * 10 for i in range(7)] + [[]]),
    "functions in a row": functions([[f"f{i + 1}"] for i in range(60)] + [[]]),
    "branches in branches": branches_in_branches(20),
    **{f"{op} ×{n}, {'constant' if folds else 'input'}": growing(op, n, folds)
       for op, n in (("Concat", 30), ("Tile", 30), ("Concat", 20), ("Pad", 200)) for folds in (True, False)},
    **{f"resize {mode} ×{times:g}": sized(mode, times)
       for mode, most in (("nearest", 2e6), ("linear", 1e6), ("cubic", 5e5)) for times in (1e8, most)},
    "transposed with a long stride": one("ConvTranspose", [1, 1, 2], ones(1, 1, 3), strides=[10**8]),
    "transposed with far taps": one("ConvTranspose", [1, 1, 2], ones(1, 1, 3), dilations=[10**8]),
    "a kernel of 10⁸": one("AveragePool", [1, 1, 8], kernel_shape=[10**8], pads=[10**8 - 8] * 2),
    "a kernel of 10⁸ by 10⁸": one("AveragePool", [1, 1, 8, 8], kernel_shape=[10**8] * 2, pads=[10**8 - 8] * 4),
    "pads of 10⁸": one("AveragePool", [1, 1, 8], kernel_shape=[3], pads=[2] * 2, strides=[10**8]),
    "a kernel of 2⁶²": one("MaxPool", [1, 1, 8], kernel_shape=[2**62]),
    "taps 2⁶² apart": one("MaxPool", [1, 1, 8], kernel_shape=[2], dilations=[2**62]),
    "no channels": one("Conv", [1, 0, 8, 8], ones(4000, 0, 3, 3)),
    "a range to 2⁶³-1": ranges(np.array(2**63 - 1), np.array(1)),
    "a range of the smallest steps": ranges(np.float32(3e38), np.float32(1e-38)),
    "one large weight in many nodes": shared_weight(2000, 256),
}  # fmt: skip


def test_silly_models_are_refused_or_compiled_in_seconds() -> None:
    blobs = [proto.SerializeToString() for proto in SILLY.values()]
    assert max(map(len, blobs)) < 1 << 20
    outcomes = dict(zip(SILLY, confined.compile_all(blobs), strict=True))
    assert {name: o for name, o in outcomes.items() if o.kind == "foreign"} == {}
    assert "plan" in {o.kind for o in outcomes.values()}


def test_what_needs_more_than_its_share_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure itself: a file that takes too long is foreign, and so is one that takes too much memory."""
    (late,) = confined.compile_all([shared_weight(300).SerializeToString()], 0.05)
    assert "_OutOfTime" in late.text
    for name in ("BYTES", "WORK"):
        monkeypatch.setenv(f"TINYINFER_MAX_CONSTANT_{name}", str(2**40))
    (fat,) = confined.compile_all([ranges(np.array(2**27), np.array(1)).SerializeToString()])
    assert "MemoryError" in fat.text


@pytest.mark.parametrize("levels", [65, 1000, 5000])
def test_branches_nested_too_deeply(levels: int) -> None:
    """A model in memory has any depth; of a file, protobuf decodes some thirty levels."""
    with pytest.raises(LimitError, match="65 levels of functions or subgraphs inside each other; accepted: 64"):
        frontend.load(branches_in_branches(levels))


@pytest.mark.parametrize("levels", [40, 1000])
def test_branches_nested_deeper_than_protobuf_decodes(levels: int) -> None:
    blob = branches_in_branches(levels).SerializeToString()
    with pytest.raises(ModelError, match="deeper than protobuf decodes"):
        frontend.load(blob)


def test_a_weight_that_nodes_share_is_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def counted(w: Any) -> Any:
        nonlocal count
        count += 1
        return panels(w)

    panels = pack.panels
    monkeypatch.setattr(pack, "panels", counted)
    compiler.lower(frontend.load(shared_weight(5)))
    nodes = [node("MatMul", [f"x{i}", "w"], [f"x{i + 1}"]) for i in range(5)]
    compiler.lower(frontend.load(model(nodes, {"x0": (FLOAT, [2, 4])}, ["x5"], ones(4, 4))))
    assert count == 2
