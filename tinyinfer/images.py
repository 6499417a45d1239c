"""Pictures as model inputs: a file, scaled and framed, to an array in the layout the model wants.

What a model expects is stated in the ONNX file's metadata under `tinyinfer.preprocess`, a JSON object with the fields
of `Preprocess`; the labels of its output are in `tinyinfer.labels`, one a line. Values are `(byte - mean) / std` in
float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyinfer.errors import FeedError, ModelError, TinyInferError
from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend.plan import Binding

if TYPE_CHECKING:
    from PIL.Image import Image

PREPROCESS_KEY = "tinyinfer.preprocess"
LABELS_KEY = "tinyinfer.labels"
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})

# Bytes above it are ink when a drawing is framed.
INK = 127

_ACCEPTED = {
    "color": ("gray", "rgb", "bgr"),
    "layout": ("NCHW", "NHWC"),
    "polarity": ("", "light-on-dark", "dark-on-light"),
    "center": ("", "bounding-box"),
}


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes an input. `mean` and `std` have one value, or one for each channel."""

    width: int
    height: int
    color: str = "rgb"
    layout: str = "NCHW"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)
    resize: str = "stretch"
    """`stretch` to the input's size; `crop`: scale the picture to cover that size and cut the centre out; a number:
    scale the shorter side to so many pixels and cut the centre out."""
    polarity: str = ""
    """What a drawing looks like to the model; a drawing of the other polarity is inverted."""
    fit: int = 0
    """For drawings: the length in pixels of the longer side of the ink's bounding box; 0 for pictures."""
    center: str = ""

    def __post_init__(self) -> None:
        for name, accepted in _ACCEPTED.items():
            if getattr(self, name) not in accepted:
                options = ", ".join(repr(a) for a in accepted if a)
                raise ModelError(f"{PREPROCESS_KEY}: {name} is {getattr(self, name)!r}; accepted: {options}")
        if self.resize not in ("stretch", "crop") and not self._short_side_fits():
            raise ModelError(
                f"{PREPROCESS_KEY}: resize is {self.resize!r}; accepted: 'stretch', 'crop', or the length of the "
                f"shorter side, at least {max(self.width, self.height)}"
            )
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.channels):
                raise ModelError(
                    f"{PREPROCESS_KEY}: {name} has {len(getattr(self, name))} values; accepted: 1 or {self.channels}"
                )
        if 0.0 in self.std:
            raise ModelError(f"{PREPROCESS_KEY}: std must not be 0")

    def _short_side_fits(self) -> bool:
        return self.resize.isdecimal() and int(self.resize) >= max(self.width, self.height)

    @property
    def channels(self) -> int:
        return 1 if self.color == "gray" else 3

    @staticmethod
    def of(metadata: Mapping[str, str], binding: Binding) -> Preprocess:
        """What the metadata states, or what the shape of the input suggests: colours by channels, bytes / 255."""
        guess = _guess(binding)
        text = metadata.get(PREPROCESS_KEY)
        return guess if text is None else _parse(text, guess)

    def with_options(self, **options: Any) -> Preprocess:
        """A copy with the options that are not None."""
        return replace(self, **{k: v for k, v in options.items() if v is not None})

    def describe(self, dtype: DType = DType.FLOAT) -> str:
        """One line for people: size, channels, and how bytes become values of an input of this type."""
        frame = {"stretch": "stretched", "crop": "the largest centre"}.get(
            self.resize, f"shorter side to {self.resize}, then the centre"
        )
        if self.fit:
            frame = f"drawing framed to {self.fit} pixels"
        mean, std = (" ".join(f"{v:.6g}" for v in values) for values in (self.mean, self.std))
        values = "bytes as they are" if dtype is DType.UINT8 else f"value = (byte - {mean}) / {std}"
        return f"{self.width}×{self.height} {self.color} {self.layout}, {frame}, {values}"

    def unstated(self, metadata: Mapping[str, str], options: Mapping[str, Any], dtype: DType) -> list[str]:
        """The fields that shape the values and that neither metadata nor options state."""
        stated = {*_stated(metadata), *(name for name, value in options.items() if value is not None)}
        asked = ["mean", "std"] if dtype is not DType.UINT8 else []
        asked += ["resize"] if not self.fit else []
        return [name for name in asked if name not in stated]


def state(metadata: Mapping[str, str], binding: Binding, options: Mapping[str, Any]) -> dict[str, str]:
    """`metadata` that states the options too: fields of `Preprocess`, those that are None left out.

    ModelError for values that are not accepted, FeedError where the input is no picture.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        return dict(metadata)
    Preprocess.of(metadata, binding).with_options(**given)
    return {**metadata, PREPROCESS_KEY: json.dumps({**_stated(metadata), **given})}


def picture_input(inputs: Sequence[Binding]) -> Binding:
    """The first input that has the shape of a picture; FeedError, of the first input, where none has."""
    for binding in inputs:
        try:
            _guess(binding)
        except FeedError:
            continue
        return binding
    _guess(inputs[0])
    raise AssertionError("the first input has just been refused")


def labels_of(metadata: Mapping[str, str]) -> list[str]:
    """The labels in a model's metadata, or none."""
    return metadata.get(LABELS_KEY, "").splitlines()


def read_image(path: Path, preprocess: Preprocess, binding: Binding) -> Array:
    """The picture as an array of the input's shape and element type; FeedError when that cannot be."""
    picture = _open(path)
    grayscale = preprocess.color == "gray"
    size = (preprocess.width, preprocess.height)
    picture = picture.convert("L" if grayscale else "RGB")
    if picture.size != size:
        picture = _frame_drawing(path, picture, preprocess) if preprocess.fit else _resize(picture, preprocess)
    pixels: Array = np.asarray(picture, np.uint8).reshape(preprocess.height, preprocess.width, preprocess.channels)
    if preprocess.color == "bgr":
        pixels = pixels[:, :, ::-1]
    values = pixels if binding.dtype is DType.UINT8 else _normalize(pixels, preprocess)
    ordered = values.transpose(2, 0, 1) if preprocess.layout == "NCHW" else values
    if int(np.prod(binding.shape)) != ordered.size:
        raise FeedError(
            f"{path}: {preprocess.channels} × {preprocess.height} × {preprocess.width} values do not fill input "
            f"{binding.name!r} of shape {list(binding.shape)}"
        )
    return np.ascontiguousarray(ordered).reshape(binding.shape)


def _normalize(pixels: Array, preprocess: Preprocess) -> Array:
    mean, std = np.array(preprocess.mean, np.float32), np.array(preprocess.std, np.float32)
    return (pixels.astype(np.float32) - mean) / std


def _guess(binding: Binding) -> Preprocess:
    shape = binding.shape[-3:]
    if binding.dtype in (DType.FLOAT, DType.UINT8) and len(binding.shape) in (3, 4):
        for layout, (c, h, w) in {"NCHW": shape, "NHWC": (shape[2], shape[0], shape[1])}.items():
            if c in (1, 3):
                return Preprocess(width=w, height=h, color="gray" if c == 1 else "rgb", layout=layout)
    raise FeedError(
        f"input {binding.name!r}, {binding.dtype.value}{list(binding.shape)}, does not have the shape of a picture "
        "(1 or 3 channels, first or last); give it as an .npz or .npy file"
    )


def _stated(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The JSON object in the metadata; empty where there is none."""
    text = metadata.get(PREPROCESS_KEY, "{}")
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelError(f"{PREPROCESS_KEY}: not JSON: {error}") from None
    known = [f.name for f in fields(Preprocess)]
    if not isinstance(given, dict) or set(given) - set(known):
        raise ModelError(f"{PREPROCESS_KEY}: expected a JSON object with some of {', '.join(known)}; got {text}")
    return given


def _parse(text: str, guess: Preprocess) -> Preprocess:
    given = _stated({PREPROCESS_KEY: text})
    try:
        for name in {"mean", "std"} & set(given):
            given[name] = tuple(map(float, np.atleast_1d(given[name])))
        given.update({name: str(given[name]) for name in {"resize"} & set(given)})
        return replace(guess, **given)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{PREPROCESS_KEY}: {text}: {error}") from None


def _open(path: Path) -> Image:
    if not path.is_file():
        raise FeedError(f"{path}: no such file")
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise TinyInferError(f"{path}: reading pictures needs Pillow: pip install 'tinyinfer[image]'") from None
    try:
        picture = ImageOps.exif_transpose(Image.open(path))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise FeedError(f"{path}: not a readable picture: {error}") from None
    if "A" in picture.getbands():
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture


def _resize(picture: Image, preprocess: Preprocess) -> Image:
    from PIL import Image, ImageOps

    size = (preprocess.width, preprocess.height)
    if preprocess.resize == "crop":
        return ImageOps.fit(picture, size, Image.Resampling.BILINEAR)
    if preprocess.resize == "stretch":
        return picture.resize(size, Image.Resampling.BILINEAR)
    scale = int(preprocess.resize) / min(picture.size)
    whole = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)
    left, top = (whole.width - size[0]) // 2, (whole.height - size[1]) // 2
    return whole.crop((left, top, left + size[0], top + size[1]))


def _frame_drawing(path: Path, picture: Image, preprocess: Preprocess) -> Image:
    """Ink on ground as the model was trained: its polarity, its size, its box in the middle."""
    from PIL import Image, ImageOps

    border = np.concatenate([np.asarray(picture)[[0, -1]].ravel(), np.asarray(picture)[:, [0, -1]].ravel()])
    if border.mean() > INK:
        picture = ImageOps.invert(picture)
    box = picture.point(lambda byte: 255 if byte > INK else 0).getbbox()
    if box is None:
        raise FeedError(f"{path}: the picture is blank")
    drawing = picture.crop(box)
    scale = preprocess.fit / max(drawing.size)
    width, height = (max(1, round(side * scale)) for side in drawing.size)
    small = drawing.resize((width, height), Image.Resampling.BOX)
    framed = Image.new(picture.mode, (preprocess.width, preprocess.height), 0)
    framed.paste(small, ((preprocess.width - width) // 2, (preprocess.height - height) // 2))
    return ImageOps.invert(framed) if preprocess.polarity == "dark-on-light" else framed
