"""The JSON document of a `.tinf` file: plans as JSON, and the rules that whatever is read has to keep.

Nothing in a file is believed: a plan that has been read holds tensors inside linear memory, names kernels, nodes and
arguments that are there, and is cut into pieces that exist. `web/plan.js` has the rules on which something depends
there. What rules cannot say, whether an address is the right one, is left to WebAssembly: a call reads and writes
linear memory alone, or traps.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend.demands import unmet
from tinyinfer.wasm_backend.kernel_module import Param
from tinyinfer.wasm_backend.kernels import KERNELS
from tinyinfer.wasm_backend.memory import ALIGNMENT, PAGE, ZEROS
from tinyinfer.wasm_backend.plan import Binding, NodePlan, Plan, Split, Step, Weight
from tinyinfer.wasm_backend.strides import plain, strides_of

MOST_MEMORY = 1 << 32
MOST_ELEMENTS = 1 << 53
"""Dimensions multiply to less than what JavaScript counts exactly, also where one of them is 0."""
MOST_AXES = 64
"""As many as NumPy has."""
SPECIAL = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
"""The floats that JSON lacks."""


class DamageError(ValueError):
    """What is wrong with a document."""


def need(condition: object, what: str) -> None:
    """Raise DamageError, which says what is wrong, unless the condition holds."""
    if not condition:
        raise DamageError(what)


def is_count(value: object, most: int = MOST_ELEMENTS) -> bool:
    """Whether it is an integer from 0 to `most`. Booleans are not."""
    return type(value) is int and 0 <= value <= most


def is_text(value: object) -> bool:
    return isinstance(value, str)


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def parse(text: str | bytes, what: str) -> dict[str, Any]:
    """The JSON object; DamageError when it is none, is not strict JSON in UTF-8, or has a name twice."""
    try:
        decoded = text if isinstance(text, str) else text.decode()
        parsed = json.loads(decoded, object_pairs_hook=_once, parse_int=_integer, parse_constant=_refuse)
    except RecursionError:
        raise DamageError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise DamageError(f"{what} is not a JSON object: {error}") from None
    need(isinstance(parsed, dict), f"{what} is not a JSON object")
    return dict(parsed)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    need(len(result) == len(pairs), "a name stands twice in one object")
    return result


def _integer(digits: str) -> int:
    need(len(digits) <= len(str(MOST_ELEMENTS)) + 1, f"a number of {len(digits)} digits")
    return int(digits)


def _refuse(constant: str) -> Any:
    raise DamageError(f"{constant} is not JSON")


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def encode_plan(plan: Plan, functions: Sequence[str]) -> dict[str, Any]:
    """The plan as JSON; kernels are numbers in `functions`."""
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


def _encode_binding(b: Binding) -> list[Any]:
    return [b.name, b.dtype.value, list(b.shape), b.offset]


def _encode_sharing(step: Step) -> list[Any]:
    """Its split, and its scratch, which matters to those only that are split."""
    split = step.split
    if split is None:
        return []
    columns = [] if split.extent is None else [split.extent, *itertools.chain(*split.moves)]
    return [[split.pieces, split.width, *columns], *([] if step.scratch is None else [step.scratch])]


def _encode_number(value: int | float) -> int | float | str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def decode_plans(
    plans: Any, functions: Any, tensors: Mapping[str, Array], placed: Mapping[str, int], size: int
) -> tuple[Plan, ...]:
    """The plans over weights of `size` bytes, `placed` from where they begin; DamageError names what breaks a rule."""
    need(isinstance(plans, list) and plans, "no plan")
    need(isinstance(functions, list) and all(map(is_text, functions)), "the names of kernels")
    decoded = tuple(_decode_plan(plan, functions, tensors, placed, size) for plan in plans)
    first = decoded[0]
    for plan in decoded:
        same = (plan.weights_offset, plan.arena_offset) == (first.weights_offset, first.arena_offset)
        need(same, "its plans disagree on where the weights lie")
        need(_types(plan) == _types(first), "its plans disagree on inputs and outputs")
    return decoded


def _types(plan: Plan) -> list[list[tuple[str, DType]]]:
    return [[(b.name, b.dtype) for b in bindings] for bindings in (plan.inputs, plan.outputs)]


def _decode_plan(
    plan: Any, functions: Sequence[str], tensors: Mapping[str, Array], placed: Mapping[str, int], size: int
) -> Plan:
    weights, arena, memory, scratch, live = (
        field(plan, name) for name in ("weights", "arena", "memory", "scratch", "live")
    )
    whole = all(is_count(n, MOST_MEMORY) for n in (weights, arena, memory, scratch, live)) and memory % PAGE == 0
    ordered = whole and weights % ALIGNMENT == 0 and weights >= ZEROS and weights + size <= arena <= memory
    need(ordered, f"memory map {weights}, {arena}, {memory}, {scratch} with weights of {size} bytes")
    nodes = _list(plan, "nodes")
    for node in nodes:
        need(isinstance(node, list) and len(node) == 2 and all(map(is_text, node)), f"node {_short(node)}")
    return Plan(
        inputs=_decode_bindings(_list(plan, "inputs"), arena, memory),
        outputs=_decode_bindings(_list(plan, "outputs"), weights, memory),
        steps=tuple(
            _decode_step(i, step, functions, len(nodes), memory) for i, step in enumerate(_list(plan, "steps"))
        ),
        nodes=tuple(NodePlan(name, op, ()) for name, op in nodes),
        weights=tuple(Weight(name, data, weights + placed[name]) for name, data in tensors.items()),
        weights_offset=weights,
        arena_offset=arena,
        arena_bytes=memory - arena,
        live_bytes=live,
        memory_bytes=memory,
        scratch_bytes=scratch,
    )


def field(values: Any, name: str) -> Any:
    """What an object has under this name; DamageError when it has nothing, or is no object."""
    if not isinstance(values, dict):
        raise DamageError(f"{_short(values)} is not an object")
    need(name in values, f"{name!r} is missing")
    return values[name]


def _list(values: Any, name: str) -> list[Any]:
    found = field(values, name)
    need(isinstance(found, list), f"{name!r} is not a list")
    return list(found)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _decode_bindings(entries: Sequence[Any], first: int, memory: int) -> tuple[Binding, ...]:
    """Tensors between the address `first` and the end of memory, each name once."""
    bindings = tuple(_decode_binding(entry, first, memory) for entry in entries)
    need(len({b.name for b in bindings}) == len(bindings), "two tensors have one name")
    return bindings


def _decode_binding(entry: Any, first: int, memory: int) -> Binding:
    need(isinstance(entry, list) and len(entry) == 4, f"tensor {_short(entry)}")
    name, kind, shape, address = entry
    need(is_text(name), f"tensor {_short(name)} without a name")
    need(is_text(kind) and kind in {d.value for d in DType}, f"tensor {name} of type {_short(kind)}")
    need(isinstance(shape, list) and len(shape) <= MOST_AXES and all(map(is_count, shape)), f"shape of tensor {name}")
    need(math.prod(max(n, 1) for n in shape) <= MOST_ELEMENTS, f"tensor {name} of shape {_short(shape)}")
    dtype = DType(kind)
    fits = is_count(address) and address % dtype.size == 0 and address >= first
    need(fits and address + math.prod(shape) * dtype.size <= memory, f"tensor {name} at {_short(address)}")
    return Binding(name, dtype, tuple(shape), address, strides_of(shape, plain(len(shape))))


def _decode_step(i: int, entry: Any, functions: Sequence[str], nodes: int, memory: int) -> Step:
    need(isinstance(entry, list) and 3 <= len(entry) <= 5, f"step {i}")
    index, node, args, *sharing = entry
    need(is_count(index) and index < len(functions), f"step {i} calls kernel number {_short(index)}")
    need(is_count(node) and node < nodes, f"step {i} belongs to node number {_short(node)}")
    need(isinstance(args, list) and all(map(_is_argument, args)), f"arguments of step {i}")
    decoded = tuple(SPECIAL[a] if isinstance(a, str) else a for a in args)
    ends = decoded[-2:]
    need(len(ends) == 2 and all(is_count(m, memory) for m in ends) and ends[0] <= ends[1], f"range of step {i}")
    kernel = functions[index]
    if not sharing:
        return Step(kernel, decoded, node)
    split = _decode_split(sharing[0], decoded)
    need(split is not None, f"split of step {i}: {_short(sharing[0])}")
    scratch = sharing[1] if len(sharing) > 1 else None
    fits = scratch is None or (is_count(scratch) and scratch < len(args) and is_count(args[scratch], memory))
    need(fits, f"scratch of step {i}: {_short(scratch)}")
    return Step(kernel, decoded, node, split, scratch)


def _is_argument(value: object) -> bool:
    """A number that fits i32, signed or unsigned, or f32; or the name of one that JSON lacks."""
    if isinstance(value, str):
        return value in SPECIAL
    return (type(value) is int and -(1 << 31) <= value < 1 << 32) or (type(value) is float and math.isfinite(value))


def _decode_split(fields: object, args: Sequence[int | float]) -> Split | None:
    """How a call with these arguments may be cut; None if it cannot be cut so."""
    if not isinstance(fields, list) or len(fields) < 2 or not all(is_count(n) for n in fields):
        return None
    pieces, width, *columns = fields
    extent = columns[0] if columns else None
    moves = tuple(zip(columns[1::2], columns[2::2]))
    if (columns and len(columns) != 1 + 2 * len(moves)) or any(n >= len(args) for n in columns[:1] + columns[1::2]):
        return None
    size = args[-1] - args[-2] if extent is None else args[extent]
    if width < 1 or not is_count(size) or not 1 <= pieces <= -(-int(size) // width):
        return None
    moved = all(type(args[n]) is int and 0 <= args[n] + size * stride < 1 << 32 for n, stride in moves)
    return Split(pieces, width, extent, moves) if moved else None


# ── steps and kernels ────────────────────────────────────────────────────────────────────────────────────────────────


def check_steps(plans: Iterable[Plan], signatures: Mapping[str, Sequence[Param]]) -> None:
    """Raise DamageError unless every step calls a kernel of these signatures with arguments that it takes.

    They have its types, meet its demands, and what multiplies to its work are counts, none larger than memory.
    """
    for plan in plans:
        for i, step in enumerate(plan.steps):
            problem = _misfit(step, signatures.get(step.kernel), plan.memory_bytes)
            if problem:
                raise DamageError(f"step {i}: kernel {step.kernel} {problem}")


def _misfit(step: Step, parameters: Sequence[Param] | None, memory: int) -> str | None:
    """What is wrong with the arguments of a step, if anything."""
    kernel = KERNELS.get(step.kernel)
    if parameters is None or kernel is None:
        return "is missing"
    if len(parameters) != len(step.args):
        return f"takes {len(parameters)} arguments, not {len(step.args)}"
    for parameter, value in zip(parameters, step.args):
        if (type(value) is float) != (parameter.type == "f32"):
            return f"has {parameter.name} = {value}, which is no {parameter.type}"
    args = {parameter.name: value for parameter, value in zip(parameters, step.args)}
    for name in kernel.work.each.split():
        if not is_count(args[name], memory):
            return f"has {name} = {args[name]}"
    demand = unmet(kernel.demands, args, kernel.size)
    return demand and f"demands {demand}"
