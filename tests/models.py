"""Small models for tests that need a `.tinf` file rather than one operator."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinyinfer import compiler, registry
from tinyinfer.graph import Graph
from tinyinfer.ref import interpreter
from tinyinfer.types import Array, Clamp, DType, TensorType
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.kernel_module import hashes


def tiny_graph(rows: int = 2) -> Graph:
    """y = clamp(x·w + b, 0, 6) with x float32[rows, 3] and fixed weights."""
    builder = registry.builder("tiny")
    x = builder.input("x", TensorType(DType.FLOAT, (rows, 3)))
    w = builder.constant(np.arange(15, dtype=np.float32).reshape(3, 5) / np.float32(7), "w")
    b = builder.constant(np.linspace(-1, 1, 5, dtype=np.float32), "b")
    builder.output("y", builder.add1("MatMul", x, w, b, clamp=Clamp(0.0, 6.0)))
    return builder.build()


def wide_graph(columns: int = 1_500_000, k: int = 2, negated: bool = False) -> Graph:
    """y = x·w, and z = −y if `negated`: x float32[1, k], w of 12 MB unless said, y float32[1, columns]."""
    builder = registry.builder("wide")
    x = builder.input("x", TensorType(DType.FLOAT, (1, k)))
    w = builder.constant(np.random.default_rng(2).standard_normal((k, columns), np.float32), "w")
    y = builder.add1("MatMul", x, w)
    builder.output("y", y)
    if negated:
        builder.output("z", builder.add1("Neg", y))
    return builder.build()


def conv_graph(size: int = 9) -> Graph:
    """A padded convolution, a residual addition and a second output: y = clamp(conv(x) + x), m = mean of y."""
    random = np.random.default_rng(1)
    builder = registry.builder("conv")
    x = builder.input("x", TensorType(DType.FLOAT, (1, 4, size, size)))
    w = builder.constant(random.standard_normal((4, 4, 3, 3)).astype(np.float32), "w")
    b = builder.constant(random.standard_normal(4).astype(np.float32), "b")
    window = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1), "group": 1}
    y = builder.add1("Conv", x, w, b, x, **window, clamp=Clamp(0.0, 6.0))
    builder.output("y", y)
    builder.output("m", builder.add1("ReduceMean", y, axes=(2, 3), keepdims=False))
    return builder.build()


def winograd_graph(size: int = 9) -> Graph:
    """Minimal filtering, whose kernel needs scratch, of many pixels by few filters (y), and of few by many (m)."""
    random = np.random.default_rng(2)
    builder = registry.builder("winograd")
    value = builder.input("x", TensorType(DType.FLOAT, (1, 4, size, size)))
    for name, filters in (("y", 48), ("m", 200)):
        w = builder.constant(random.standard_normal((filters, value.shape[1], 3, 3)).astype(np.float32), "w")
        window = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1)}
        y = builder.add1("Conv", value, w, **window, winograd=True)
        builder.output(name, y)
        value = builder.add1("Slice", y, starts=(0,) * 4, sizes=(1, filters, 5, 5), steps=(1,) * 4)
    return builder.build()


def add_graph(dtype: DType, rows: int = 2) -> Graph:
    """z = a + b, both of shape [rows, 3], for an integer or float type."""
    builder = registry.builder("add")
    a, b = (builder.input(name, TensorType(dtype, (rows, 3))) for name in "ab")
    builder.output("z", builder.add1("Add", a, b))
    return builder.build()


def logic_graph() -> Graph:
    """Booleans and bytes: less = a < b, either = less or not c, turned = the transpose of bytes u."""
    builder = registry.builder("logic")
    a, b = (builder.input(name, TensorType(DType.INT32, (3, 5))) for name in "ab")
    c = builder.input("c", TensorType(DType.BOOL, (3, 5)))
    u = builder.input("u", TensorType(DType.UINT8, (3, 5)))
    less = builder.add1("Less", a, b)
    builder.output("less", less)
    builder.output("either", builder.add1("Or", less, builder.add1("Not", c)))
    builder.output("turned", builder.add1("Transpose", u, perm=(1, 0)))
    return builder.build()


def tinf_of(
    *graphs: Graph, kernels: Mapping[str, str] | None = None, metadata: Mapping[str, str] | None = None
) -> bytes:
    """The `.tinf` file of graphs that differ in shapes only, lowered as they stand."""
    plans = compiler.lower_together(graphs)
    wanted = hashes() if kernels is None else kernels
    return tinf.encode(tinf.ModelFile(graphs[0].name, plans, wanted, metadata or {}))


def reference(graph: Graph, feeds: Mapping[str, Array], tier: str = "simd128") -> dict[str, Array]:
    """The outputs by the reference semantics of a tier."""
    return interpreter.run(graph, feeds, registry.reference_of, tier)
