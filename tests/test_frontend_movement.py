"""Operators that move elements, in every opset form, exactly as ONNX's evaluator or NumPy does it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.onnx_models import assert_close, imported, oracle, single
from tinyinfer import frontend
from tinyinfer.errors import ModelError, ShapeError, UnsupportedError

X = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
IMIN, IMAX = -(2**63), 2**63 - 1


def same(proto: object, feeds: dict, expected: np.ndarray | None = None) -> None:
    assert_close(imported(proto, feeds), {"y": expected} if expected is not None else oracle(proto, feeds), 0)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32, np.uint8, np.bool_])
def test_every_element_type_moves(dtype: type) -> None:
    x = X.astype(np.uint8).astype(dtype)
    same(*single("Transpose", [x], perm=[0, 2, 3, 1]))
    same(*single("Concat", [x, x], axis=1))
    same(*single("Expand", [x[:, :1], np.array([3, 1, 1])], [1]))
    same(*single("Tile", [x, np.array([1, 2, 1, 1])], [1]))
    same(*single("Slice", [x, np.array([1]), np.array([3]), np.array([2])], [1, 2, 3]))
    same(*single("Gather", [x, np.array([2, 0])], axis=1))


def test_transpose() -> None:
    same(*single("Transpose", [X]))
    same(*single("Transpose", [X], perm=[3, 0, 2, 1]))


def test_concat() -> None:
    same(*single("Concat", [X, X[:, :1], X], [1], axis=-3))
    same(*single("Concat", [X], axis=0))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1), (7, 1, 1, 1, 1), (2, 3, 4, 1)])
def test_expand(shape: tuple[int, ...]) -> None:
    same(*single("Expand", [X, np.array(shape)], [1]))


def test_tile_split() -> None:
    same(*single("Tile", [X, np.array([2, 1, 3, 1])], [1]))
    same(*single("Tile", [X, np.array([1, 1, 1, 1])], [1]))


@pytest.mark.parametrize(("lengths", "count"), [(None, 2), ([1, 3], 2), ([4], 1), (None, 1), ([0, 4], 2)])
def test_split_with_lengths_as_attribute_and_as_input(lengths: list[int] | None, count: int) -> None:
    parts = np.split(X, np.cumsum(lengths)[:-1] if lengths else count, axis=2)
    expected = {"y" if i == 0 else f"y{i}": part for i, part in enumerate(parts)}
    for opset in (7, 13):
        if opset == 13 or not lengths:
            inputs, attrs = [X, *([np.array(lengths)] if lengths else [])], {}
        else:
            inputs, attrs = [X], {"split": lengths}
        proto, feeds = single("Split", inputs, range(1, len(inputs)), count, opset, axis=-2, **attrs)
        assert_close(imported(proto, feeds), expected, 0)


def test_split_into_a_number_of_parts() -> None:
    proto, feeds = single("Split", [X], outputs=3, opset=18, num_outputs=3, axis=3)
    assert [v.shape[3] for v in imported(proto, feeds).values()] == [2, 2, 1]
    assert_close(imported(proto, feeds), oracle(proto, feeds), 0)


@pytest.mark.parametrize(
    ("starts", "ends", "axes"),
    [
        ([1], [3], [2]),
        ([0, -3], [-1, IMAX], [1, 3]),
        ([1, 1, 0, 0], [2, 3, 4, 9], None),
        ([3], [1], [3]),
        ([9], [20], [1]),
    ],
)
def test_slice_by_attribute_and_by_input(starts: list[int], ends: list[int], axes: list[int] | None) -> None:
    proto, feeds = single("Slice", [X], opset=9, starts=starts, ends=ends, **({"axes": axes} if axes else {}))
    index = [slice(None)] * 4
    for axis, start, end in zip(axes or range(4), starts, ends):
        index[axis] = slice(start, end)
    same(proto, feeds, X[tuple(index)])
    inputs = [np.array(starts), np.array(ends), *([np.array(axes)] if axes else [])]
    same(*single("Slice", [X, *inputs], range(1, 1 + len(inputs)), opset=10), X[tuple(index)])


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [([4], [0], [-1], [-2]), ([-1, IMAX], [IMIN, IMIN], [0, 3], [-1, -1]), ([0], [5], [3], [2]), ([4], [9], [3], [-1])],
)
@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_slice_with_steps(starts: list[int], ends: list[int], axes: list[int], steps: list[int], dtype: type) -> None:
    clamped = [np.clip(np.array(v), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype) for v in (starts, ends)]
    proto, feeds = single("Slice", [X, *clamped, np.array(axes, dtype), np.array(steps, dtype)], [1, 2, 3, 4])
    index = [slice(None)] * 4
    for axis, start, end, step in zip(axes, starts, ends, steps):
        index[axis] = slice(start, end, step)
    same(proto, feeds, X[tuple(index)])


def test_slice_checks() -> None:
    for inputs, message in (
        ([np.array([0]), np.array([1, 2])], "expected one value each per axis"),
        ([np.array([0]), np.array([1]), np.array([0]), np.array([0])], "steps not 0"),
        ([np.array([0]), np.array([1]), np.array([4])], "4 is outside a tensor of rank 4"),
    ):
        proto, _ = single("Slice", [X, *inputs], range(1, 1 + len(inputs)))
        with pytest.raises(ShapeError, match=rf"test: node node \(Slice\): .*{message}"):
            frontend.load(proto)


PADS = [0, 1, 2, 0, 0, 0, 1, 3]


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_pad_by_attribute_and_by_input(mode: str) -> None:
    width = list(zip(PADS[:4], PADS[4:]))
    expected = np.pad(X, width, mode)  # type: ignore[call-overload]
    same(*single("Pad", [X], opset=7, mode=mode, pads=PADS), expected)
    same(*single("Pad", [X, np.array(PADS)], [1], opset=11, mode=mode), expected)


def test_pad_wrap() -> None:
    expected = np.pad(X, list(zip(PADS[:4], PADS[4:])), "wrap")
    same(*single("Pad", [X, np.array(PADS)], [1], opset=19, mode="wrap"), expected)


def test_pad_value() -> None:
    expected = np.pad(X, list(zip(PADS[:4], PADS[4:])), constant_values=7.5)
    same(*single("Pad", [X], opset=7, pads=PADS, value=7.5), expected)
    same(*single("Pad", [X, np.array(PADS), np.float32(7.5)], [1, 2]), expected)
    same(*single("Pad", [X, np.array(PADS), None], [1]), np.pad(X, list(zip(PADS[:4], PADS[4:]))))


def test_pad_of_some_axes() -> None:
    inputs = [np.array([1, 2, 3, 4]), None, np.array([-1, 1])]
    expected = np.pad(X, [(0, 0), (2, 4), (0, 0), (1, 3)])
    same(*single("Pad", [X, *inputs], [1, 3], opset=18), expected)


def test_negative_pads_cut() -> None:
    expected = np.pad(X[:, 1:, :, :-2], [(0, 0), (0, 1), (2, 0), (0, 0)])
    same(*single("Pad", [X, np.array([0, -1, 2, 0, 0, 1, 0, -2])], [1]), expected)
    same(*single("Pad", [X, np.array([0, -1, 0, 0, 0, 0, 0, -2])], [1]), X[:, 1:, :, :-2])
    same(*single("Pad", [X, np.array([0] * 8)], [1]), X)


def test_pad_checks() -> None:
    proto, _ = single("Pad", [X, np.array([1, 1])], [1])
    with pytest.raises(ShapeError, match=r"test: node node \(Pad\): X is .*: 2 pads for 4 axes; expected 8"):
        frontend.load(proto)
    proto, _ = single("Pad", [X, np.array(PADS)], [1], mode="mirror")
    with pytest.raises(UnsupportedError, match="attribute mode is 'mirror'; accepted: constant or reflect or edge or"):
        frontend.load(proto)


@pytest.mark.parametrize("axis", [0, 2, -1])
@pytest.mark.parametrize("indices", [np.array(1), np.array([[0, -1], [1, 0]]), np.array([0, 1], np.int32)])
@pytest.mark.parametrize("constants", [(), (1,)])
def test_gather(axis: int, indices: np.ndarray, constants: tuple[int, ...]) -> None:
    same(*single("Gather", [X, indices], constants, axis=axis), np.take(X, indices, axis))


@pytest.mark.parametrize(("opset", "attrs"), [(7, {}), (13, {}), (13, {"mode": "CRD"}), (13, {"mode": "DCR"})])
def test_depth_to_space(opset: int, attrs: dict) -> None:
    x = np.arange(2 * 8 * 2 * 3, dtype=np.float32).reshape(2, 8, 2, 3)
    proto, feeds = single("DepthToSpace", [x], opset=opset, blocksize=2, **attrs)
    newest, _ = single("DepthToSpace", [x], opset=13, blocksize=2, **attrs)
    same(proto, feeds, oracle(newest, feeds)["y"])


def test_space_to_depth() -> None:
    same(*single("SpaceToDepth", [X[:, :, :, :4]], blocksize=2))


def test_space_to_depth_undoes_depth_to_space() -> None:
    for mode in ("DCR", "CRD"):
        proto, feeds = single("DepthToSpace", [X[:, :2].reshape(2, 8, 1, 5)], opset=28, blocksize=2, mode=mode)
        wide = imported(proto, feeds)["y"]
        same(*single("SpaceToDepth", [wide], opset=28, blocksize=2, mode=mode), feeds["i0"])


@pytest.mark.parametrize(
    ("op", "inputs", "attrs", "message"),
    [
        ("Concat", [X, X], {"axis": 4}, "axis 4 is outside a tensor of rank 4"),
        ("Concat", [X, X[:, :1]], {"axis": 0}, "differ in more than axis 0"),
        ("Transpose", [X], {"perm": [0, 1, 2]}, "does not permute"),
        ("Expand", [X, np.array([2, 2])], {}, "does not broadcast with shape"),
        ("Tile", [X, np.array([2])], {}, "expected 4 values ≥ 0"),
        ("Split", [X, np.array([1, 1])], {"axis": 2}, "expected 1 lengths ≥ 0 that make up axis 2"),
        ("Gather", [X, np.array([0])], {"axis": 5}, "axis 5 is outside"),
    ],
)
def test_operands_are_checked(op: str, inputs: list, attrs: dict, message: str) -> None:
    proto, _ = single(op, inputs, range(1, len(inputs)), **attrs)
    with pytest.raises(ModelError, match=rf"test: node node \({op}\): .*{message}"):
        frontend.load(proto)
