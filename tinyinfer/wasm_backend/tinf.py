"""`model.tinf`: a safetensors file whose tensors are the packed weights and whose metadata holds the plans.

The data section is the image of the weights region of linear memory: tensors are flat, zero-padded to 64 bytes and
stored in address order, so loading is one copy. `__metadata__["tinyinfer"]` is JSON:

    {"version": 2, "name": …, "kernels": {tier: sha256}, "metadata": {…},
     "functions": [kernel names], "plans": [plan, …]}

and a plan is {"inputs", "outputs": [[name, dtype, shape, address]…],
"steps": [[function, node, [args…], split?, scratch?]…], "nodes": [[name, op]…], "weights": address, "arena": address,
"memory": bytes, "scratch": bytes}. The addresses of weights and arena are the same in all plans. A split is [pieces,
width], or [pieces, width, extent, argument, stride, …] by columns; scratch is the number of the argument that each
thread has its own of. Floats that JSON lacks are the strings "Infinity", "-Infinity" and "NaN".
"""

from __future__ import annotations

import itertools
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tinyinfer.errors import ModelError, PlanError
from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend.memory import align
from tinyinfer.wasm_backend.plan import Binding, NodePlan, Plan, Split, Step, Weight
from tinyinfer.wasm_backend.strides import plain, strides_of

VERSION = 2
KEY = "tinyinfer"


@dataclass(frozen=True)
class ModelFile:
    """The contents of a `.tinf` file. `kernels` maps a tier to the SHA-256 of the module the plans were made for."""

    name: str
    plans: tuple[Plan, ...]
    kernels: Mapping[str, str]
    metadata: Mapping[str, str]


def file_order(weights: Iterable[tuple[str, Array]]) -> list[str]:
    """The names in the order in which safetensors stores tensors of these names and element types."""
    blob = save({name: np.zeros(1, data.dtype) for name, data in weights})
    header = _header(blob)
    return sorted(header, key=lambda name: header[name]["data_offsets"][0])


def encode(model: ModelFile) -> bytes:
    """The file's bytes; the same for the same model."""
    weights = {w.name: w for plan in model.plans for w in plan.weights}
    tensors = {name: _padded(w.data) for name, w in weights.items()}
    functions = sorted({step.kernel for plan in model.plans for step in plan.steps})
    document = {
        "version": VERSION,
        "name": model.name,
        "kernels": dict(model.kernels),
        "metadata": dict(model.metadata),
        "functions": functions,
        "plans": [_encode_plan(plan, functions) for plan in model.plans],
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return save(tensors, metadata={KEY: text})


def decode(blob: bytes, source: str = "model.tinf") -> ModelFile:
    """Parse a file's bytes; PlanError says what is wrong with them."""
    try:
        header = _header(blob)
        tensors = load(blob)
    except (SafetensorError, ValueError, KeyError) as error:
        raise PlanError(f"{source}: not a TinyInfer model, or truncated: {error}") from None
    text = header.get("__metadata__", {}).get(KEY)
    if text is None:
        raise PlanError(f"{source}: a safetensors file without TinyInfer plans; make one with `tinyinfer compile`")
    document = json.loads(text)
    if document.get("version") != VERSION:
        raise PlanError(
            f"{source}: format version {document.get('version')}, this TinyInfer reads version {VERSION}; "
            "compile the model again"
        )
    placed = {name: header[name]["data_offsets"][0] for name in tensors}
    try:
        plans = tuple(_decode_plan(p, document["functions"], tensors, placed) for p in document["plans"])
        return ModelFile(document["name"], plans, document["kernels"], document["metadata"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise PlanError(f"{source}: damaged plan: {error!r}") from None


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


def _header(blob: bytes) -> dict[str, Any]:
    length = int.from_bytes(blob[:8], "little")
    if len(blob) < 8 + length:
        raise ValueError(f"the header needs {length} bytes, the file has {max(len(blob) - 8, 0)}")
    parsed: dict[str, Any] = json.loads(blob[8 : 8 + length])
    return parsed


def _padded(data: Array) -> Array:
    flat = data.reshape(-1)
    out = np.zeros(align(data.nbytes) // data.itemsize, data.dtype)
    out[: flat.size] = flat
    return out


def _encode_plan(plan: Plan, functions: Sequence[str]) -> dict[str, Any]:
    index = {name: i for i, name in enumerate(functions)}
    return {
        "inputs": [_encode_binding(b) for b in plan.inputs],
        "outputs": [_encode_binding(b) for b in plan.outputs],
        "steps": [
            [index[s.kernel], s.node, [_encode_number(a) for a in s.args], *_encode_sharing(s)] for s in plan.steps
        ],
        "nodes": [[n.name, n.op] for n in plan.nodes],
        "weights": plan.weights_offset,
        "arena": plan.arena_offset,
        "live": plan.live_bytes,
        "memory": plan.memory_bytes,
        "scratch": plan.scratch_bytes,
    }


def _decode_plan(
    plan: Mapping[str, Any], functions: Sequence[str], tensors: Mapping[str, Array], placed: Mapping[str, int]
) -> Plan:
    start = plan["weights"]
    return Plan(
        inputs=tuple(_decode_binding(b) for b in plan["inputs"]),
        outputs=tuple(_decode_binding(b) for b in plan["outputs"]),
        steps=tuple(
            Step(functions[f], tuple(_decode_number(a) for a in args), n, *_decode_sharing(*sharing))
            for f, n, args, *sharing in plan["steps"]
        ),
        nodes=tuple(NodePlan(name, op, ()) for name, op in plan["nodes"]),
        weights=tuple(Weight(name, data, start + placed[name]) for name, data in tensors.items()),
        weights_offset=start,
        arena_offset=plan["arena"],
        arena_bytes=plan["memory"] - plan["arena"],
        live_bytes=plan["live"],
        memory_bytes=plan["memory"],
        scratch_bytes=plan["scratch"],
    )


def _encode_binding(b: Binding) -> list[Any]:
    return [b.name, b.dtype.value, list(b.shape), b.offset]


def _decode_binding(fields: Sequence[Any]) -> Binding:
    name, dtype, shape, offset = fields
    return Binding(name, DType(dtype), tuple(shape), offset, strides_of(shape, plain(len(shape))))


def _encode_sharing(step: Step) -> list[Any]:
    """Its split, and its scratch, which matters to those only that are split."""
    split = step.split
    if split is None:
        return []
    columns = [] if split.extent is None else [split.extent, *itertools.chain(*split.moves)]
    return [[split.pieces, split.width, *columns], *([] if step.scratch is None else [step.scratch])]


def _decode_sharing(fields: Sequence[int] | None = None, scratch: int | None = None) -> tuple[Split | None, int | None]:
    if fields is None:
        return None, None
    pieces, width, *columns = fields
    extent = columns[0] if columns else None
    return Split(pieces, width, extent, tuple(zip(columns[1::2], columns[2::2]))), scratch


def _encode_number(value: int | float) -> int | float | str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _decode_number(value: int | float | str) -> int | float:
    return float(value) if isinstance(value, str) else value
