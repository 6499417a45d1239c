"""Reading a model: from a path, bytes or a ModelProto to a checked ModelProto."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.inliner
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from tinyinfer.errors import ModelError, UnsupportedError
from tinyinfer.frontend import functions

OLDEST_OPSET = 7
# The newest operator set whose changes the converters know; the oldest `onnx` package that is accepted knows it.
NEWEST_OPSET = 28


@dataclass(frozen=True)
class Source:
    """A model, what messages call it, and the folder its external data may lie in (None when not read from a file)."""

    proto: onnx.ModelProto
    label: str
    folder: Path | None

    @property
    def opset(self) -> int:
        """Version of the default operator set; 0 when the model imports none."""
        return max((o.version for o in self.proto.opset_import if o.domain in DEFAULT_DOMAINS), default=0)


DEFAULT_DOMAINS = ("", "ai.onnx")


def read(model: str | os.PathLike[str] | bytes | onnx.ModelProto) -> Source:
    """Read a model and check what makes a file ONNX at all. ModelError says what is wrong with it."""
    source = parse(model)
    _check(source)
    _check_texts(source)
    functions.check_nesting(source.proto, source.label)
    return _inline_functions(source) if source.proto.functions else source


def parse(model: str | os.PathLike[str] | bytes | onnx.ModelProto) -> Source:
    """Read a model without checking what is in it. ModelError where it does not decode."""
    if isinstance(model, onnx.ModelProto):
        return Source(model, model.graph.name or "model", None)
    if isinstance(model, bytes):
        return Source(_decode(model, "model"), "model", None)
    path = Path(model)
    return Source(_decode(_contents(path), str(path)), str(path), path.parent)


def _contents(path: Path) -> bytes:
    if path.is_dir():
        raise ModelError(f"{path} is a directory; expected an ONNX file")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ModelError(f"{path} cannot be read: {error}") from None


def _decode(blob: bytes, label: str) -> onnx.ModelProto:
    if not blob:
        raise ModelError(f"{label} is empty; expected an ONNX model")
    try:
        proto: onnx.ModelProto = onnx.ModelProto.FromString(blob)
        return proto
    except (DecodeError, ValueError) as error:
        if "MaxDepth" in str(error):
            raise ModelError(f"{label} has subgraphs inside each other, deeper than protobuf decodes") from None
        raise ModelError(f"{label} is not an ONNX model, or is truncated: it does not decode as protobuf") from None


def _check(source: Source) -> None:
    proto, label = source.proto, source.label
    if not proto.HasField("graph"):
        raise ModelError(f"{label} is not an ONNX model, or is truncated: it holds no graph")
    if not proto.opset_import:
        raise ModelError(f"{label} is not a complete ONNX model: it imports no operator set (opset_import is missing)")
    default = [o.version for o in proto.opset_import if o.domain in DEFAULT_DOMAINS]
    if default and not OLDEST_OPSET <= source.opset <= NEWEST_OPSET:
        raise UnsupportedError(f"{label} uses opset {source.opset}; accepted: {OLDEST_OPSET} to {NEWEST_OPSET}")


def _check_texts(source: Source) -> None:
    """ModelError for a name or other text that is not UTF-8, which protobuf gives as bytes."""
    waiting: list[Message] = [source.proto]
    while waiting:
        message = waiting.pop()
        texts: list[str | bytes] = []
        if isinstance(message, onnx.TensorProto):  # its other fields may be large, and reading them copies
            texts.append(message.name)
            waiting.extend(message.external_data)
        else:
            for field, value in message.ListFields():
                if field.message_type is not None:
                    waiting.extend([value] if isinstance(value, Message) else value)
                elif field.type == FieldDescriptor.TYPE_STRING:
                    texts.extend([value] if isinstance(value, (str, bytes)) else value)
        for text in texts:
            if isinstance(text, bytes):
                raise ModelError(f"{source.label}: the text {text[:40]!r} is not UTF-8")


def _inline_functions(source: Source) -> Source:
    """Replace calls of functions that the model defines itself by their bodies."""
    functions.check(source.proto, source.label)
    try:
        proto = onnx.inliner.inline_local_functions(source.proto)
    except Exception as error:  # the inliner raises whatever its C++ core throws
        raise ModelError(f"{source.label}: its local functions cannot be inlined: {error}") from None
    functions.check_nesting(proto, source.label)
    return Source(proto, source.label, source.folder)
