"""Small ONNX models for tests, and the independent oracle they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from tinyinfer import frontend, registry
from tinyinfer.graph import Graph
from tinyinfer.ref import interpreter
from tinyinfer.types import Array


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Array | tuple[int, Sequence[Any] | None]],
    outputs: Sequence[str] = ("y",),
    constants: Mapping[str, Array] | None = None,
    opset: int = 13,
) -> onnx.ModelProto:
    """A model of `nodes`. Inputs are given by an example, or as (TensorProto.DataType, dimensions)."""
    infos = []
    for name, value in inputs.items():
        declared = value if isinstance(value, tuple) else (helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        infos.append(helper.make_tensor_value_info(name, *declared))
    graph = helper.make_graph(
        list(nodes),
        "test",
        infos,
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def single(
    op: str,
    inputs: Sequence[Array | None],
    constants: Sequence[int] = (),
    outputs: int = 1,
    opset: int = 13,
    **attrs: Any,
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A model of one node, and its feeds. `inputs` at the positions `constants` become initializers; None is absent."""
    names = ["" if array is None else f"i{k}" for k, array in enumerate(inputs)]
    results = ["y", *(f"y{k}" for k in range(1, outputs))]
    present = {name: array for name, array in zip(names, inputs) if array is not None}
    fixed = {f"i{k}": present[f"i{k}"] for k in constants}
    feeds = {name: array for name, array in present.items() if name not in fixed}
    node = helper.make_node(op, names, results, name="node", **attrs)
    return model([node], feeds, results, fixed, opset), feeds


def run(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of an imported graph by its reference semantics."""
    return interpreter.run(graph, feeds, registry.reference_of)


def imported(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Import with the shapes of `feeds`, then run."""
    return run(frontend.load(proto, {name: array.shape for name, array in feeds.items()}), feeds)


def oracle(proto: onnx.ModelProto, feeds: Mapping[str, Array], new_ops: Sequence[type[OpRun]] = ()) -> dict[str, Array]:
    """ONNX's own evaluator: another implementation of the specification."""
    names = [info.name for info in proto.graph.output]
    with np.errstate(all="ignore"):
        results = ReferenceEvaluator(proto, new_ops=list(new_ops)).run(None, dict(feeds))
    return dict(zip(names, results, strict=True))


def in_double(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with float64 wherever it has float32, for the oracle.

    Products of bytes and their sums are exact in float64 and results lie far closer to the true ones than a quantum,
    so the integers of a quantised model are the same on every processor, whatever its instructions round or saturate.
    """
    double = onnx.ModelProto()
    double.CopyFrom(proto)
    for tensor in double.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            exact = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(exact, tensor.name))
    for info in (*double.graph.input, *double.graph.output, *double.graph.value_info):
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    for attribute in (a for node in double.graph.node if node.op_type == "Cast" for a in node.attribute):
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.DOUBLE
    return double


def assert_close(actual: Mapping[str, Array], expected: Mapping[str, Array], rtol: float, what: str = "") -> None:
    """Same names, shapes and element types; floats within `rtol` of the largest magnitude, everything else equal."""
    assert list(actual) == list(expected)
    for name, want in expected.items():
        got = actual[name]
        assert got.dtype == want.dtype, f"{what} {name}: {got.dtype}, expected {want.dtype}"
        assert got.shape == want.shape, f"{what} {name}: {got.shape}, expected {want.shape}"
        if rtol == 0 or got.dtype != np.float32:
            np.testing.assert_array_equal(got, want, err_msg=f"{what} {name}")
        else:
            finite = np.abs(want[np.isfinite(want)])
            scale = float(finite.max()) if finite.size else 0.0
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * scale, err_msg=f"{what} {name}")
