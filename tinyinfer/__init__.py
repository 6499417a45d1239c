"""TinyInfer: ONNX inference in the browser, with proof that it computed what Python computed."""

from tinyinfer import quantization
from tinyinfer.compiler import CompiledModel, compile
from tinyinfer.errors import TinyInferError
from tinyinfer.session import InferenceSession
from tinyinfer.verification import VerificationReport, verify

__all__ = [
    "CompiledModel",
    "InferenceSession",
    "TinyInferError",
    "VerificationReport",
    "compile",
    "quantization",
    "verify",
]
