"""Every operator of ONNX with every element type that ONNX allows it: it compiles, or an error names the node."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnx.defs
import pytest
from onnx import TensorProto, helper, numpy_helper

from tinyinfer import compiler, frontend, passes
from tinyinfer.errors import ModelError, UnsupportedError
from tinyinfer.frontend.converters import CONVERTERS
from tinyinfer.types import DType

KNOWN = re.compile(r"is '([^']*)', which is only known at run time")


def templates() -> dict[str, Any]:
    """One of ONNX's own node tests for each operator: the one with the fewest elements, and the most inputs."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = collect_testcases(None)
    best: dict[tuple[str, int], Any] = {}
    for case in every:
        if case.model is None or not case.data_sets or len(case.model.graph.node) != 1:
            continue
        given = case.data_sets[0][0]
        node = case.model.graph.node[0]
        numeric = all(isinstance(a, (np.ndarray, np.generic)) and np.asarray(a).dtype.kind in "fiub" for a in given)
        if node.domain == "" and numeric and case.model.opset_import[0].version >= 7:
            key = (node.op_type, len(given))
            size = sum(np.size(a) for a in given)
            if key not in best or size < sum(np.size(a) for a in best[key].data_sets[0][0]):
                best[key] = case
    return {f"{op}-{count}": case for (op, count), case in sorted(best.items())}


TEMPLATES = templates()


def typed(case: Any, dtype: DType) -> Iterator[onnx.ModelProto]:
    """The case with every input whose type ONNX leaves open, and that may be `dtype`, as that; one variable a time."""
    node, opset = case.model.graph.node[0], case.model.opset_import[0].version
    schema = onnx.defs.get_schema(node.op_type, opset, "")
    wanted = f"tensor({'float' if dtype is DType.FLOAT else dtype.value})"
    for variable in sorted({formal.type_str for formal in schema.inputs if wanted in formal.types}):
        proto = onnx.ModelProto()
        proto.CopyFrom(case.model)
        proto.graph.node[0].name = "the/node"
        arrays = dict(zip((i.name for i in case.model.graph.input), map(np.asarray, case.data_sets[0][0])))
        for index, name in enumerate(node.input):
            if name and schema.inputs[min(index, len(schema.inputs) - 1)].type_str == variable:
                with np.errstate(all="ignore"):
                    arrays[name] = arrays[name].astype(dtype.numpy)
        for info in proto.graph.input:
            info.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(arrays[info.name].dtype)
        for info in proto.graph.output:
            info.type.Clear()
            info.type.tensor_type.elem_type = TensorProto.UNDEFINED
        yield proto
        for name, array in arrays.items():  # once more with all but the first operand known
            if name != node.input[0]:
                proto.graph.initializer.append(numpy_helper.from_array(array, name))
        yield proto


def compile_known(proto: onnx.ModelProto) -> None:
    """Compile; ModelError passes through if it names the node or its input."""
    graph = frontend.load(proto)
    compiler.lower(graph)
    compiler.lower(passes.run(graph))


@pytest.mark.parametrize("dtype", DType, ids=lambda t: t.value)
def test_every_operator_compiles_or_says_which_node_does_not(dtype: DType) -> None:
    compiled, foreign = set(), []
    for name, case in TEMPLATES.items():
        for proto in typed(case, dtype):
            try:
                compile_known(proto)
                compiled.add(case.model.graph.node[0].op_type)
            except ModelError as error:
                op = case.model.graph.node[0].op_type
                located = f"node the/node ({op})" in str(error) or "for example node the/node" in str(error)
                if not located and not re.search(r"input '\w+' has element type", str(error)):
                    foreign.append(f"{name}: {error}")
                if op not in CONVERTERS and not isinstance(error, UnsupportedError):
                    foreign.append(f"{name}: {type(error).__name__} instead of UnsupportedError")
            except Exception as error:
                foreign.append(f"{name}: {type(error).__name__}: {error}")
    assert not foreign, "\n".join(foreign)
    assert {"Identity", "Reshape"} <= compiled
