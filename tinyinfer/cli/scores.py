"""Printing outputs: the best classes with bars, or a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tinyinfer.cli import console
from tinyinfer.types import Array


def show_outputs(outputs: Mapping[str, Array], labels: Sequence[str], top: int | None) -> None:
    """Print each output: as classes when it is one vector of scores, otherwise as a row of a summary."""
    summary: list[list[console.Cell]] = []
    for name, array in outputs.items():
        scores = scores_in(array)
        if scores is not None and (top is not None or not labels or len(labels) == scores.size):
            show_top(name, scores, labels, top or 5)
        else:
            summary.append([name, f"{array.dtype} {'×'.join(map(str, array.shape)) or 'scalar'}", *_figures(array)])
    if summary:
        columns = ["output", "type", ">min", ">mean", ">max", "values"]
        console.show_table("Outputs", columns, summary)


def scores_in(array: Array) -> Array | None:
    """The scores of one sample, as a vector, if that is what a float array holds: [N], [1, N], [1, N, 1, 1]."""
    one_sample = array.ndim == 1 or array.shape[:1] == (1,)
    one_vector = array.size == max(array.shape, default=0) > 1
    return array.reshape(-1) if array.dtype.kind == "f" and one_sample and one_vector else None


def probabilities(scores: Array) -> Array:
    """The scores themselves if they are a distribution, else their softmax (float64, for display)."""
    wide = np.nan_to_num(scores.astype(np.float64), nan=-np.inf)
    if wide.min() >= 0 and abs(wide.sum() - 1) < 1e-3:
        return np.asarray(wide)
    powers = np.exp(wide - wide.max())
    return np.asarray(powers / powers.sum())


def best(scores: Array, count: int) -> list[int]:
    """Indices of the largest scores, the largest first; of equal ones the first."""
    return [int(i) for i in np.argsort(-scores, kind="stable")[:count]]


def label_of(labels: Sequence[str], index: int) -> str:
    return labels[index] if index < len(labels) else f"#{index}"


def show_top(name: str, scores: Array, labels: Sequence[str], count: int) -> None:
    """Print the `count` best classes with their scores and bars."""
    chance = probabilities(scores)
    rows: list[list[console.Cell]] = [
        [label_of(labels, i), f"{scores[i]:.6g}", f"{chance[i]:7.2%}", console.bar(float(chance[i]))]
        for i in best(scores, count)
    ]
    console.show_table(name, ["class", ">score", ">probability", ""], rows)


def _figures(array: Array) -> list[str]:
    if not array.size:
        return ["", "", "", "empty"]
    wide = array.astype(np.float64)
    values = array.reshape(-1)[:6]
    listing = " ".join(f"{v:.6g}" for v in values) + (" …" if array.size > values.size else "")
    return [f"{wide.min():.6g}", f"{wide.mean():.6g}", f"{wide.max():.6g}", listing]
