"""Activations and other float32 functions with attributes or a second operand; those without are `unary_float`."""

from __future__ import annotations

from tinyinfer.ops import check
from tinyinfer.ops.elementwise import unary_float
from tinyinfer.types import TensorType


def scaled(x: TensorType, *, alpha: float) -> TensorType:
    """LeakyRelu, Elu."""
    return unary_float(x)


def hard_sigmoid(x: TensorType, *, alpha: float, beta: float) -> TensorType:
    """Y = clamp(alpha·X + beta, 0, 1)."""
    return unary_float(x)


def gelu(x: TensorType, *, approximate: str) -> TensorType:
    """ONNX Gelu; `approximate` is "none" (by erf) or "tanh"."""
    check.require(approximate in ("none", "tanh"), f'approximate="{approximate}"; accepted: "none", "tanh"')
    return unary_float(x)


def prelu(x: TensorType, slope: TensorType) -> TensorType:
    """Y = X < 0 ? X·slope : X; the slope broadcasts to the shape of X."""
    check.dtype(slope, check.FLOAT, "slope")
    check.require(
        check.broadcast(x.shape, slope.shape) == x.shape, f"slope {slope} does not broadcast to the shape of X {x}"
    )
    return unary_float(x)


def softmax(x: TensorType, *, axis: int) -> TensorType:
    """Softmax, LogSoftmax along one axis."""
    check.axis(axis, x.rank)
    return unary_float(x)


def power(x: TensorType, y: TensorType) -> TensorType:
    """Z = X to the Y with multidirectional broadcasting; both float32."""
    check.dtype(x, check.FLOAT, "X")
    check.dtype(y, check.FLOAT, "Y")
    return x.with_shape(check.broadcast(x.shape, y.shape))
