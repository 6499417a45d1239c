"""What a run is fed: arrays, or what can be made arrays without changing a value, under the names of inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tinyinfer.errors import FeedError, PlanError
from tinyinfer.types import Array
from tinyinfer.wasm_backend.plan import Binding, Plan

_NUMBERS = "biuf"


def by_name(inputs: Sequence[Binding], feeds: Any) -> Mapping[str, Any]:
    """`feeds` as they are if they have names; what is given to a model of one input is that input."""
    if isinstance(feeds, Mapping):
        return feeds
    if len(inputs) == 1 and feeds is not None:
        return {inputs[0].name: feeds}
    example = ", ".join(f'"{b.name}": …' for b in inputs)
    what = "feeds are missing" if feeds is None else f"the model has {len(inputs)} inputs, which are fed by name"
    raise FeedError(f"{what}; write session.run({{{example}}})")


def choose_plan(plans: Iterable[Plan], feeds: Mapping[str, ArrayLike]) -> Plan:
    """The plan made for the shapes of `feeds`; the first one if none fits, so that the error names its shapes."""
    candidates = list(plans)
    if not candidates:
        raise PlanError("the model holds no plan")
    shapes = {name: _shape(array) for name, array in feeds.items()}
    for plan in candidates:
        if all(shapes.get(b.name) == b.shape for b in plan.inputs):
            return plan
    return candidates[0]


def check_feeds(
    inputs: Iterable[Binding], feeds: Mapping[str, ArrayLike], plans: Iterable[Plan] = ()
) -> dict[str, Array]:
    """`feeds` as arrays of the inputs' element types and shapes; FeedError names what does not fit, and what would.

    Arrays of a smaller type of the same kind (float16, int8 for int32) are widened. Python's numbers become the
    input's type: floats are rounded, integers have to fit. `plans` are all that the model has.
    """
    expected = {b.name: b for b in inputs}
    listing = _listing(expected.values())
    unknown = sorted(map(repr, feeds.keys() - expected.keys()))
    missing = sorted(map(repr, expected.keys() - feeds.keys()))
    if unknown:
        raise FeedError(f"unknown input {', '.join(unknown)}; the model's inputs are {listing}")
    if missing:
        raise FeedError(f"input {', '.join(missing)} is missing in feeds; the model's inputs are {listing}")
    checked = {name: _converted(binding, feeds[name]) for name, binding in expected.items()}
    for name, array in checked.items():
        if array.shape != expected[name].shape:
            raise FeedError(_misfit(name, array.shape, expected[name].shape, list(plans)))
    return checked


def _shape(value: ArrayLike) -> tuple[int, ...] | None:
    try:
        return np.shape(value)
    except (TypeError, ValueError):
        return None  # lists of different lengths


def _listing(bindings: Iterable[Binding]) -> str:
    return ", ".join(f"{b.name}: {b.dtype.value}{list(b.shape)}" for b in bindings)


def _misfit(name: str, found: tuple[int, ...], wanted: tuple[int, ...], plans: Sequence[Plan]) -> str:
    shapes = list(dict.fromkeys(b.shape for plan in plans for b in plan.inputs if b.name == name)) or [wanted]
    if found in shapes:
        sets = " or ".join(_listing(plan.inputs) for plan in plans)
        return f"the shapes of the inputs do not go together; the model was compiled for {sets}"
    expected = " or ".join(str(list(shape)) for shape in shapes)
    problem = f"input {name!r} has shape {list(found)}; expected {expected}"
    if len(found) != len(wanted) or 0 in found:
        return problem
    option = "x".join(map(str, found))
    how = f'--shape {name}={option}, in Python tinyinfer.compile(model, {{"{name}": {found}}})'
    return f"{problem}. If the model leaves these dimensions open, compile it for them: {how}"


def _converted(binding: Binding, value: Any) -> Array:
    """The value as an array of the input's type, or FeedError."""
    wanted, name = binding.dtype.numpy, binding.name
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise FeedError(f"input {name!r} cannot be made an array: {error}") from None
    if array.dtype == wanted:
        return array
    kinds = {array.dtype.kind, wanted.kind}
    if (len(kinds) == 1 or kinds == {"i", "u"}) and np.can_cast(array.dtype, wanted, "safe"):
        return array.astype(wanted)
    if not hasattr(value, "dtype"):
        return _of_numbers(name, array, wanted)
    advice = f'; write feeds["{name}"].astype("{wanted}")' if array.dtype.kind in _NUMBERS else ""
    raise FeedError(f"input {name!r} is {array.dtype}; expected {wanted}{advice}")


def _of_numbers(name: str, array: Array, wanted: np.dtype[Any]) -> Array:
    """Python's numbers, which have no element type of their own."""
    allowed = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}[wanted.kind]
    if array.size and array.dtype.kind not in allowed:
        kind = {"f": "floats", "b": "booleans"}.get(array.dtype.kind, str(array.dtype))
        raise FeedError(f"input {name!r} is {kind}; expected {wanted}")
    with np.errstate(over="ignore"):
        converted = array.astype(wanted)
    fits = (np.isinf(converted) == np.isinf(array)) if array.dtype.kind == "f" else converted == array
    if not np.all(fits):
        first = array[~np.asarray(fits)].flat[0] if array.ndim else array
        raise FeedError(f"input {name!r} has the number {first}, which {wanted} does not hold")
    return converted
