"""TinyInfer: ONNX inference in the browser, with proof that it computed what Python computed."""

from importlib.metadata import PackageNotFoundError, version

from tinyinfer import quantization
from tinyinfer.compiler import CompiledModel, compile
from tinyinfer.errors import TinyInferError
from tinyinfer.session import InferenceSession
from tinyinfer.verification import VerificationReport, verify

try:
    __version__ = version("tinyinfer")
except PackageNotFoundError:  # a checkout on the path that is not installed
    __version__ = "0+checkout"

__all__ = [
    "CompiledModel",
    "InferenceSession",
    "TinyInferError",
    "VerificationReport",
    "__version__",
    "compile",
    "quantization",
    "verify",
]
