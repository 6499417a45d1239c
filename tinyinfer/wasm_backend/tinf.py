"""`model.tinf`: a safetensors file whose tensors are the packed weights and whose metadata holds the plans.

The data section is the image of the weights region of linear memory: tensors are flat, zero-padded to 64 bytes and
stored in address order, so loading is one copy. `__metadata__["tinyinfer"]` is JSON:

    {"version": 3, "sha256": …, "chunks": [sha256, …], "name": …, "kernels": {tier: sha256}, "metadata": {…},
     "functions": [kernel names], "plans": [plan, …]}

and a plan is {"inputs", "outputs": [[name, dtype, shape, address]…],
"steps": [[function, node, [args…], split?, scratch?]…], "nodes": [[name, op]…], "weights": address, "arena": address,
"memory": bytes, "scratch": bytes}. The addresses of weights and arena are the same in all plans. A split is [pieces,
width], or [pieces, width, extent, argument, stride, …] by columns; scratch is the number of the argument that each
thread has its own of. Floats that JSON lacks are the strings "Infinity", "-Infinity" and "NaN".

`sha256` is that of the whole header, read with 64 zeros in its own place (the first one where it stands), and `chunks`
those of the data section, 1 MiB each. They tell damage, not authors: who changes a file on purpose can change them too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors.numpy import save

from tinyinfer.errors import ModelError, PlanError
from tinyinfer.types import Array
from tinyinfer.wasm_backend.document import (
    MOST_AXES,
    DamageError,
    decode_plans,
    encode_plan,
    field,
    is_count,
    is_text,
    need,
    parse,
)
from tinyinfer.wasm_backend.memory import ALIGNMENT, align
from tinyinfer.wasm_backend.plan import Plan

VERSION = 3
KEY = "tinyinfer"
LONGEST_HEADER = 100_000_000
"""Bytes, as safetensors has it."""
CHUNK = 1 << 20
"""Bytes of the data section that have one SHA-256."""
UNKNOWN = "0" * 64
"""What stands in the place of the header's SHA-256 while it is computed."""
WEIGHT_TYPES = {
    "F32": "<f4", "I64": "<i8", "I32": "<i4", "U32": "<u4", "I16": "<i2", "U8": "u1", "I8": "i1", "BOOL": "?"
}  # fmt: skip
"""Element types of packed weights, as safetensors and NumPy name them."""


Span: TypeAlias = "tuple[str, int, int]"
"""Element type, first byte and end of a tensor in the data section."""


@dataclass(frozen=True)
class ModelFile:
    """The contents of a `.tinf` file. `kernels` maps a tier to the SHA-256 of the module the plans were made for."""

    name: str
    plans: tuple[Plan, ...]
    kernels: Mapping[str, str]
    metadata: Mapping[str, str]

    def __repr__(self) -> str:
        first, *others = self.plans
        more = f" and {len(others)} other sets of shapes" if others else ""
        return f"<ModelFile {self.name}: {first.signature}{more}; {first.weight_bytes:,} bytes of weights>"


def file_order(weights: Iterable[tuple[str, Array]]) -> list[str]:
    """The names in the order in which safetensors stores tensors of these names and element types."""
    blob = save({name: np.zeros(1, data.dtype) for name, data in weights})
    header, _ = _header(blob)
    return sorted(header, key=lambda name: header[name]["data_offsets"][0])


def encode(model: ModelFile) -> bytes:
    """The file's bytes; the same for the same model."""
    weights = {w.name: w for plan in model.plans for w in plan.weights}
    tensors = {name: _padded(w.data) for name, w in weights.items()}
    functions = sorted({step.kernel for plan in model.plans for step in plan.steps})
    plain = save(tensors)
    document = {
        "version": VERSION,
        "sha256": UNKNOWN,
        "chunks": _chunks(plain, 8 + int.from_bytes(plain[:8], "little")),
        "name": model.name,
        "kernels": dict(model.kernels),
        "metadata": dict(model.metadata),
        "functions": functions,
        "plans": [encode_plan(plan, functions) for plan in model.plans],
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    blob = save(tensors, metadata={KEY: text})
    start = 8 + int.from_bytes(blob[:8], "little")
    digest = hashlib.sha256(blob[8:start]).hexdigest()
    return b"".join((blob[:start].replace(UNKNOWN.encode(), digest.encode(), 1), memoryview(blob)[start:]))


def decode(blob: bytes, source: str = "model.tinf") -> ModelFile:
    """Parse a file's bytes; PlanError says what is wrong with them. Weights are views of the bytes."""
    try:
        header, start = _header(blob)
    except DamageError as damage:
        raise PlanError(f"{source}: not a TinyInfer model, or truncated: {damage}") from None
    own = header.pop("__metadata__", None)
    text = own.get(KEY) if isinstance(own, dict) else None
    if not isinstance(text, str):
        raise PlanError(f"{source}: a safetensors file without TinyInfer plans; make one with `tinyinfer compile`")
    try:
        document = parse(text, "its plan")
        if document.get("version") != VERSION:
            raise PlanError(
                f"{source}: format version {document.get('version')!r:.40}, this TinyInfer reads version {VERSION}; "
                "compile the model again"
            )
        _check_header(blob[8:start], field(document, "sha256"))
        spans, end = _spans(header)
        if len(blob) < start + end:
            truncated = f"the weights need {end} bytes, the file has {len(blob) - start}"
            raise PlanError(f"{source}: not a TinyInfer model, or truncated: {truncated}")
        need(len(blob) == start + end, f"{len(blob) - start - end} bytes follow the weights")
        _check_data(blob, start, field(document, "chunks"))
        return _decode(document, spans, blob, start)
    except DamageError as damage:
        raise PlanError(f"{source}: damaged: {damage}; download it again, or compile the model again") from None


def _decode(document: dict[str, Any], spans: Mapping[str, Span], blob: bytes, start: int) -> ModelFile:
    """The contents of a file whose data, with tensors at these spans, begins at byte `start`."""
    name, metadata, kernels = (field(document, key) for key in ("name", "metadata", "kernels"))
    need(is_text(name), "the model's name")
    for what, texts in (("metadata", metadata), ("kernels", kernels)):
        need(isinstance(texts, dict) and all(map(is_text, texts.values())), f"{what!r} is not a list of texts by name")
    tensors = {
        tensor: np.frombuffer(blob, kind, (end - first) // np.dtype(kind).itemsize, start + first)
        for tensor, (kind, first, end) in spans.items()
    }
    placed = {tensor: first for tensor, (_, first, _) in spans.items()}
    plans = decode_plans(field(document, "plans"), field(document, "functions"), tensors, placed, len(blob) - start)
    return ModelFile(name, plans, kernels, metadata)


def read(path: Path) -> ModelFile:
    """The contents of the file at `path`; ModelError where it cannot be read, PlanError as `decode`."""
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    return decode(blob, str(path))


def write_atomically(path: Path, blob: bytes) -> None:
    """Write to a temporary file in the same folder, then rename: no reader ever sees half a file."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(blob)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _header(blob: bytes) -> tuple[dict[str, Any], int]:
    """The safetensors header, and where the data begins."""
    need(len(blob) >= 8, f"it has only {len(blob)} bytes")
    length = int.from_bytes(blob[:8], "little")
    need(length <= LONGEST_HEADER, f"the header needs {length} bytes, at most {LONGEST_HEADER} are allowed")
    need(len(blob) >= 8 + length, f"the header needs {length} bytes, the file has {len(blob) - 8}")
    return parse(blob[8 : 8 + length], "its header"), 8 + length


def _chunks(blob: bytes, start: int) -> list[str]:
    """The SHA-256 of each chunk of the data, which begins at byte `start`."""
    data = memoryview(blob)[start:]
    return [hashlib.sha256(data[at : at + CHUNK]).hexdigest() for at in range(0, len(data), CHUNK)]


def _check_header(header: bytes, digest: Any) -> None:
    need(is_text(digest) and len(digest) == len(UNKNOWN), "its SHA-256 is missing")
    found = hashlib.sha256(header.replace(digest.encode(), UNKNOWN.encode(), 1)).hexdigest()
    need(found == digest, "its header has another SHA-256 than when it was written")


def _check_data(blob: bytes, start: int, digests: Any) -> None:
    found = _chunks(blob, start)
    need(isinstance(digests, list) and len(digests) == len(found), "the SHA-256 of its chunks are missing")
    for i, digest in enumerate(found):
        first, last = i * CHUNK, min((i + 1) * CHUNK, len(blob) - start)
        need(digest == digests[i], f"bytes {first} to {last} of the weights have another SHA-256 than when written")


def _spans(header: Mapping[str, Any]) -> tuple[dict[str, Span], int]:
    """Where every tensor lies, in order, and where the last one ends.

    Tensors follow each other without a gap, each padded to 64 bytes: only then are the weights one block of memory.
    """
    spans = {name: _span(name, entry) for name, entry in header.items()}
    ordered = dict(sorted(spans.items(), key=lambda item: item[1][1:]))
    at = 0
    for name, (_, first, end) in ordered.items():
        need(first == at and first <= end and end % ALIGNMENT == 0, f"tensor {name} lies at {first} to {end}")
        at = end
    return ordered, at


def _span(name: str, entry: Any) -> Span:
    kind, shape, offsets = (field(entry, key) for key in ("dtype", "shape", "data_offsets"))
    listed = all(isinstance(n, list) and len(n) <= MOST_AXES and all(map(is_count, n)) for n in (shape, offsets))
    need(isinstance(kind, str) and kind in WEIGHT_TYPES and listed and len(offsets) == 2, f"tensor {name}")
    first, end = offsets
    item = np.dtype(WEIGHT_TYPES[kind]).itemsize
    need(math.prod(shape) * item == end - first, f"tensor {name} of shape {shape} lies at {first} to {end}")
    return WEIGHT_TYPES[kind], first, end


def _padded(data: Array) -> Array:
    flat = data.reshape(-1)
    out = np.zeros(align(data.nbytes) // data.itemsize, data.dtype)
    out[: flat.size] = flat
    return out
