"""Normalisation and resampling."""

from __future__ import annotations

from dataclasses import replace

from tinyinfer.ops import normalization, resize
from tinyinfer.ref import normalization as ref_normalization
from tinyinfer.ref import resize as ref_resize
from tinyinfer.tables.row import Operator
from tinyinfer.traits import EVERY, Accuracy, Loops, Traits, Writes
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lower import normalization as lower_normalization
from tinyinfer.wasm_backend.lower import resize as lower_resize

STATISTICS = Traits(
    elementwise=False,
    overwritable=EVERY,  # a row's statistics are known before its first result is stored
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
    accuracy=Accuracy.COMPOSED,
)

# fmt: off
ROWS = [
    Operator("BatchNormalization", normalization.batch_normalization, ref_normalization.batch_normalization, lower_normalization.batch_normalization, layout.follow, replace(STATISTICS, writes=Writes.ROWS, loops=Loops.NONE)),
    Operator("InstanceNormalization", normalization.instance_normalization, ref_normalization.instance_normalization, lower_normalization.instance_normalization, layout.follow, STATISTICS),
    Operator("LayerNormalization", normalization.layer_normalization, ref_normalization.layer_normalization, lower_normalization.layer_normalization, layout.row_major, STATISTICS),
    Operator("LRN", normalization.lrn, ref_normalization.lrn, lower_normalization.lrn, layout.nhwc, replace(STATISTICS, overwritable=())),
    Operator("Resize", resize.resize, ref_resize.resize, lower_resize.resize, layout.follow, replace(STATISTICS, overwritable=(), writes=Writes.BLOCKS, loops=Loops.RESAMPLED)),
]
# fmt: on
