"""Cases for the resampling kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import near, shapes, tensors
from tinyinfer.ops.resize import COORDINATES, MODES, ROUNDINGS

SCALES = st.sampled_from([0.5, 1.0, 1 / 3, 0.6, 1.5, 2.0, 2.0, 3.0, 3.3, 8.0])


@st.composite
def resize(draw: st.DrawFn, *dtypes: Any) -> Case:
    """Of bytes without what only floats have."""
    floats = not dtypes
    shape = draw(shapes(4, min_rank=1, most=9))
    rank = len(shape)
    if draw(st.booleans()):
        scales = tuple(draw(SCALES) if draw(st.booleans()) else 1.0 for _ in shape)
        sizes = tuple(int(d * s) for d, s in zip(shape, scales))
        assume(min(sizes) > 0)
    else:
        sizes = tuple(draw(near(4, 8, most=13)) if draw(st.booleans()) else d for d in shape)
        scales = tuple(r / d for r, d in zip(sizes, shape))
    assume(sizes != shape)
    coordinates = draw(st.sampled_from(COORDINATES if floats else COORDINATES[:-1]))
    borders = st.sampled_from([0.0, 0.0, 0.1, 0.25, 0.7, 1.0, 1.0, 1.3, -0.4])
    roi = tuple(draw(borders) for _ in range(2 * rank)) if coordinates == "tf_crop_and_resize" else ()
    attrs = {
        "sizes": sizes,
        "scales": scales,
        "mode": draw(st.sampled_from(MODES if floats else MODES[:-1])),
        "coordinate_transformation_mode": coordinates,
        "nearest_mode": draw(st.sampled_from(ROUNDINGS)),
        "cubic_coeff_a": draw(st.sampled_from([-0.75, -0.5])),
        "exclude_outside": draw(st.booleans()),
        "extrapolation_value": draw(st.sampled_from([0.0, -0.0, 7.5])),
        "roi": roi,
    }
    return Case("Resize", (draw(tensors(shape, draw(st.sampled_from(dtypes or (np.float32,))))),), attrs)


CASES = {"f32_resize": resize(), "x8_resize": resize(np.int8, np.uint8)}
