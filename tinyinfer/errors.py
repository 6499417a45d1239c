"""Every error the library raises on purpose. Messages say what was wrong, where, and what would be accepted."""

from __future__ import annotations


class TinyInferError(Exception):
    """Base of all errors raised by TinyInfer."""


class ModelError(TinyInferError):
    """A model file cannot be read or is not valid; the message names the file, node and attribute."""


class UnsupportedError(ModelError):
    """The model is valid ONNX, but uses something TinyInfer does not run; everything missing is listed at once."""


class ShapeError(ModelError):
    """Operand types or attributes of an operator do not fit together."""


class LimitError(ModelError):
    """A model asks for more than a limit; the message says how much, the limit and how to raise it."""


class GraphError(TinyInferError):
    """An internal graph breaks an invariant (`Graph.verify`)."""


class FeedError(TinyInferError):
    """Inputs given to a run do not match the model's inputs."""


class PlanError(TinyInferError):
    """A `.tinf` file is damaged, of another version, or made for other kernels."""


class EngineError(TinyInferError):
    """A WebAssembly engine is missing or failed."""


class WatError(TinyInferError):
    """A kernel source is not well-formed; the message names file, line and column."""


class QuantizationError(TinyInferError):
    """A model cannot be quantised as asked; the message names the tensor, node or file and what would be accepted."""
