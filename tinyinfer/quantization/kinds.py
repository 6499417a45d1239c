"""The vocabulary: what can be asked for. Names are those of onnxruntime.quantization, so that scripts carry over."""

from __future__ import annotations

from enum import Enum

import numpy as np
from onnx import TensorProto


class QuantType(Enum):
    """An integer type of quantised values."""

    QInt8 = "int8"
    QUInt8 = "uint8"
    QInt4 = "int4"
    QUInt4 = "uint4"

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest value."""
        bits = 4 if self in (QuantType.QInt4, QuantType.QUInt4) else 8
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if self.signed else (0, (1 << bits) - 1)

    @property
    def signed(self) -> bool:
        return self in (QuantType.QInt8, QuantType.QInt4)

    @property
    def numpy(self) -> np.dtype[np.int8] | np.dtype[np.uint8]:
        """The NumPy type that holds the values; four-bit values take a byte each."""
        return np.dtype(np.int8) if self.signed else np.dtype(np.uint8)

    @property
    def tensor_type(self) -> int:
        """The element type in ONNX."""
        return int(TensorProto.DataType.Value(self.value.upper()))


class QuantFormat(Enum):
    """How the quantised model is written. QDQ: float operators between QuantizeLinear and DequantizeLinear."""

    QDQ = "QDQ"
    QOperator = "QOperator"


class CalibrationMethod(Enum):
    """How the range of an activation follows from what was observed of it."""

    MinMax = "minmax"
    """The smallest and the largest value."""
    Percentile = "percentile"
    """The range that holds a share of all values."""
    Entropy = "entropy"
    """The range that loses least information (Kullback-Leibler divergence)."""
    MSE = "mse"
    """The range with the least mean squared error of rounding and clipping."""
