"""Calibration data from files: one .npz or .npy with many samples, or a folder of samples and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import onnx

from tinyinfer import images
from tinyinfer.errors import FeedError, QuantizationError
from tinyinfer.feeds import by_position, read_arrays
from tinyinfer.frontend import binding, reading
from tinyinfer.quantization.preparation import ModelInput
from tinyinfer.quantization.readers import split_batches
from tinyinfer.types import Array
from tinyinfer.wasm_backend.plan import Binding

ARRAYS = (".npz", ".npy")
Sample = dict[str, Array]


class FolderSamples(Sequence[Sample]):
    """The files of a folder, in the order of their names, each a sample; read when asked for, so that any number of
    pictures takes the memory of one.
    """

    def __init__(
        self, paths: Sequence[Path], inputs: Sequence[Binding], pictures: Mapping[str, images.Preprocess]
    ) -> None:
        self._paths = paths
        self._inputs = {b.name: b for b in inputs}
        self._pictures = pictures

    @property
    def picture_inputs(self) -> list[Binding]:
        """The inputs that pictures among the files are for."""
        return [self._inputs[name] for name in self._pictures]

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> FolderSamples: ...

    def __getitem__(self, index: int | slice) -> Sample | FolderSamples:
        if isinstance(index, slice):
            return FolderSamples(self._paths[index], list(self._inputs.values()), self._pictures)
        path = self._paths[index]
        if path.suffix.lower() in ARRAYS:
            return by_position(read_arrays(path), list(self._inputs), "input")
        ((name, preprocess),) = self._pictures.items()
        return {name: images.read_image(path, preprocess, self._inputs[name])}


def bound_inputs(model: ModelInput, shapes: Mapping[str, Sequence[int]] | None = None) -> list[Binding]:
    """The inputs of a model with their shapes, open dimensions bound by `shapes`. Raises ShapeError and ModelError."""
    source = reading.read(model)
    types = binding.bind(_declared(source), dict(shapes or {}), source.label).complete()
    return [Binding(n, t.dtype, t.shape, 0, tuple(range(len(t.shape)))) for n, t in types.items()]


def _declared(source: reading.Source) -> list[onnx.ValueInfoProto]:
    """The inputs in the file that are no constants."""
    constants = {t.name for t in source.proto.graph.initializer}
    return [i for i in source.proto.graph.input if i.name not in constants]


def read_calibration(
    path: Path,
    model: ModelInput,
    shapes: Mapping[str, Sequence[int]] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
) -> Sequence[Sample]:
    """The calibration samples for a model that a path holds.

    * An .npz file: arrays named as the inputs, or `input_<position>`; an .npy file: the only input. The first axis
      counts samples, which are cut into batches of the size that the model fixes, 1 where it leaves it open.
    * A folder: each .npz or .npy file is one sample as the model takes it, each picture one sample of a model with one
      input, made into an array as the model's metadata or `preprocessing` (fields of `images.Preprocess`) say.

    Raises FeedError for files that cannot be read or are something else, QuantizationError for an empty folder.
    """
    source = reading.read(model)
    declared = _declared(source)
    if path.is_dir():
        metadata = {p.key: p.value for p in source.proto.metadata_props}
        return _folder(path, bound_inputs(model, shapes), metadata, preprocessing or {})
    if path.suffix.lower() not in ARRAYS:
        raise FeedError(f"{path}: not calibration data; accepted: .npz, .npy, or a folder of these and of pictures")
    arrays = by_position(read_arrays(path), [i.name for i in declared], "input")
    batch = 1
    for info in declared:
        dims = info.type.tensor_type.shape.dim
        wanted = (shapes or {}).get(info.name, [d.dim_value for d in dims])
        batch = int(wanted[0]) if wanted and wanted[0] > 0 else batch
    samples = split_batches(arrays, batch)
    if not samples:
        raise QuantizationError(f"{path} holds no sample: the model takes batches of {batch} along the first axis")
    return samples


def _folder(
    folder: Path, inputs: Sequence[Binding], metadata: Mapping[str, str], preprocessing: Mapping[str, Any]
) -> FolderSamples:
    known = {*ARRAYS, *images.SUFFIXES}
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in known and not p.name.startswith("."))
    if not paths:
        raise QuantizationError(f"{folder} holds no calibration data; accepted: .npz, .npy and pictures")
    pictures = [p for p in paths if p.suffix.lower() not in ARRAYS]
    if not pictures:
        return FolderSamples(paths, inputs, {})
    if len(inputs) != 1:
        names = ", ".join(b.name for b in inputs)
        raise FeedError(f"{pictures[0]}: a picture is one input, the model has {len(inputs)}: {names}; give .npz files")
    (only,) = inputs
    preprocess = images.Preprocess.of(metadata, only).with_options(**preprocessing)
    return FolderSamples(paths, inputs, {only.name: preprocess})
