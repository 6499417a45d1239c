"""Pooling."""

from __future__ import annotations

from dataclasses import replace

from tinyinfer.ops import pooling
from tinyinfer.ref import pooling as ref_pooling
from tinyinfer.tables.row import Operator
from tinyinfer.traits import Accuracy, Loops, Traits, Writes
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lower import pooling as lower_pooling

WINDOWS = Traits(
    elementwise=False,
    overwritable=(),  # windows overlap
    view=False,
    whole=False,
    writes=Writes.ROWS,
    commutative=False,
    moves=False,
    tabulated=False,
    conversion=False,
    filter_axis=None,
    foldable=True,
    loops=Loops.WINDOW,
    accuracy=Accuracy.COMPOSED,
)

# fmt: off
ROWS = [
    Operator("MaxPool", pooling.max_pool, ref_pooling.max_pool, lower_pooling.max_pool, layout.nhwc, replace(WINDOWS, accuracy=Accuracy.EXACT)),
    Operator("AveragePool", pooling.average_pool, ref_pooling.average_pool, lower_pooling.average_pool, layout.nhwc, WINDOWS),
    Operator("QLinearAveragePool", pooling.qlinear_average_pool, ref_pooling.qlinear_average_pool, lower_pooling.qlinear_average_pool, layout.nhwc, replace(WINDOWS, accuracy=Accuracy.QUANTUM)),
]
# fmt: on
