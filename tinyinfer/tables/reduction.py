"""Reductions."""

from __future__ import annotations

from dataclasses import replace

from tinyinfer.ops import reduction
from tinyinfer.ref import reduction as ref_reduction
from tinyinfer.tables.row import Operator
from tinyinfer.traits import EVERY, Accuracy, Loops, Traits, Writes
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lower import reduction as lower_reduction

CHOICE = Traits(
    elementwise=False,
    overwritable=EVERY,
    view=False,
    whole=False,
    writes=Writes.DENSE,
    commutative=False,
    moves=False,
    tabulated=False,
    conversion=False,
    filter_axis=None,
    foldable=True,
    loops=Loops.AXES,
    accuracy=Accuracy.EXACT,
)

# fmt: off
ROWS = [
    Operator("ReduceSum", reduction.reduce, ref_reduction.reduce_sum, lower_reduction.reduce("reduce_sum"), layout.follow, replace(CHOICE, accuracy=Accuracy.SUM)),
    Operator("ReduceMean", reduction.reduce_float, ref_reduction.reduce_mean, lower_reduction.reduce_mean, layout.follow, replace(CHOICE, accuracy=Accuracy.SUM)),
    Operator("ReduceMax", reduction.reduce, ref_reduction.reduce_max, lower_reduction.reduce("reduce_max"), layout.follow, CHOICE),
    Operator("ReduceMin", reduction.reduce, ref_reduction.reduce_min, lower_reduction.reduce("reduce_min"), layout.follow, CHOICE),
    Operator("ArgMax", reduction.arg, ref_reduction.arg_max, lower_reduction.arg("argmax"), layout.follow, CHOICE),
    Operator("ArgMin", reduction.arg, ref_reduction.arg_min, lower_reduction.arg("argmin"), layout.follow, CHOICE),
]
# fmt: on
