"""Cases for normalisations."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import near, shapes, tensors

EPSILONS = st.sampled_from([1e-5, 1e-3, 0.0])


@st.composite
def maps(draw: st.DrawFn, least: int) -> tuple[int, ...]:
    """[N, C, spatial…]."""
    return draw(near(2, most=3)), draw(near(4, 8, most=17)), *draw(shapes(3, min_rank=least, most=9))


@st.composite
def batch_normalization(draw: st.DrawFn) -> Case:
    shape = draw(maps(0))
    parameters = [draw(tensors(shape[1:2])) for _ in range(4)]
    parameters[3] = np.abs(parameters[3])
    constants = draw(st.sampled_from([frozenset({1, 2, 3, 4}), frozenset({1, 4}), frozenset({1}), frozenset()]))
    return Case("BatchNormalization", (draw(tensors(shape)), *parameters), {"epsilon": draw(EPSILONS)}, constants)


@st.composite
def instance_normalization(draw: st.DrawFn) -> Case:
    shape = draw(maps(1))
    scale, bias = draw(tensors(shape[1:2])), draw(tensors(shape[1:2]))
    constants = frozenset({1, 2}) if draw(st.booleans()) else frozenset()
    return Case("InstanceNormalization", (draw(tensors(shape)), scale, bias), {"epsilon": draw(EPSILONS)}, constants)


@st.composite
def layer_normalization(draw: st.DrawFn) -> Case:
    shape = draw(shapes(4, min_rank=1, most=17))
    axis = draw(st.integers(0, len(shape) - 1))
    scale, bias = draw(tensors(shape[axis:])), draw(st.none() | tensors(shape[axis:]))
    constants = frozenset({1, 2}) if draw(st.booleans()) else frozenset()
    attrs = {"axis": axis, "epsilon": draw(EPSILONS)}
    return Case("LayerNormalization", (draw(tensors(shape)), scale, bias), attrs, constants)


@st.composite
def lrn(draw: st.DrawFn) -> Case:
    attrs = {
        "size": draw(st.integers(1, 7) | st.just(40)),
        "alpha": draw(st.sampled_from([1e-4, 0.5, 3.0])),
        "beta": draw(st.sampled_from([0.75, 0.5, 1.0, -0.3])),
        "bias": draw(st.sampled_from([1.0, 2.0, 0.0, -1.0])),
    }
    return Case("LRN", (draw(tensors(draw(maps(0)))),), attrs)


CASES = {
    "f32_batchnorm": batch_normalization(),
    "f32_instancenorm": instance_normalization(),
    "f32_layernorm": layer_normalization(),
    "f32_lrn": lrn(),
}
