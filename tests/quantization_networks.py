"""Random float networks in the forms that exporters give them, for tests of quantisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
OPSETS = (7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 21, 23)
# Names that a quantiser likes to give.
NAMES = ("", "same", "w0_scale", "x_QuantizeLinear", "t0_quantized", "Conv_0", "w1_dequantized", "t1_float")


@dataclass
class Network:
    """A model that is being written: nodes, constants, and the tensor that the next layer reads."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    opset: int
    rng: np.random.Generator
    shape: tuple[int, ...]
    last: str = "x"
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    outputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    count: int = 0

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def constant(self, array: Any) -> str:
        label = self.name("w")
        self.constants[label] = np.asarray(array)
        return label

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(np.float32)

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        results = [self.name("t") for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), results, name=self.pick(*NAMES), **attributes))
        return results[0]

    def then(self, kind: str, *others: str, shape: tuple[int, ...] | None = None, **attributes: Any) -> None:
        self.last = self.op(kind, self.last, *others, **attributes)
        self.shape = self.shape if shape is None else shape

    # ── weights ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def weights(self, array: np.ndarray) -> str:
        """A constant in one of the forms that files have them in."""
        form = self.pick("plain", "plain", "node", "half", "identity", "transpose", "reshape", "slice", "concat",
                         "integers", "scaled", "expanded", "shared", "listed")  # fmt: skip
        same = [name for name, other in self.constants.items() if other.shape == array.shape and other.dtype == "f4"]
        if form == "shared" and same:
            return same[-1]
        if form == "node":
            return self.op("Constant", value=numpy_helper.from_array(array))
        if form == "half":
            return self.op("Cast", self.constant(array.astype(np.float16)), to=FLOAT)
        if form == "identity":
            return self.op("Identity", self.op("Identity", self.constant(array)))
        if form == "transpose" and array.ndim > 1:
            return self.op("Transpose", self.constant(np.ascontiguousarray(array.T)))
        if form == "reshape":
            return self.op("Reshape", self.constant(array.reshape(-1)), self.constant(np.array(array.shape)))
        if form == "slice" and self.opset >= 10:
            wide = np.concatenate([array, array], 0)
            bounds = [self.constant(np.array([value])) for value in (0, array.shape[0], 0)]
            return self.op("Slice", self.constant(wide), *bounds)
        if form == "concat" and array.shape[0] > 1:
            parts = [self.constant(array[:1]), self.constant(array[1:])]
            return self.op("Concat", *parts, axis=0)
        if form == "integers" and self.opset >= 10:
            bytes_ = np.clip(np.rint(array * 32), -128, 127).astype(np.int8)
            parts = [self.constant(a) for a in (bytes_, np.float32(1 / 32), np.int8(0))]
            return self.op("DequantizeLinear", *parts)
        if form == "scaled":
            return self.op("Mul", self.constant(array * 2), self.constant(np.float32(0.5)))
        if form == "expanded" and self.opset < 13:
            return self.op("Squeeze", self.constant(array[None]), axes=[0])
        label = self.constant(array)
        if form == "listed":
            self.outputs[label] = array.shape
        return label

    def bias(self, size: int) -> list[str]:
        return self.pick(list, lambda: [""], lambda: [self.weights(self.normal(size))])()

    # ── layers of pictures [N, C, …] ─────────────────────────────────────────────────────────────────────────────────

    def conv(self) -> None:
        n, c, *space = self.shape
        group, filters = self.pick((1, 4), (1, 1), (c, c), (c, 2 * c), (2 if c % 2 == 0 else 1, 4))
        kernel = [self.pick(1, 3)] * len(space)
        w = self.weights(self.normal(filters, c // group, *kernel))
        pads = [k // 2 for k in kernel] * 2
        self.then("Conv", w, *self.bias(filters), group=group, pads=pads, shape=(n, filters, *space))

    def transposed(self) -> None:
        n, c, *space = self.shape
        group = self.pick(1, 2) if c % 2 == 0 else 1
        stride, each = self.pick(1, 2), self.pick(2, 3)
        w = self.weights(self.normal(c, each, *[stride] * len(space)))
        shape = (n, each * group, *(size * stride for size in space))
        if max(space) <= 8:
            strides = [stride] * len(space)
            self.then("ConvTranspose", w, *self.bias(each * group), group=group, strides=strides, shape=shape)

    def batch_normalization(self) -> None:
        c = self.shape[1]
        parameters = [self.weights(self.normal(c)) for _ in range(3)]
        variance = self.constant(np.abs(self.normal(c)) + 0.5)
        outputs = self.pick(1, 5) if self.opset < 14 else 1
        self.then("BatchNormalization", *parameters, variance, outputs=outputs)

    def pool(self) -> None:
        n, c, *space = self.shape
        if min(space) >= 4:
            ones = [2] * len(space)
            shape = (n, c, *(size // 2 for size in space))
            self.then(self.pick("MaxPool", "AveragePool"), kernel_shape=ones, strides=ones, shape=shape)

    def mean(self) -> None:
        n, c, *space = self.shape
        self.then("GlobalAveragePool", shape=(n, c, *[1] * len(space)))

    def flatten(self) -> None:
        n, *others = self.shape
        self.then("Flatten", axis=1, shape=(n, int(np.prod(others))))

    # ── layers of rows [N, K] and sequences [N, L, K] ────────────────────────────────────────────────────────────────

    def gemm(self) -> None:
        n, k = self.shape
        m = self.pick(1, 4, 6)
        turned = self.pick(0, 1)
        w = self.weights(self.normal(m, k) if turned else self.normal(k, m))
        c = [self.constant(self.normal(*s)) for s in self.pick([], [(m,)], [(1, m)], [(n, m)], [(n, 1)], [(1,)])]
        if not c and self.opset < 11:
            c = [self.constant(self.normal(m))]
        factors = {"alpha": self.pick(1.0, 0.5), "beta": self.pick(1.0, 2.0)}
        self.then("Gemm", w, *c, transB=turned, shape=(n, m), **factors)

    def product(self) -> None:
        *outer, k = self.shape
        m = self.pick(2, 5)
        batch = outer[:1] if len(outer) == 2 and self.pick(False, True) else []
        self.then("MatMul", self.weights(self.normal(*batch, k, m)), shape=(*outer, m))
        if self.pick(False, True):
            self.then("Add", self.weights(self.normal(m)))

    def with_itself(self) -> None:
        outer = self.shape[:-1]
        if len(outer) == 2:
            turned = self.op("Transpose", self.last, perm=[0, 2, 1])
            self.then("MatMul", turned, shape=(*outer, outer[-1]))

    def times_vector(self) -> None:
        *outer, k = self.shape
        if len(outer) == 2:
            self.then("MatMul", self.constant(self.normal(k)), shape=tuple(outer))

    # ── anywhere ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def activation(self) -> None:
        kind = self.pick("Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "Identity", "Dropout")
        if kind == "Clip" and self.opset >= 11:
            self.then("Clip", self.constant(np.float32(0)), self.constant(np.float32(6)))
        else:
            self.then(kind, **({"min": 0.0, "max": 6.0} if kind == "Clip" else {}))

    def combine(self) -> None:
        kind, before = self.pick("Add", "Mul"), self.last
        other = self.pick(
            lambda: self.op("Sigmoid", before),
            lambda: self.constant(self.normal(*[1] * (len(self.shape) - 1), self.shape[-1])),
            lambda: before if kind == "Add" else self.op("Sigmoid", before),
        )()
        self.then(kind, other)

    def beside_nothing(self) -> None:
        """A sum with a tensor that is zero whatever the input."""
        dead = self.op("Relu", self.op("Mul", self.last, self.constant(np.float32(0))))
        self.then("Add", self.op("Relu", dead))

    def concat(self) -> None:
        n, c, *others = self.shape
        if c <= 8:
            self.then("Concat", self.last, axis=1, shape=(n, 2 * c, *others))

    def listed(self) -> None:
        if self.last != "x":
            self.outputs[self.last] = self.shape

    def model(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """The whole model; files of IR version 3 list their constants among the inputs."""
        outputs = {**self.outputs, self.last: self.shape}
        old = self.opset < 9
        inputs = {"x": (FLOAT, shape)}
        if old:
            inputs |= {n: (helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in self.constants.items()}
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(name, *declared) for name, declared in inputs.items()],
            [helper.make_tensor_value_info(name, FLOAT, dims) for name, dims in outputs.items()],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        imports = [helper.make_opsetid("", self.opset)]
        version = 3 if old else max(8, helper.find_min_ir_version_for(imports))
        return helper.make_model(graph, opset_imports=imports, ir_version=version)


PICTURE = (Network.conv, Network.conv, Network.transposed, Network.batch_normalization, Network.pool)
ANYWHERE = (Network.activation, Network.activation, Network.combine, Network.concat, Network.listed,
            Network.beside_nothing)  # fmt: skip
ROWS = (Network.gemm, Network.gemm, Network.product)
SEQUENCE = (Network.product, Network.product, Network.with_itself)


@st.composite
def networks(draw: Any) -> tuple[onnx.ModelProto, tuple[int, ...]]:
    """A model whose input x has the shape that comes with it."""
    opset = draw(st.sampled_from(OPSETS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from([(1, 3, 8, 8), (2, 2, 4, 4), (1, 4, 10), (3, 10), (2, 4, 6)]))
    network = Network(draw, opset, rng, shape)
    pictures = len(shape) > 3 or shape == (1, 4, 10)
    layers = PICTURE if pictures else ROWS if len(shape) == 2 else SEQUENCE
    layers[0](network)
    for layer in draw(st.lists(st.sampled_from((*layers, *ANYWHERE)), max_size=5)):
        layer(network)
    if pictures and draw(st.booleans()):
        if draw(st.booleans()):
            network.mean()
        network.flatten()
        network.gemm()
    elif len(shape) == 3 and not pictures and draw(st.booleans()):
        network.times_vector()
    return network.model(shape), shape
