"""TinyInfer: ONNX inference in the browser, with proof that it computes what Python computed."""

from tinyinfer.compiler import CompiledModel, compile
from tinyinfer.errors import TinyInferError
from tinyinfer.session import InferenceSession

__all__ = ["CompiledModel", "InferenceSession", "TinyInferError", "compile"]
