"""Calibration data: what gives it, and the checks every sample has to pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from tinyinfer.errors import FeedError, QuantizationError
from tinyinfer.types import Array


class CalibrationDataReader(ABC):
    """Gives calibration samples one after the other: override `get_next`."""

    @abstractmethod
    def get_next(self) -> Mapping[str, ArrayLike] | None:
        """The next sample, arrays by input name; None when there are no more."""

    def __iter__(self) -> Iterator[Mapping[str, ArrayLike]]:
        while (sample := self.get_next()) is not None:
            yield sample


class _HasGetNext(Protocol):
    """What of a reader is needed: the classes of onnxruntime.quantization have it too."""

    def get_next(self) -> Mapping[str, ArrayLike] | None: ...


CalibrationData = _HasGetNext | Iterable[Mapping[str, ArrayLike]]
"""A reader, or anything that yields samples."""


class Samples(CalibrationDataReader):
    """Samples from a list or an iterator."""

    def __init__(self, samples: Iterable[Mapping[str, ArrayLike]]) -> None:
        self._samples = iter(samples)

    def get_next(self) -> Mapping[str, ArrayLike] | None:
        return next(self._samples, None)


class Replay:
    """Samples that can be read more than once: those of a reader, which gives them once, are put into a file each."""

    def __init__(self, data: CalibrationData) -> None:
        self._data: CalibrationData | None = data
        self._folder: TemporaryDirectory[str] | None = None
        self._count = 0

    def __iter__(self) -> Iterator[Mapping[str, ArrayLike]]:
        if self._data is None:
            assert self._folder is not None
            for index in range(self._count):
                with np.load(Path(self._folder.name) / f"{index}.npz") as loaded:
                    yield dict(loaded)
            return
        if isinstance(self._data, Sequence):
            yield from self._data
            return
        self._folder = TemporaryDirectory(prefix="tinyinfer-")
        source = iter(self._data) if isinstance(self._data, Iterable) else _calls(self._data)
        for sample in source:
            if isinstance(sample, Mapping):
                np.savez(Path(self._folder.name) / f"{self._count}.npz", **sample)  # type: ignore[arg-type]
                self._count += 1
            yield sample
        self._data = None

    def __len__(self) -> int:
        """How many there are; 0 while that is not known."""
        return len(self._data) if isinstance(self._data, Sequence) else self._count if self._data is None else 0


def split_batches(arrays: Mapping[str, Array], batch: int = 1) -> list[dict[str, Array]]:
    """Arrays that hold samples along their first axis, as samples of `batch` rows; what is left over is dropped.

    FeedError when the arrays hold different numbers of samples.
    """
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        listing = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise FeedError(f"the arrays hold different numbers of samples along their first axis: {listing}")
    total = next(iter(counts.values()), 0)
    return [{name: array[i : i + batch] for name, array in arrays.items()} for i in range(0, total - batch + 1, batch)]


def read_samples(data: CalibrationData, names: Sequence[str]) -> Iterator[dict[str, Array]]:
    """Every sample, checked: the names of the model's inputs, numbers that are finite, the shapes of the first one.

    Raises FeedError that names the sample and the input, QuantizationError when there is no sample at all.
    """
    iterator = iter(data) if isinstance(data, Iterable) else _calls(data)
    shapes: dict[str, tuple[int, ...]] = {}
    count = 0
    for count, given in enumerate(iterator, 1):
        sample = _check(given, names, f"calibration sample {count - 1}")
        for name, array in sample.items():
            if shapes.setdefault(name, array.shape) != array.shape:
                raise FeedError(
                    f"calibration sample {count - 1}: input {name!r} has shape {list(array.shape)}; expected "
                    f"{list(shapes[name])}, that of the first sample"
                )
        yield sample
    if not count:
        raise QuantizationError(
            f"the calibration set is empty; expected samples for {', '.join(map(repr, names))}: a reader can be read "
            "once, so give each call a new one"
        )


def _calls(reader: _HasGetNext) -> Iterator[Mapping[str, ArrayLike]]:
    while (sample := reader.get_next()) is not None:
        yield sample


def _check(given: Mapping[str, ArrayLike], names: Sequence[str], where: str) -> dict[str, Array]:
    listing = ", ".join(map(repr, names))
    if not isinstance(given, Mapping):
        raise FeedError(f"{where} is a {type(given).__name__}; expected a dict from input names to arrays: {listing}")
    unknown, missing = sorted(set(given) - set(names)), sorted(set(names) - set(given))
    if unknown or missing:
        problem = f"unknown input {unknown[0]!r}" if unknown else f"input {missing[0]!r} is missing"
        raise FeedError(f"{where}: {problem}; the model's inputs are {listing}")
    sample = {name: np.asarray(given[name]) for name in names}
    for name, array in sample.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = np.argwhere(~np.isfinite(array))[0]
            raise FeedError(f"{where}: input {name!r} is {array[tuple(bad)]} at {list(bad)}; expected finite numbers")
    return sample
