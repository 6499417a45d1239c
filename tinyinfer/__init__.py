"""TinyInfer: ONNX inference in the browser, with proof that it computed what Python computed.

Names are imported when they are first asked for: commands start sooner, and can be interrupted while they do.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "CompiledModel": "compiler",
    "InferenceSession": "session",
    "TinyInferError": "errors",
    "VerificationReport": "verification",
    "compile": "compiler",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"tinyinfer.{_HOMES[name]}"), name)
    elif not name.startswith("_") and find_spec(f"tinyinfer.{name}"):
        value = import_module(f"tinyinfer.{name}")
    else:
        raise AttributeError(f"module 'tinyinfer' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
