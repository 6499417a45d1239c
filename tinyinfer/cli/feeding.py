"""Turning the arguments of `tinyinfer run` into feeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from tinyinfer import images
from tinyinfer.cli.models import read_feeds
from tinyinfer.errors import FeedError
from tinyinfer.feeds import constant_feeds, random_feeds
from tinyinfer.types import Array
from tinyinfer.wasm_backend.plan import Binding


@dataclass
class Given:
    """What the arguments name: arrays by input, pictures by input, and pictures that name no input."""

    arrays: dict[str, Array] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    unnamed: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """The feeds of one run and what to call it."""

    label: str
    feeds: Mapping[str, Array]


def read_arguments(arguments: Iterable[str], names: Sequence[str]) -> Given:
    """Sort arguments of the forms FILE and NAME=FILE; arrays are read, pictures wait for the input's shape."""
    given = Given()
    for text in arguments:
        head, equals, tail = text.partition("=")
        name, path = (head, Path(tail)) if equals and (head in names or not Path(text).exists()) else ("", Path(text))
        if name and name not in names:
            raise FeedError(f"unknown input {name!r}; the model's inputs are {', '.join(names)}")
        if path.suffix.lower() in images.SUFFIXES:
            if name:
                given.pictures[name] = path
            else:
                given.unnamed.append(path)
        elif path.suffix.lower() in (".npz", ".npy"):
            given.arrays.update(read_feeds(path, [name] if name else names))
        else:
            raise FeedError(f"{path}: not an input; accepted: .npz, .npy and pictures ({_suffixes()})")
    return given


def picture_inputs(given: Given, inputs: Sequence[Binding]) -> list[Binding]:
    """The inputs that pictures are for; those without a name are for the first input without a value."""
    named = [b for b in inputs if b.name in given.pictures]
    free = [b for b in inputs if b.name not in given.arrays and b.name not in given.pictures]
    return [*named, *(free[:1] if given.unnamed else [])]


def _suffixes() -> str:
    return ", ".join(sorted(images.SUFFIXES))


def runs(
    given: Given,
    inputs: Sequence[Binding],
    metadata: Mapping[str, str],
    preprocessing: Mapping[str, Any],
    seed: int | None,
    fill: float | None,
) -> list[Run]:
    """The runs to make: one, or one for each picture that names no input.

    Inputs without a file are random with `seed`, or filled with `fill`; FeedError names those left.
    """
    bindings = {b.name: b for b in inputs}

    def picture(path: Path, binding: Binding) -> Array:
        preprocess = images.Preprocess.of(metadata, binding).with_options(**preprocessing)
        return images.read_image(path, preprocess, binding)

    feeds = {**given.arrays, **{n: picture(path, bindings[n]) for n, path in given.pictures.items()}}
    free = [b for b in inputs if b.name not in feeds]
    if given.unnamed:
        if not free:
            raise FeedError(f"{given.unnamed[0]}: every input has a value already")
        target = free.pop(0)
    feeds.update(_made(free, seed, fill))
    if given.unnamed:
        return [Run(str(path), {**feeds, target.name: picture(path, target)}) for path in given.unnamed]
    return [Run("", feeds)]


def _made(inputs: Sequence[Binding], seed: int | None, fill: float | None) -> dict[str, Array]:
    if seed is not None and fill is not None:
        raise typer.BadParameter("give one of --random and --fill", param_hint="--random / --fill")
    if fill is not None:
        return constant_feeds(inputs, fill)
    if seed is not None:
        return random_feeds(inputs, seed)
    if inputs:
        listing = ", ".join(f"{b.name}: {b.dtype.value}{list(b.shape)}" for b in inputs)
        raise FeedError(f"no value for {listing}; give [NAME=]FILE, or --random SEED or --fill VALUE for what is left")
    return {}
