"""Post-training quantisation: float ONNX models to int8 and int4 ones, which every ONNX runtime reads."""

from tinyinfer.quantization.accuracy import Accuracy, compare
from tinyinfer.quantization.dynamic import quantize_dynamic
from tinyinfer.quantization.insertion import Scheme
from tinyinfer.quantization.kinds import CalibrationMethod, QuantFormat, QuantType
from tinyinfer.quantization.quantizer import Calibration, Quantizer
from tinyinfer.quantization.readers import CalibrationDataReader
from tinyinfer.quantization.report import write_report
from tinyinfer.quantization.sensitivity import Layer, Sensitivity, analyze
from tinyinfer.quantization.static import quantize_static
from tinyinfer.quantization.weight_only import quantize_weights

__all__ = [
    "Accuracy",
    "Calibration",
    "CalibrationDataReader",
    "CalibrationMethod",
    "Layer",
    "QuantFormat",
    "QuantType",
    "Quantizer",
    "Scheme",
    "Sensitivity",
    "analyze",
    "compare",
    "quantize_dynamic",
    "quantize_static",
    "quantize_weights",
    "write_report",
]
