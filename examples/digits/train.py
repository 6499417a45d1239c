"""Train the digits model and export it as one self-contained ONNX file.

A small MobileNetV2-style network learns scikit-learn's bundled handwritten digits (1797 images of 8x8
pixels). Each image is redrawn as a 28x28 picture of pen strokes, framed the way a drawing from a canvas is
framed, so that the same file classifies both. README.md beside this file states that framing as a contract.

    python examples/digits/train.py    # writes digits.onnx and samples/ beside this file
"""

from __future__ import annotations

import json
import logging
import math
import tempfile
import time
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, NoReturn

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import torch
import typer
from onnx.reference import ReferenceEvaluator
from onnxscript import optimizer
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR

HERE = Path(__file__).resolve().parent
LABELS = [str(digit) for digit in range(10)]
SIDE = 28  # pixels of the input image, each way
FIT = 20  # pixels of the longer side of the digit's bounding box inside it
REQUIRED_ACCURACY = 0.97
MAX_BYTES = 300_000
SAMPLES_PER_DIGIT = 2
BATCH = 64
SEED = 0

PREPROCESS = {
    "color": "gray",
    "layout": "NCHW",
    "width": SIDE,
    "height": SIDE,
    "mean": 0.0,
    "std": 255.0,  # value = (byte - mean) / std
    "polarity": "light-on-dark",
    "fit": FIT,
    "center": "bounding-box",
}

console = Console()


# Pictures ---------------------------------------------------------------------------------------------------


Line = list[tuple[float, float]]  # corners as (x, y), y downwards, the digit 1 high around the origin

# Common ways to write a digit that the data set all but lacks: its 7s are crossed, its 1s seldom have both a
# flag and a foot.
MISSING_FORMS: list[tuple[int, tuple[Line, ...]]] = [
    (7, ([(-0.32, -0.5), (0.32, -0.5), (-0.08, 0.5)],)),
    (7, ([(-0.32, -0.4), (-0.3, -0.5), (0.32, -0.5), (0.05, -0.1), (-0.03, 0.5)],)),
    (1, ([(-0.2, -0.25), (0.0, -0.5), (0.0, 0.5)], [(-0.25, 0.5), (0.25, 0.5)])),
]
VARIANTS = 50  # of each missing form


@dataclass(frozen=True, slots=True)
class Strokes:
    """Digits as smooth ink fields, and where each digit lies in its field.

    field: float32 [n, 1, s, s], about 1 along the middle of a stroke, falling to 0 beside it
    center: float32 [n, 2], the bounding box's centre as (x, y); a field spans [-1, 1], as in `grid_sample`
    extent: float32 [n], the bounding box's longer side in the same unit
    """

    field: Tensor
    center: Tensor
    extent: Tensor

    def __len__(self) -> int:
        return len(self.field)

    def __getitem__(self, index: Tensor) -> Strokes:
        return Strokes(self.field[index], self.center[index], self.extent[index])


def strokes_from_cells(cells: Tensor) -> Strokes:
    """Recover strokes from float32 [n, 8, 8] ink counts in 0..16.

    A cell counts the inked pixels of a 4x4 block, so thin strokes are faint and thick ones saturate. Dividing
    by the most ink nearby makes the middle of either 1; a threshold then sets the pen's width without
    breaking thin strokes.
    """
    padded = functional.pad(cells[:, None] / 16, (2, 2, 2, 2))  # room for strokes that touch the border
    ink = functional.interpolate(padded, scale_factor=8, mode="bicubic", align_corners=False).clamp(0, 1)
    nearby = functional.max_pool2d(ink, kernel_size=17, stride=1, padding=8)
    nearby = functional.avg_pool2d(nearby, kernel_size=9, stride=1, padding=4, count_include_pad=False)
    field = (ink / nearby.clamp(min=0.35)).clamp(0, 1)

    return framed(field)


def strokes_from_lines(lines: tuple[Line, ...], n: int, random: torch.Generator) -> Strokes:
    """Draw n shaky variants of a digit given as polylines."""
    axis = torch.linspace(-0.75, 0.75, 96)
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    distance = torch.full((n, 96, 96), math.inf)
    for line in lines:
        corners = torch.tensor(line) + torch.randn(n, len(line), 2, generator=random) * 0.03
        for start, end in zip(corners.unbind(1)[:-1], corners.unbind(1)[1:], strict=True):
            way = (end - start)[:, None, None]
            ahead = points - start[:, None, None]
            along = ((ahead * way).sum(-1) / (way * way).sum(-1)).clamp(0, 1)[..., None]
            distance = torch.minimum(distance, (ahead - along * way).norm(dim=-1))
    return framed((1.15 - distance[:, None] / 0.11).clamp(0, 1))


def framed(field: Tensor) -> Strokes:
    """Find each digit's bounding box: where its field is above one half."""
    side = field.shape[-1]
    position = torch.arange(side)
    inked = field[:, 0] > 0.5
    projections = (inked.any(dim=1), inked.any(dim=2))  # onto x, onto y
    first = torch.stack([torch.where(p, position, side).amin(dim=1) for p in projections], dim=1)
    last = torch.stack([torch.where(p, position + 1, 0).amax(dim=1) for p in projections], dim=1)
    return Strokes(field, (first + last) / side - 1, (last - first).amax(dim=1) * 2 / side)


def draw(strokes: Strokes, warp: Tensor, offset: Tensor, level: Tensor, contrast: Tensor) -> Tensor:
    """Draw strokes as float32 [n, 1, SIDE, SIDE] pictures in [0, 1], ink 1 on ground 0.

    warp: [n, 2, 2], maps points of the picture to points of the digit; the identity is the contract's framing
    offset: [n, 2S, 2S, 2], a further displacement of every point, in pixels of the picture (S = SIDE)
    level: [n], the field's value at the edge of a stroke: lower is a broader pen
    contrast: [n], how steep that edge is
    """
    fine = 2 * SIDE  # drawn at twice the resolution, then averaged
    axis = (torch.arange(fine) + 0.5) / 2 - SIDE / 2
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1) + offset
    points = torch.einsum("nij,nyxj->nyxi", warp, points)
    grid = points * (strokes.extent / FIT)[:, None, None, None] + strokes.center[:, None, None, :]
    field = functional.grid_sample(strokes.field, grid, align_corners=False)
    ink = torch.sigmoid((field - level[:, None, None, None]) * contrast[:, None, None, None])
    return functional.avg_pool2d(ink * (field > 0), kernel_size=2)


def draw_plain(strokes: Strokes) -> Tensor:
    """The held-out pictures: the contract's framing, a medium pen, rounded to bytes as a PNG holds them."""
    n = len(strokes)
    upright, still = torch.eye(2).expand(n, 2, 2), torch.zeros(n, 2 * SIDE, 2 * SIDE, 2)
    pictures = draw(strokes, upright, still, level=torch.full((n,), 0.55), contrast=torch.full((n,), 14.0))
    return (pictures * 255).round() / 255


def draw_varied(strokes: Strokes, random: torch.Generator) -> Tensor:
    """The training pictures: other hands, other pens, and framing that is a little off."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(len(strokes), *shape, generator=random) * (high - low) + low

    angle, shear = uniform(-0.26, 0.26), uniform(-0.25, 0.25)
    scale = uniform(0.85, 1.2)
    wide, tall = scale * uniform(0.8, 1.25), scale
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rotation = torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)
    slant = torch.stack([one, shear, zero, one], dim=1).view(-1, 2, 2)
    stretch = torch.stack([1 / wide, zero, zero, 1 / tall], dim=1).view(-1, 2, 2)

    waves = torch.randn(len(strokes), 2, 5, 5, generator=random) * uniform(0, 1.6)[:, None, None, None]
    waves = functional.interpolate(waves, size=2 * SIDE, mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    offset = waves + uniform(-2, 2, 2)[:, None, None, :]
    level, contrast = uniform(0.3, 0.85), uniform(8, 25)
    return draw(strokes, stretch @ slant @ rotation, offset, level, contrast)


# Network ----------------------------------------------------------------------------------------------------


def conv_bn(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(cin, cout, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(cout)]


class Block(nn.Module):
    """MobileNetV2's inverted residual (arXiv:1801.04381): widen by 1x1, filter by channel, narrow by 1x1."""

    def __init__(self, cin: int, cout: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = cin * expansion
        self.residual = stride == 1 and cin == cout
        self.layers = nn.Sequential(
            *conv_bn(cin, wide, 1),
            nn.ReLU6(),
            *conv_bn(wide, wide, 3, stride, groups=wide),
            nn.ReLU6(),
            *conv_bn(wide, cout, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class DigitNet(nn.Module):
    """float32 [n, 1, SIDE, SIDE] pictures to [n, 10] logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *conv_bn(1, 16, 3, stride=2),
            nn.ReLU6(),
            Block(16, 16, stride=1, expansion=2),
            Block(16, 24, stride=2, expansion=3),
            Block(24, 24, stride=1, expansion=3),
            Block(24, 40, stride=2, expansion=3),
            Block(40, 40, stride=1, expansion=3),
            *conv_bn(40, 96, 1),
            nn.ReLU6(),
        )
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(96, len(LABELS))

    def forward(self, image: Tensor) -> Tensor:
        pooled = self.features(image).mean(dim=(2, 3))
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


class Classifier(nn.Module):
    """What is exported: the network followed by softmax."""

    def __init__(self, network: DigitNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return functional.softmax(self.network(image), dim=1)


# Training ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Split:
    """The stratified 80/20 split of the data set, its missing forms added to the training side only.

    test_index numbers the held-out images as `load_digits` does.
    """

    train: Strokes
    train_labels: Tensor
    test_pictures: Tensor
    test_labels: Tensor
    test_index: npt.NDArray[np.int64]


def load_split() -> Split:
    digits = load_digits()
    train, test = train_test_split(
        np.arange(len(digits.target)), test_size=0.2, stratify=digits.target, random_state=SEED
    )
    cells = torch.from_numpy(digits.images).float()
    labels = torch.from_numpy(digits.target).long()
    random = torch.Generator().manual_seed(SEED)
    parts = [strokes_from_cells(cells[train])]
    parts += [strokes_from_lines(lines, VARIANTS, random) for _, lines in MISSING_FORMS]
    drawn = torch.tensor([digit for digit, _ in MISSING_FORMS]).repeat_interleave(VARIANTS)
    return Split(
        train=Strokes(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Strokes))),
        train_labels=torch.cat([labels[train], drawn]),
        test_pictures=draw_plain(strokes_from_cells(cells[test])),
        test_labels=labels[test],
        test_index=test,
    )


def fit(network: DigitNet, split: Split, epochs: int, progress: Progress) -> None:
    """Train in place: AdamW, one-cycle learning rate, fresh pictures of every digit in every epoch."""
    random = torch.Generator().manual_seed(SEED)
    steps = math.ceil(len(split.train) / BATCH)
    adamw = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = OneCycleLR(adamw, max_lr=0.006, epochs=epochs, steps_per_epoch=steps)
    task = progress.add_task("training", total=epochs, status="")
    network.train()
    for _ in range(epochs):
        total = 0.0
        for index in torch.randperm(len(split.train), generator=random).tensor_split(steps):
            logits = network(draw_varied(split.train[index], random))
            loss = functional.cross_entropy(logits, split.train_labels[index], label_smoothing=0.05)
            adamw.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adamw.step()
            schedule.step()
            total += loss.item()
        progress.update(task, advance=1, status=f"loss {total / steps:.3f}")
    network.eval()


# Export -----------------------------------------------------------------------------------------------------


def export(network: DigitNet) -> onnx.ModelProto:
    """Export by PyTorch's own exporter: BatchNormalization kept as nodes, no metadata but the contract.

    The exporter's optimizer would merge BatchNormalization into Conv, so only its constant folding is run,
    which removes the shape arithmetic around constant zero biases and clip bounds.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # silences "torchvision is not installed"
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*LeafSpec")  # raised inside PyTorch
    program = torch.onnx.export(
        Classifier(network).eval(),
        (torch.zeros(2, 1, SIDE, SIDE),),
        input_names=["image"],
        output_names=["probabilities"],
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        opset_version=18,
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    assert program is not None
    optimizer.fold_constants(program.model)
    optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    strip_traces(model)
    model.graph.name = "digits"
    onnx.helper.set_model_props(
        model, {"tinyinfer.labels": "\n".join(LABELS), "tinyinfer.preprocess": json.dumps(PREPROCESS)}
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def strip_traces(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes on nodes and values: stack traces with the file paths of this machine."""
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for owner in (model, graph, *graph.node, *values):
        owner.ClearField("doc_string")
        owner.ClearField("metadata_props")


def accuracy(model: onnx.ModelProto, split: Split) -> float:
    """The share of held-out pictures that the exported model gets right under ONNX's reference evaluator."""
    (probabilities,) = ReferenceEvaluator(model).run(None, {"image": split.test_pictures.numpy()})
    best = np.argmax(np.asarray(probabilities), axis=1)
    return float((best == split.test_labels.numpy()).mean())


def write_samples(split: Split, folder: Path) -> int:
    """Write the first held-out pictures of every digit as `<index>_<label>.png`, in place of older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*_[0-9].png"):
        old.unlink()
    labels = split.test_labels.numpy()
    chosen = np.concatenate([np.flatnonzero(labels == digit)[:SAMPLES_PER_DIGIT] for digit in range(10)])
    for i in chosen:
        pixels = (split.test_pictures[i, 0] * 255).round().to(torch.uint8).numpy()
        name = f"{split.test_index[i]:04d}_{labels[i]}.png"
        Image.fromarray(pixels).save(folder / name, optimize=True)
    return len(chosen)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
        part.write(data)
    whole = Path(part.name)
    whole.chmod(0o644)
    whole.replace(path)


# Command ----------------------------------------------------------------------------------------------------


def main(
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 60,
    output: Annotated[Path, typer.Option(help="The ONNX file to write.")] = HERE / "digits.onnx",
    samples: Annotated[Path, typer.Option(help="The folder for sample pictures.")] = HERE / "samples",
) -> None:
    """Train the digits model, export it to ONNX, and check the exported file on held-out images.

    Exits with 1, writing nothing, when the accuracy is below 97 % or the file above 300 KB.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    started = time.perf_counter()

    split = load_split()
    network = DigitNet()
    console.print(
        f"{len(split.train)} training and {len(split.test_labels)} held-out images, "
        f"{sum(p.numel() for p in network.parameters()):,} parameters"
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[status]}"), console=console) as progress:
        fit(network, split, epochs, progress)

    model = export(network)
    data = model.SerializeToString(deterministic=True)
    score = accuracy(model, split)
    took = time.perf_counter() - started
    console.print(f"held-out accuracy {score:.2%}, {len(data):,} bytes, {took:.0f} s")
    if score < REQUIRED_ACCURACY:
        fail(f"accuracy {score:.2%} is below the required {REQUIRED_ACCURACY:.0%}")
    if len(data) > MAX_BYTES:
        fail(f"the file would have {len(data):,} bytes, {MAX_BYTES:,} at most are allowed")
    write_whole(output, data)
    console.print(f"wrote {output} and {write_samples(split, samples)} pictures in {samples}")


def fail(reason: str) -> NoReturn:
    console.print(f"[red]{reason}: nothing written[/]")
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
