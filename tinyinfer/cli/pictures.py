"""Options that say how pictures become inputs and what classes are called, and what the commands say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tinyinfer import images
from tinyinfer.cli import console
from tinyinfer.cli.options import parse_numbers
from tinyinfer.errors import FeedError
from tinyinfer.wasm_backend.plan import Binding

Mean = Annotated[str | None, typer.Option(metavar="M[,M,M]", help="Pictures: value = (byte - mean) / std. Default: 0.")]
Std = Annotated[str | None, typer.Option(metavar="S[,S,S]", help="Default: 255.")]
Layout = Annotated[str | None, typer.Option(metavar="NCHW|NHWC", help="Pictures: order of the input's dimensions.")]
Color = Annotated[str | None, typer.Option(metavar="gray|rgb|bgr", help="Pictures: the channels.")]
Resize = Annotated[
    str | None,
    typer.Option(
        metavar="stretch|crop|N",
        help="Pictures of another size: stretch, or cut out the centre, the shorter side scaled to N first.",
    ),
]
Labels = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Names of the classes, one a line; default: the model's metadata.")
]


def read_preprocessing(
    mean: str | None, std: str | None, layout: str | None, color: str | None, resize: str | None
) -> dict[str, Any]:
    """The options as fields of `images.Preprocess`; None where not given."""
    return {
        "mean": parse_numbers(mean, "--mean"), "std": parse_numbers(std, "--std"),
        "layout": layout, "color": color, "resize": resize,
    }  # fmt: skip


def read_labels(path: Path) -> list[str]:
    """The lines of a file; FeedError when it is not UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise FeedError(f"{path}: labels must be UTF-8 text, one a line: {error}") from None


def say_preprocessing(metadata: Mapping[str, str], binding: Binding, options: Mapping[str, Any]) -> None:
    """Say how pictures become this input, and what of that is a guess."""
    preprocess = images.Preprocess.of(metadata, binding).with_options(**options)
    text = f"pictures for {binding.name!r}: {preprocess.describe(binding.dtype)}"
    guessed = preprocess.unstated(metadata, options, binding.dtype)
    if not guessed:
        console.say(text)
        return
    ways = ", ".join(f"--{name}" for name in guessed)
    console.note(
        f"{text}\nWarning: {', '.join(guessed)} assumed: neither the model's metadata ({images.PREPROCESS_KEY}) nor an "
        f"option says; a model that was trained on other values gives wrong results: give {ways}"
    )


def stated(
    metadata: Mapping[str, str],
    inputs: Sequence[Binding],
    options: Mapping[str, Any],
    labels: Path | None,
    outputs: Sequence[Binding] = (),
) -> dict[str, str]:
    """Metadata that states the options and labels that were given; a remark where no output has so many classes."""
    result = dict(metadata)
    if any(value is not None for value in options.values()):
        result = images.state(metadata, images.picture_input(inputs), options)
    if labels is not None:
        names = read_labels(labels)
        result[images.LABELS_KEY] = "\n".join(names)
        sizes = {b.name: b.shape for b in outputs}
        if sizes and not any(len(names) in shape for shape in sizes.values()):
            listing = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in sizes.items())
            console.note(f"Warning: {labels} has {len(names)} labels; no output has so many classes: {listing}")
    return result
