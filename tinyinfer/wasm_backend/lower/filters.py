"""Convolution weights on their way into the form kernels read, when compiling or, if variable, when running."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tinyinfer.graph import Value
from tinyinfer.types import Array
from tinyinfer.wasm_backend import pack
from tinyinfer.wasm_backend.lower import window
from tinyinfer.wasm_backend.lower.linear import pack_rows, panel_count
from tinyinfer.wasm_backend.lowering import Lowering, Pointer, Strided
from tinyinfer.wasm_backend.strides import plain, strides_of


@dataclass(frozen=True)
class Filters:
    """A view of weights: constant `data`, or a `place` in memory."""

    data: Array | None
    place: Strided | None

    @staticmethod
    def of(to: Lowering, w: Value) -> Filters:
        """Weights [A, B, KH, KW]; of a 1-D convolution, with one kernel row."""
        if w.data is not None:
            return Filters(w.data.reshape(*w.shape[:2], *window.pair(w.shape[2:], 1)), None)
        place = to.strided(w)
        if w.type.rank == 3:
            (a, b, k), (sa, sb, sk) = place.shape, place.strides
            place = replace(place, shape=(a, b, 1, k), strides=(sa, sb, 0, sk))
        return Filters(None, place)

    @property
    def shape(self) -> tuple[int, ...]:
        view = self.place if self.data is None else self.data
        assert view is not None
        return view.shape

    def transpose(self, *perm: int) -> Filters:
        if self.data is not None:
            return Filters(self.data.transpose(perm), None)
        assert self.place is not None
        shape, strides = self.place.shape, self.place.strides
        moved = replace(self.place, shape=tuple(shape[i] for i in perm), strides=tuple(strides[i] for i in perm))
        return Filters(None, moved)

    def cut(self, axis: int, start: int, count: int, step: int = 1) -> Filters:
        """`count` positions along `axis`: start, start + step, …"""
        if self.data is not None:
            return Filters(self.data.take(start + step * np.arange(count), axis), None)
        place = self.place
        assert place is not None
        shape, strides = list(place.shape), list(place.strides)
        pointer = place.pointer + start * strides[axis] * place.dtype.size
        shape[axis], strides[axis] = count, step * strides[axis]
        return Filters(None, Strided(pointer, place.dtype, tuple(shape), tuple(strides)))

    def panels(self, to: Lowering, label: str) -> Pointer:
        """[KH, KW, C, M] as panels of a [KH·KW·C, M] matrix."""
        m = self.shape[-1]
        if self.data is not None:
            return to.packed(self.data, _panels, label)
        assert self.place is not None
        k = math.prod(self.shape[:-1])
        dense = self._copied(to, self.place, label)
        target = to.scratch(panel_count(m) * k * pack.PANEL * 4, f"{label}.panels")
        pack_rows(to, Strided(dense, self.place.dtype, (k, m), (m, 1)), target)
        return target

    def depthwise(self, to: Lowering, label: str) -> Pointer:
        """[KH, KW, 1, C] as the blocks of four channels that f32_dwconv reads."""
        if self.data is not None:
            return to.packed(self.data, _depthwise, label)
        assert self.place is not None
        kh, kw, _, channels = self.shape
        blocks, taps, lanes = -(-channels // pack.VECTOR), kh * kw, pack.VECTOR
        target = to.scratch((blocks + 3) * taps * lanes * 4, f"{label}.blocks")
        full = channels // lanes
        for first, count, width in ((0, full, lanes), (full, blocks - full, channels % lanes)):
            if count:
                some = self.cut(3, first * lanes, count * width).place
                assert some is not None
                (rows, columns, _, step), dtype = some.strides, some.dtype
                shape = (count, kh, kw, width)
                packed = (taps * lanes, kw * lanes, lanes, 1)
                to.copy(
                    Strided(target + first * taps * lanes * 4, dtype, shape, packed),
                    Strided(some.pointer, dtype, shape, (lanes * step, rows, columns, step)),
                )
        return target

    def _copied(self, to: Lowering, source: Strided, label: str) -> Pointer:
        target = to.scratch(math.prod(source.shape) * 4, label)
        dense = strides_of(source.shape, plain(len(source.shape)))
        to.copy(Strided(target, source.dtype, source.shape, dense), source)
        return target


def _panels(filters: Array) -> Array:
    return pack.panels(filters.reshape(-1, filters.shape[-1]))


def _depthwise(filters: Array) -> Array:
    return pack.depthwise(filters.reshape(-1, filters.shape[-1]))
