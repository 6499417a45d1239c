"""TF.js graph models from our optimized graphs: its best case, with what it can fuse fused, channels-last throughout.

A value's storage order is tracked instead of transposing at once: a Transpose only relabels axes, and bytes are moved
where an operator insists on an order. Convolutions take bias and activation in; everything else is TensorFlow's own
spelling of the operator.
"""

from __future__ import annotations

import base64
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyinfer.errors import UnsupportedError
from tinyinfer.graph import Graph, Node, Value
from tinyinfer.types import Array, Clamp, DType
from tinyinfer.wasm_backend.strides import Layout, channels_last, plain

BINARY = {
    "Add": "AddV2", "Sub": "Sub", "Mul": "Mul", "Div": "RealDiv", "Min": "Minimum", "Max": "Maximum", "Pow": "Pow",
}  # fmt: skip
UNARY = {name: name for name in ("Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Erf", "Neg", "Abs", "Reciprocal")}


def write(graph: Graph, feeds: Mapping[str, Array], folder: Path) -> None:
    """Write `model.json`, `weights.bin` and the feeds as the model wants them; UnsupportedError names an operator."""
    writer = _Writer(graph)
    writer.convert()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "feeds").mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps(writer.document()))
    with (folder / "weights.bin").open("wb") as file:
        for array in writer.weights.values():
            file.write(array.tobytes())
    described = {}
    for name, value in graph.inputs.items():
        array = _narrow(feeds[name].transpose(writer.stored[value][1]))
        array.tofile(folder / "feeds" / f"{name}.bin")
        described[name] = [array.dtype.name, list(array.shape)]
    (folder / "feeds.json").write_text(json.dumps(described))


def _narrow(array: Array) -> Array:
    """TF.js has no 64-bit integers."""
    return np.ascontiguousarray(array.astype(np.int32) if array.dtype == np.int64 else array)


def _text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def _texts(values: Sequence[str]) -> dict[str, Any]:
    return {"list": {"s": [base64.b64encode(value.encode()).decode() for value in values]}}


def _ints(values: Sequence[int]) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


FLOAT, INT = {"type": "DT_FLOAT"}, {"type": "DT_INT32"}


class _Writer:
    """Collects TensorFlow nodes; `stored` maps a value to its tensor and the storage order of its axes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[dict[str, Any]] = []
        self.weights: dict[str, Array] = {}
        self.stored: dict[Value, tuple[str, Layout]] = {}
        self._copies: dict[tuple[Value, Layout], str] = {}
        self._signature: dict[str, dict[str, Any]] = {"inputs": {}, "outputs": {}}

    # ── the document ─────────────────────────────────────────────────────────────────────────────────────────────

    def convert(self) -> None:
        filtered = {node.operands[0] for node in self.graph.nodes if node.op == "Conv"}
        for name, value in self.graph.inputs.items():
            layout = channels_last(value.type.rank) if value in filtered else plain(value.type.rank)
            shape = {"dim": [{"size": str(value.shape[axis])} for axis in layout]}
            dtype = FLOAT if value.dtype is DType.FLOAT else INT
            tensor = self.emit("Placeholder", [], dtype=dtype, shape={"shape": shape})
            self.stored[value] = (tensor, layout)
            self._signature["inputs"][name] = {"name": f"{tensor}:0", "dtype": dtype["type"], "tensorShape": shape}
        for node in self.graph.nodes:
            if node.op not in CONVERTERS:
                raise UnsupportedError(f"the conversion to TF.js does not know {node.op} (node {node.name})")
            CONVERTERS[node.op](self, node)
        for name, value in self.graph.outputs.items():
            self._signature["outputs"][name] = {"name": self.want(value)}

    def document(self) -> dict[str, Any]:
        """The content of `model.json`."""
        manifest = [
            {"name": name, "shape": list(array.shape), "dtype": array.dtype.name}
            for name, array in self.weights.items()
        ]
        return {
            "format": "graph-model",
            "signature": self._signature,
            "modelTopology": {"node": self.nodes, "library": {}, "versions": {}},
            "weightsManifest": [{"paths": ["weights.bin"], "weights": manifest}],
        }

    # ── what converters use ──────────────────────────────────────────────────────────────────────────────────────

    def emit(self, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append({"name": name, "op": op, "input": list(inputs), "attr": attrs})
        return name

    def const(self, array: Array) -> str:
        data = _narrow(array)
        name = self.emit("Const", [], dtype=FLOAT if data.dtype == np.float32 else INT)
        self.weights[name] = data
        return name

    def ints(self, values: Sequence[int]) -> str:
        return self.const(np.array(values, np.int32))

    def layout(self, value: Value) -> Layout:
        return self.stored[value][1] if value in self.stored else plain(value.type.rank)

    def want(self, value: Value, layout: Layout | None = None) -> str:
        """The tensor of `value` in `layout` (default: row-major), moved there if it is stored otherwise."""
        wanted = plain(value.type.rank) if layout is None else layout
        key = (value, wanted)
        if key not in self._copies:
            if value.data is not None:
                self._copies[key] = self.const(value.data.transpose(wanted))
            else:
                tensor, current = self.stored[value]
                self._copies[key] = self.transpose(tensor, [current.index(axis) for axis in wanted])
        return self._copies[key]

    def transpose(self, tensor: str, perm: Sequence[int]) -> str:
        return tensor if list(perm) == sorted(perm) else self.emit("Transpose", [tensor, self.ints(perm)], T=FLOAT)

    def aligned(self, value: Value, rank: int, layout: Layout) -> str:
        """`want` for an operand that broadcasts to `rank` axes stored in `layout`."""
        missing = rank - value.type.rank
        if missing == 0:
            return self.want(value, layout)
        shape = (1,) * missing + value.shape
        if value.data is not None:
            return self.const(value.data.reshape(shape).transpose(layout))
        return self.transpose(self.reshape(self.want(value), shape), layout)

    def reshape(self, tensor: str, shape: Sequence[int]) -> str:
        return self.emit("Reshape", [tensor, self.ints(shape)], T=FLOAT)

    def done(self, node: Node, tensor: str, layout: Layout | None = None) -> None:
        self.stored[node.output] = (tensor, plain(node.output.type.rank) if layout is None else layout)

    def clamp(self, tensor: str, clamp: Clamp) -> str:
        if clamp.is_open:
            return tensor
        if (name := _activation(clamp)) is not None:
            return self.emit(name, [tensor], T=FLOAT)
        bounds = [self.const(np.array(bound, np.float32)) for bound in (clamp.lo, clamp.hi)]
        return self.emit("ClipByValue", [tensor, *bounds], T=FLOAT)


def _activation(clamp: Clamp) -> str | None:
    """The activation that TensorFlow has for these bounds."""
    return {(0.0, math.inf): "Relu", (0.0, 6.0): "Relu6"}.get((clamp.lo, clamp.hi))


# ── one function for each operator ───────────────────────────────────────────────────────────────────────────────


def _conv(to: _Writer, node: Node) -> None:
    x, w, bias, residual = (*node.inputs, None, None)[:4]
    assert x is not None
    assert w is not None
    assert w.data is not None
    if x.type.rank != 4:
        raise UnsupportedError(f"the conversion to TF.js knows 2-D convolutions only (node {node.name})")
    depthwise = node.attrs["group"] == x.shape[1] and w.shape[0] == x.shape[1] and x.shape[1] > 1
    if node.attrs["group"] != 1 and not depthwise:
        raise UnsupportedError(f"TF.js has no grouped convolution (node {node.name})")
    nhwc = channels_last(4)
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    fused = residual is None and (clamp.is_open or _activation(clamp) is not None)
    activation = _activation(clamp) if fused else None
    start = np.zeros(w.shape[0], np.float32) if bias is None else bias.data
    assert start is not None
    pads, source = node.attrs["pads"], to.want(x, nhwc)
    padding: dict[str, Any] = {"padding": _text("SAME")}
    if not any(pads):
        padding = {"padding": _text("VALID")}
    elif not _is_same(node, w.shape[2:], x.shape[2:]):
        if depthwise:
            source, padding = to.emit("Pad", [source, to.const(_pad_table(pads))], T=FLOAT), {"padding": _text("VALID")}
        else:
            explicit = [int(n) for n in _pad_table(pads).reshape(-1)]
            padding = {"padding": _text("EXPLICIT"), "explicit_paddings": _ints(explicit)}
    filters = w.data.transpose(2, 3, 0, 1) if depthwise else w.data.transpose(2, 3, 1, 0)
    y = to.emit(
        "FusedDepthwiseConv2dNative" if depthwise else "_FusedConv2D",
        [source, to.const(filters), to.const(start)],
        T=FLOAT,
        num_args={"i": "1"},
        strides=_ints((1, *node.attrs["strides"], 1)),
        dilations=_ints((1, *node.attrs["dilations"], 1)),
        data_format=_text("NHWC"),
        fused_ops=_texts(["BiasAdd"] if activation is None else ["BiasAdd", activation]),
        **padding,
    )
    if residual is not None:
        y = to.emit("AddV2", [y, to.want(residual, nhwc)], T=FLOAT)
    to.done(node, y if fused else to.clamp(y, clamp), nhwc)


def _is_same(node: Node, kernel: Sequence[int], size: Sequence[int]) -> bool:
    """Whether the pads are those of TensorFlow's SAME: as even as can be, the odd one at the end."""
    pads, strides, dilations = node.attrs["pads"], node.attrs["strides"], node.attrs["dilations"]
    for axis, (k, n, stride, dilation) in enumerate(zip(kernel, size, strides, dilations)):
        total = max((-(-n // stride) - 1) * stride + (k - 1) * dilation + 1 - n, 0)
        if (pads[axis], pads[axis + len(kernel)]) != (total // 2, total - total // 2):
            return False
    return True


def _pad_table(pads: Sequence[int]) -> Array:
    """NHWC rows (before, after) from ONNX's pads of two spatial axes."""
    top, left, bottom, right = pads
    return np.array([(0, 0), (top, bottom), (left, right), (0, 0)], np.int32)


def _max_pool(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    nhwc, pads, kernel = channels_last(4), node.attrs["pads"], node.attrs["kernel_shape"]
    if x.type.rank != 4 or any(d != 1 for d in node.attrs["dilations"]) or node.attrs["ceil_mode"]:
        raise UnsupportedError(f"the conversion to TF.js knows plain 2-D pooling only (node {node.name})")
    source, padding = to.want(x, nhwc), "VALID"
    if any(pads) and _is_same(node, kernel, x.shape[2:]):
        padding = "SAME"
    elif any(pads):
        lowest = to.const(np.array(np.finfo(np.float32).min, np.float32))
        source = to.emit("PadV2", [source, to.const(_pad_table(pads)), lowest], T=FLOAT)
    sizes, strides = _ints((1, *kernel, 1)), _ints((1, *node.attrs["strides"], 1))
    y = to.emit("MaxPool", [source], T=FLOAT, ksize=sizes, strides=strides, padding=_text(padding))
    to.done(node, y, nhwc)


def _resize(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    scales, rank = node.attrs["scales"], x.type.rank
    if node.attrs["mode"] != "nearest" or rank != 4 or any(s != int(s) for s in scales) or set(scales[:2]) != {1}:
        raise UnsupportedError(f"the conversion to TF.js knows enlarging by whole factors only (node {node.name})")
    size = to.ints(node.attrs["sizes"][2:])
    to.done(node, to.emit("ResizeNearestNeighbor", [to.want(x, channels_last(4)), size], T=FLOAT), channels_last(4))


def _binary(to: _Writer, node: Node) -> None:
    rank = node.output.type.rank
    full = [v for v in node.operands if v in to.stored and v.type.rank == rank]
    layout = to.layout(max(full, key=lambda v: v.type.size)) if full else plain(rank)
    operands = [to.aligned(v, rank, layout) for v in node.operands]
    to.done(node, to.emit(BINARY[node.op], operands, T=FLOAT), layout)


def _unary(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    layout = to.layout(x)
    to.done(node, to.emit(UNARY[node.op], [to.want(x, layout)], T=FLOAT), layout)


def _swish(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    source = to.want(x, to.layout(x))
    to.done(node, to.emit("Mul", [source, to.emit("Sigmoid", [source], T=FLOAT)], T=FLOAT), to.layout(x))


def _clip(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    to.done(node, to.clamp(to.want(x, to.layout(x)), node.attrs["clamp"]), to.layout(x))


def _gelu(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    layout = to.layout(x)
    source = to.want(x, layout)

    def scalar(value: float) -> str:
        return to.const(np.array(value, np.float32))

    def product(a: str, b: str) -> str:
        return to.emit("Mul", [a, b], T=FLOAT)

    if node.attrs.get("approximate", "none") == "tanh":
        cube = product(product(source, source), product(source, scalar(0.044715)))
        inner = product(to.emit("AddV2", [source, cube], T=FLOAT), scalar(math.sqrt(2 / math.pi)))
        bend = to.emit("Tanh", [inner], T=FLOAT)
    else:
        bend = to.emit("Erf", [product(source, scalar(math.sqrt(0.5)))], T=FLOAT)
    raised = to.emit("AddV2", [bend, scalar(1.0)], T=FLOAT)
    to.done(node, product(product(source, scalar(0.5)), raised), layout)


def _layer_normalization(to: _Writer, node: Node) -> None:
    x, scale, bias = (*node.inputs, None)[:3]
    assert x is not None
    assert scale is not None
    source, axes = to.want(x), to.ints(range(node.attrs["axis"], x.type.rank))

    def mean(tensor: str) -> str:
        return to.emit("Mean", [tensor, axes], T=FLOAT, keep_dims={"b": True})

    centre = mean(source)
    variance = mean(to.emit("SquaredDifference", [source, centre], T=FLOAT))
    epsilon = to.const(np.array(node.attrs["epsilon"], np.float32))
    inverse = to.emit("Rsqrt", [to.emit("AddV2", [variance, epsilon], T=FLOAT)], T=FLOAT)
    y = to.emit("Mul", [to.emit("Sub", [source, centre], T=FLOAT), inverse], T=FLOAT)
    y = to.emit("Mul", [y, to.want(scale)], T=FLOAT)
    to.done(node, y if bias is None else to.emit("AddV2", [y, to.want(bias)], T=FLOAT))


def _matmul(to: _Writer, node: Node) -> None:
    a, b, bias, residual = (*node.inputs, None, None)[:4]
    assert a is not None
    assert b is not None
    shape = node.output.shape
    if b.type.rank == 2:
        left = to.want(a) if a.type.rank == 2 else to.reshape(to.want(a), (-1, a.shape[-1]))
        flags = {"transpose_a": {"b": False}, "transpose_b": {"b": False}}
        if bias is None:
            y = to.emit("MatMul", [left, to.want(b)], T=FLOAT, **flags)
        else:
            fused = _texts(["BiasAdd"])
            one = {"i": "1"}
            operands = [left, to.want(b), to.want(bias)]
            y = to.emit("_FusedMatMul", operands, T=FLOAT, num_args=one, fused_ops=fused, **flags)
        y = y if a.type.rank == 2 else to.reshape(y, shape)
    else:
        y = to.emit("BatchMatMulV2", [to.want(a), to.want(b)], T=FLOAT, adj_x={"b": False}, adj_y={"b": False})
        if bias is not None:
            y = to.emit("AddV2", [y, to.want(bias)], T=FLOAT)
    if residual is not None:
        y = to.emit("AddV2", [y, to.want(residual)], T=FLOAT)
    to.done(node, to.clamp(y, node.attrs.get("clamp", Clamp())))


def _softmax(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    axis = node.attrs["axis"]
    layout = (*(a for a in to.layout(x) if a != axis), axis)
    to.done(node, to.emit("Softmax", [to.want(x, layout)], T=FLOAT), layout)


def _reduce_mean(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    layout, axes, keep = to.layout(x), node.attrs["axes"], node.attrs["keepdims"]
    places = to.ints(sorted(layout.index(axis) for axis in axes))
    kept = layout if keep else tuple(axis - sum(a < axis for a in axes) for axis in layout if axis not in axes)
    to.done(node, to.emit("Mean", [to.want(x, layout), places], T=FLOAT, keep_dims={"b": keep}), kept)


def _reshape(to: _Writer, node: Node) -> None:
    to.done(node, to.reshape(to.want(node.operands[0]), node.output.shape))


def _transpose(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    perm, layout = node.attrs["perm"], to.layout(x)
    to.done(node, to.want(x, layout), tuple(perm.index(axis) for axis in layout))


def _concat(to: _Writer, node: Node) -> None:
    variable = [v for v in node.operands if v in to.stored]
    layout = to.layout(max(variable, key=lambda v: v.type.size))
    inputs = [to.want(v, layout) for v in node.operands]
    place = to.const(np.array(layout.index(node.attrs["axis"]), np.int32))
    to.done(node, to.emit("ConcatV2", [*inputs, place], T=FLOAT, N={"i": str(len(inputs))}), layout)


def _split(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    layout = to.layout(x)
    sizes, place = to.ints(node.attrs["split"]), to.const(np.array(layout.index(node.attrs["axis"]), np.int32))
    parts = to.emit("SplitV", [to.want(x, layout), sizes, place], T=FLOAT)
    for i, output in enumerate(node.outputs):
        to.stored[output] = (f"{parts}:{i}" if i else parts, layout)


def _slice(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    if any(step != 1 for step in node.attrs["steps"]):
        raise UnsupportedError(f"the conversion to TF.js knows slices with step 1 only (node {node.name})")
    layout = to.layout(x)
    begin, size = (to.ints([node.attrs[what][axis] for axis in layout]) for what in ("starts", "sizes"))
    to.done(node, to.emit("Slice", [to.want(x, layout), begin, size], T=FLOAT), layout)


def _gather(to: _Writer, node: Node) -> None:
    x, indices = node.operands
    axis = to.const(np.array(node.attrs["axis"], np.int32))
    to.done(node, to.emit("GatherV2", [to.want(x), to.want(indices), axis], Tparams=FLOAT, Tindices=INT))


def _expand(to: _Writer, node: Node) -> None:
    shape = node.output.shape
    source = to.aligned(node.operands[0], len(shape), plain(len(shape)))
    to.done(node, to.emit("BroadcastTo", [source, to.ints(shape)], T=FLOAT))


def _cast(to: _Writer, node: Node) -> None:
    (x,) = node.operands
    kind = FLOAT if node.output.dtype is DType.FLOAT else INT
    to.done(node, to.emit("Cast", [to.want(x, to.layout(x))], DstT=kind), to.layout(x))


CONVERTERS: dict[str, Callable[[_Writer, Node], None]] = {
    "Conv": _conv,
    "MaxPool": _max_pool,
    "Resize": _resize,
    "Clip": _clip,
    "Swish": _swish,
    "Gelu": _gelu,
    "LayerNormalization": _layer_normalization,
    "MatMul": _matmul,
    "Softmax": _softmax,
    "ReduceMean": _reduce_mean,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Expand": _expand,
    "Cast": _cast,
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(UNARY, _unary),
}
