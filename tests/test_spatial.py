"""Spatial operators, reductions and normalisations: edges that random cases seldom meet, and what schemas refuse."""

from __future__ import annotations

import numpy as np
import pytest

from tests.differential import Case, assert_same_bits, check_case, graph_of
from tinyinfer import compiler, registry
from tinyinfer.errors import ShapeError
from tinyinfer.ref import interpreter
from tinyinfer.types import DType, TensorType

WINDOW = {"kernel_shape": (2, 2), "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1)}
SLIDING = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1)}
SAMPLING = {
    "sizes": (1, 1, 4, 4),
    "scales": (1.0, 1.0, 2.0, 2.0),
    "mode": "linear",
    "coordinate_transformation_mode": "half_pixel",
    "nearest_mode": "floor",
    "cubic_coeff_a": -0.75,
    "exclude_outside": False,
    "extrapolation_value": 0.0,
    "roi": (),
}


def zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("op", "shapes", "attrs", "message"),
    [
        ("MaxPool", [(1, 1, 4)], WINDOW, r"kernel_shape=\(2, 2\): expected 1 values"),
        ("MaxPool", [(1, 1, 4, 4, 4)], WINDOW, "only 1-D and 2-D pooling"),
        ("MaxPool", [(1, 1, 1, 4)], WINDOW, r"1×1×1×4\] is smaller than the window \(2, 2\)"),
        ("AveragePool", [(1, 1, 4, 4)], WINDOW | {"strides": (1, 0)}, r"strides=\(1, 0\): must be ≥ 1"),
        ("ConvTranspose", [(1, 3, 4, 4), (2, 1, 2, 2)], SLIDING | {"output_padding": (0, 0)}, "needs W "),
        ("ConvTranspose", [(1, 2, 1, 1), (2, 1, 1, 1)],
         SLIDING | {"output_padding": (0, 0), "pads": (1, 0, 0, 0)}, "nothing inside the pads"),
        ("Resize", [(1, 1, 2, 2)], SAMPLING | {"mode": "area"}, "mode='area' is not one of nearest, linear, cubic"),
        ("Resize", [(1, 1, 2, 2)], SAMPLING | {"scales": (1.0, 1.0, 0.0, 2.0)}, "positive and finite"),
        ("Resize", [(1, 1, 2, 2)], SAMPLING | {"coordinate_transformation_mode": "tf_crop_and_resize"}, r"roi=\(\)"),
        ("ArgMax", [(2, 0)], {"axis": 1}, "no element along axis 1"),
        ("ReduceMax", [(2, 3)], {"axes": (1, 0)}, r"axes=\(1, 0\) are not distinct axes"),
        ("InstanceNormalization", [(1, 2, 3), (2,), (3,)], {"epsilon": 1e-5}, "B is float32.3.; expected one value"),
        ("LayerNormalization", [(2, 3, 4), (4,)], {"axis": 1, "epsilon": 1e-5}, r"expected shape \(3, 4\)"),
        ("LRN", [(1, 2, 3)], {"size": 0, "alpha": 1.0, "beta": 1.0, "bias": 1.0}, "size=0: must be ≥ 1"),
        ("MatMul", [(2, 3), (4, 2)], {}, "inner dimensions must be equal"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(op, shapes, attrs, message):
    builder = registry.builder("g", "model.onnx")
    values = [builder.input(f"x{i}", TensorType(DType.FLOAT, shape)) for i, shape in enumerate(shapes)]
    with pytest.raises(ShapeError, match=rf"model\.onnx: node here \({op}\): .*{message}"):
        builder.add(op, *values, name="here", **attrs)


def test_resize_leaves_axes_that_map_onto_themselves_alone(engine):
    """Weights 1 and 0 would turn -0 into +0 and make NaN of an infinite neighbour."""
    x = np.array([[-0.0, np.inf, 1.0], [2.0, -np.inf, -0.0]], np.float32)
    case = Case("Resize", (x,), SAMPLING | {"sizes": (2, 3), "scales": (1.0, 1.0)})
    assert compiler.lower(graph_of(case)).steps == ()
    assert_same_bits(interpreter.apply(registry.reference_of("Resize"), [x], case.attrs)[0], x, "Resize")
    check_case(case, engine)


def test_resize_extrapolates_outside_the_region(engine):
    attrs = SAMPLING | {
        "sizes": (4, 5),
        "scales": (1.0, 1.0),
        "coordinate_transformation_mode": "tf_crop_and_resize",
        "roi": (-0.5, 0.25, 1.5, 1.25),
        "extrapolation_value": 9.0,
    }
    case = Case("Resize", (np.arange(20, dtype=np.float32).reshape(4, 5),), attrs)
    (y,) = interpreter.apply(registry.reference_of("Resize"), list(case.inputs), attrs)
    assert y.tolist() == [[9.0] * 5, [3.5, 4.5, 5.5, 6.5, 9.0], [13.5, 14.5, 15.5, 16.5, 9.0], [9.0] * 5]
    check_case(case, engine)


@pytest.mark.parametrize("pool", ["MaxPool", "AveragePool"])
def test_a_window_wholly_in_the_padding(engine, pool):
    """-inf for the maximum of nothing; 0/0 for its mean, or 0 where the padding counts."""
    attrs = {"kernel_shape": (2,), "strides": (1,), "pads": (1, 1), "dilations": (2,)}
    case = Case(pool, (np.full((1, 1, 1), 5, np.float32),), attrs)
    (y,) = interpreter.apply(registry.reference_of(pool), list(case.inputs), attrs)
    assert_same_bits(y, np.full((1, 1, 1), -np.inf if pool == "MaxPool" else np.nan, np.float32), pool)
    check_case(case, engine)


def test_outputs_of_conv_transpose_without_a_tap_are_the_bias(engine):
    """Not even -0 or an infinite weight touches them: such taps are skipped, not multiplied by +0."""
    attrs = {"strides": (3,), "pads": (0, 0), "dilations": (1,), "output_padding": (2,)}
    x, w, bias = zeros(1, 2, 2), np.full((2, 1, 1), np.inf, np.float32), np.array([-0.0], np.float32)
    (y,) = interpreter.apply(registry.reference_of("ConvTranspose"), [x, w, bias], attrs)
    expected = [np.nan, -0.0, -0.0, np.nan, -0.0, -0.0]
    assert_same_bits(y, np.array([[expected]], np.float32), "ConvTranspose")
    check_case(Case("ConvTranspose", (x, w, bias), attrs, frozenset({1, 2})), engine)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"])
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_reducing_over_no_axis_keeps_every_element(engine, op, shape):
    x = np.full(shape, 2.5, np.float32)
    (y,) = interpreter.apply(registry.reference_of(op), [x], {"axes": ()})
    assert_same_bits(y, x, op)
    check_case(Case(op, (x,), {"axes": ()}), engine)


@pytest.mark.parametrize(
    ("op", "shapes", "attrs"),
    [
        ("MaxPool", [(0, 3, 4, 4)], WINDOW),
        ("AveragePool", [(2, 0, 4, 4)], WINDOW),
        ("Conv", [(0, 3, 4, 4), (2, 3, 2, 2)], SLIDING),
        ("ConvTranspose", [(0, 3, 4, 4), (3, 2, 2, 2)], SLIDING | {"output_padding": (0, 0)}),
        ("Resize", [(0, 1, 2, 2)], SAMPLING | {"sizes": (0, 1, 4, 4)}),
        ("ArgMax", [(0, 4)], {"axis": 1}),
        ("ReduceSum", [(0, 4)], {"axes": (1,)}),
        ("BatchNormalization", [(0, 3, 4), (3,), (3,), (3,), (3,)], {"epsilon": 1e-5}),
        ("InstanceNormalization", [(0, 3, 4), (3,), (3,)], {"epsilon": 1e-5}),
        ("InstanceNormalization", [(2, 3, 0), (3,), (3,)], {"epsilon": 1e-5}),
        ("LayerNormalization", [(0, 3), (3,)], {"axis": 1, "epsilon": 1e-5}),
        ("LRN", [(0, 3, 4)], {"size": 3, "alpha": 1.0, "beta": 1.0, "bias": 1.0}),
    ],
)
def test_nothing_in_nothing_out(engine, op, shapes, attrs):
    arrays = [zeros(*shape) for shape in shapes]
    check_case(Case(op, tuple(arrays), attrs, frozenset(range(1, len(arrays)))), engine)
