"""`tinyinfer demo`: the digits model from file to browser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.text import Text

from tinyinfer import compiler, images, verification
from tinyinfer.bundle import DEMO_MODEL
from tinyinfer.bundle import bundle as write_bundle
from tinyinfer.cli import console
from tinyinfer.cli.bundle import show_files
from tinyinfer.cli.compile import show_compiled
from tinyinfer.cli.scores import best, label_of
from tinyinfer.cli.serve import Host, Port, serve_folder
from tinyinfer.cli.verify import choose_engines, show_report
from tinyinfer.compiler import CompiledModel
from tinyinfer.errors import TinyInferError
from tinyinfer.session import InferenceSession
from tinyinfer.types import Array

PACKAGE = Path(__file__).resolve().parents[1]
EXAMPLES = (PACKAGE.parent / "examples" / "digits", PACKAGE / "_examples" / "digits")

# From ground to ink, for output without colours.
SHADES = " ░▒▓█"
# How many guesses are shown for a picture, and the width of a picture with its gap.
SHOWN = 2
CARD = 18


@dataclass(frozen=True)
class Guess:
    """One sample picture [height, width] in [0, 1], what it shows, and the model's best labels with probabilities."""

    picture: Array
    label: str
    ranking: list[tuple[str, float]]

    @property
    def is_right(self) -> bool:
        return self.ranking[0][0] == self.label


def demo(
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop when the page's folder is ready.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Keep the page's folder here.")
    ] = None,
    port: Port = 8000,
    host: Host = "127.0.0.1",
) -> None:
    """Compile the digits model, verify it on every engine, read sample pictures, and serve its page.

    Examples:

      tinyinfer demo
      tinyinfer demo --port 0
      tinyinfer demo --no-serve -o dist/site
    """
    example = find_example()
    show_heading(f"Compile {example / 'digits.onnx'}")
    compiled = compiler.compile(example / "digits.onnx")
    show_compiled(compiled)
    show_heading("Verify every node on every engine, bit for bit")
    report = verification.verify(compiled, engines=choose_engines((), every=True))
    show_report(report)
    if not report.ok:
        raise typer.Exit(1)
    show_heading(f"Read the pictures in {example / 'samples'}")
    show_guesses(list(read_samples(compiled, sorted((example / "samples").glob("*.png")))))
    show_heading("Make the page: runtime, kernels, model")
    with tempfile.TemporaryDirectory(prefix="tinyinfer-") as scratch:
        folder = output or Path(scratch, "site")
        show_files(write_bundle({DEMO_MODEL: compiled.to_bytes()}, folder, demo=True), folder)
        if not no_serve:
            show_heading("Draw a digit in the browser")
            serve_folder(folder, host, port)


def find_example() -> Path:
    """The folder of the digits example: of the checkout, or of the installed package."""
    for folder in EXAMPLES:
        if (folder / "digits.onnx").is_file():
            return folder
    raise TinyInferError(f"the digits example was found neither in {EXAMPLES[0]} nor in {EXAMPLES[1]}")


def show_heading(text: str) -> None:
    console.say()
    console.say(f"▸ {text}", "bold cyan")


def read_samples(model: CompiledModel, paths: Iterable[Path]) -> Iterator[Guess]:
    """Run the model on pictures named `<index>_<label>.png`."""
    session = InferenceSession(model)
    (binding,) = session.inputs
    preprocess = images.Preprocess.of(session.metadata, binding)
    labels = images.labels_of(session.metadata)
    for path in paths:
        picture = images.read_image(path, preprocess, binding)
        (scores,) = session.run({binding.name: picture}).values()
        vector = scores.reshape(-1)
        ranking = [(label_of(labels, i), float(vector[i])) for i in best(vector, SHOWN)]
        yield Guess(picture.reshape(picture.shape[-2:]), path.stem.rpartition("_")[2], ranking)


def show_guesses(guesses: Sequence[Guess]) -> None:
    """Draw every picture with the best guesses under it, and print how many are right."""
    for first in range(0, len(guesses), max(1, console.out.width // CARD)):
        row = guesses[first : first + max(1, console.out.width // CARD)]
        cards = [card(guess, in_color=console.out.color_system is not None) for guess in row]
        for lines in zip(*cards, strict=True):
            console.say(Text("  ").join(lines))
        console.say()
    right = sum(guess.is_right for guess in guesses)
    console.say(f"{right} of {len(guesses)} right", "bold green" if right == len(guesses) else "bold yellow")


def card(guess: Guess, in_color: bool) -> list[Text]:
    """The lines of one picture, half as wide as it is in pixels, and of its best guesses; all of one width."""
    small = guess.picture.reshape(guess.picture.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3), dtype=np.float64)
    drawn = list(map(half_blocks if in_color else shades, small[::2], small[1::2]))
    chances = [
        Text(f"{label} {chance:4.0%} ").append_text(console.bar(chance, small.shape[1] - 7))
        for label, chance in guess.ranking
    ]
    verdict = Text("right", "green") if guess.is_right else Text(f"wrong: a {guess.label}", "red")
    lines = [*drawn, *chances, verdict]
    for line in lines:
        line.pad_right(CARD - 2 - line.cell_len)
    return lines


def half_blocks(upper: Array, lower: Array) -> Text:
    """Two rows of pixels in one line: the upper one in the colour of `▀`, the lower one in its ground."""
    line = Text()
    for over, under in zip(upper, lower, strict=True):
        grays = [round(float(np.clip(value, 0, 1)) * 255) for value in (over, under)]
        line.append("▀", "rgb({0},{0},{0}) on rgb({1},{1},{1})".format(*grays))
    return line


def shades(upper: Array, lower: Array) -> Text:
    """Two rows of pixels in one line, in characters of growing ink."""
    levels = np.rint(np.clip((upper + lower) / 2, 0, 1) * (len(SHADES) - 1)).astype(int)
    return Text("".join(SHADES[level] for level in levels))
