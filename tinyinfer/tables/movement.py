"""Movement: elements change their place, not their value."""

from __future__ import annotations

from dataclasses import replace

from tinyinfer.ops import movement
from tinyinfer.ref import movement as ref_movement
from tinyinfer.tables.row import Operator
from tinyinfer.traits import EVERY, Accuracy, Loops, Traits, Writes
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lower import movement as lower_movement

VIEW = Traits(
    elementwise=False,
    overwritable=(),
    view=True,
    whole=False,
    writes=Writes.ANY,
    commutative=False,
    moves=True,
    tabulated=False,
    conversion=False,
    filter_axis=None,
    foldable=True,
    loops=Loops.NONE,
    accuracy=Accuracy.EXACT,
)
WHOLE = replace(VIEW, view=False, whole=True, moves=False)
COPY = replace(VIEW, view=False, overwritable=EVERY)

# fmt: off
ROWS = [
    Operator("Reshape", movement.reshape, ref_movement.reshape, lower_movement.reshape, layout.regrouped, VIEW),
    Operator("Transpose", movement.transpose, ref_movement.transpose, lower_movement.transpose, layout.permuted, VIEW),
    Operator("Concat", movement.concat, ref_movement.concat, lower_movement.concat, layout.follow, WHOLE),
    Operator("Split", movement.split, ref_movement.split, lower_movement.split, layout.follow, replace(VIEW, moves=False)),
    Operator("Slice", movement.slice_, ref_movement.slice_, lower_movement.slice_, layout.follow, VIEW),
    Operator("Expand", movement.expand, ref_movement.expand, lower_movement.expand, layout.follow, COPY),
    Operator("Tile", movement.tile, ref_movement.tile, lower_movement.tile, layout.follow, COPY),
    Operator("Pad", movement.pad, ref_movement.pad, lower_movement.pad, layout.follow, WHOLE),
    Operator("Gather", movement.gather, ref_movement.gather, lower_movement.gather, layout.as_read, replace(COPY, writes=Writes.DENSE)),
    Operator("DepthToSpace", movement.depth_to_space, ref_movement.depth_to_space, lower_movement.depth_to_space, layout.follow, COPY),
    Operator("SpaceToDepth", movement.space_to_depth, ref_movement.space_to_depth, lower_movement.space_to_depth, layout.follow, COPY),
]
# fmt: on
