"""KERNELS: the table of every kernel. A row here is what makes a kernel exist for tests, benchmarks and documentation.

The name is the row, the export and, after the dtype, the operator whose `.wat` file defines it. Parameters are not
listed: they are read from the assembled source. By convention the last two, `m0` and `m1`, are the range of
parallel work, so that threads can split a call without changing a bit; `unit` says what they count. What a kernel
demands of its strides and sizes stands here and in the header of its source; `Lowering.step` checks every call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Columns:
    """A second direction in which a call can be cut, for few rows of much work.

    `extent` is the parameter that counts the columns, `width` how many are computed together, `alone` how many in a
    call of one row. Each of `pointers` moves by four bytes times its factors (parameters) from one column to the next.
    """

    extent: str
    width: int
    alone: int
    pointers: Mapping[str, str]


@dataclass(frozen=True)
class Work:
    """What one unit of a kernel's range costs, and how a call may be cut."""

    bound: str
    """What limits it at large sizes: `memory` or `compute`."""
    each: str = ""
    """Parameters whose product is a unit's multiply-accumulates (`compute`) or elements (`memory`); one if empty."""
    tile: int = 1
    """How many units are computed together."""
    columns: Columns | None = None


@dataclass(frozen=True)
class Kernel:
    """One exported function of the kernel module."""

    name: str
    source: str
    """The file in `kernels_wat/` that defines it."""
    unit: str
    """What `m0` and `m1` count."""
    work: Work
    demands: tuple[str, ...]
    """What it requires of its arguments, strides in bytes: see `demands.py`."""

    @property
    def size(self) -> int:
        """Bytes of an element of the type that the name begins with."""
        return int(self.name.partition("_")[0][1:]) // 8


def _rows(source: str, names: Iterable[str], unit: str, work: Work, demands: str = "") -> list[Kernel]:
    return [Kernel(name, source, unit, work, tuple(filter(None, demands.split(" · ")))) for name in names]


TILE = 12
"""Rows of a register tile: four on one tier, six on the other."""

ELEMENTS = Work("memory", tile=16)
ROWS = Work("memory", "n")
LANES = Work("memory", "n", tile=4)

_DENSE_OR_REPEATED = "a3 = size or a3 = 0 · b3 = size or b3 = 0"
"""What loops over two operands read: rows that are dense, or one value for all of a row."""


_TABLE = [
    *_rows(
        "matmul.wat",
        ["f32_gemm"],
        "rows of A",
        Work("compute", "k n", TILE, Columns("n", 8, 32, {"c": "", "r": "", "b": "", "w": "k"})),
    ),
    *_rows(
        "matmul_batched.wat", ["f32_batched_gemm"], "rows of A (batch·rows)", Work("compute", "k n", TILE), "rows ≥ 1"
    ),
    *_rows(
        "matmul_vector.wat",
        ["f32_batched_gemv"],
        "entries of the batch",
        Work("memory", "k n"),
        "ks = 4 or ns = 4 · ns > 0 · k ≥ 1",
    ),
    *_rows("matmul_nbits.wat", ["f32_gemm_x8", "f32_gemm_x4"], "panels of 8 columns", Work("compute", "k rows")),
    *_rows("pack.wat", ["f32_pack"], "panels of 8 columns (batch·panels)", Work("memory", "k"), "ns > 0"),
    *_rows(
        "qlinear_matmul.wat", ["i8_qgemm", "i8_qgemm_w16"], "blocks of r rows of A", Work("compute", "r k n"), "lda ≥ 0"
    ),
    *_rows("qlinear_matmul.wat", ["i8_qgemm_bias"], "elements", ELEMENTS),
    *_rows("qlinear_matmul.wat", ["x8_qpack"], "panels of 8 columns", Work("memory", "k")),
    *_rows(
        "qlinear_conv.wat", ["i8_qconv", "i8_qconv_w16"], "blocks of r output pixels", Work("compute", "r oc kh kw ic")
    ),
    *_rows("qlinear_conv_depthwise.wat", ["x8_qdwconv"], "output rows (n·oh)", Work("compute", "ow c kh kw")),
    *_rows("quantize_linear.wat", ["f32_quantize"], "elements", ELEMENTS),
    *_rows("quantize_linear.wat", ["f32_quantize_pixels"], "pixels", ELEMENTS),
    *_rows("quantize_linear.wat", ["f32_quantize_range"], "tensors (one)", ELEMENTS),
    *_rows("dequantize_linear.wat", ["x8_dequantize"], "elements", ELEMENTS),
    *_rows("dequantize_linear.wat", ["i32_dequantize_rows"], "rows", ROWS),
    *_rows("lookup.wat", ["x8_lookup"], "elements", ELEMENTS),
    *_rows("qlinear_add.wat", ["x8_qadd", "x8_qmul"], "elements", ELEMENTS),
    *_rows("max_pool.wat", ["x8_maxpool"], "output rows (n·oh)", Work("memory", "ow size")),
    *_rows("qlinear_average_pool.wat", ["x8_avgpool"], "output rows (n·oh)", Work("memory", "ow size")),
    *_rows(
        "conv.wat",
        ["f32_conv"],
        "output rows (n·oh)",
        Work("compute", "ow oc kh kw ic", 1, Columns("oc", 8, 8, {"y": "", "r": "", "b": "", "w": "kh kw ic"})),
    ),
    *_rows("conv_depthwise.wat", ["f32_dwconv"], "output rows (n·oh)", Work("compute", "ow c kh kw")),
    *_rows(
        "conv_winograd.wat",
        ["f32_winograd"],
        "tiles of 2×2 outputs",
        Work("compute", "k oc", 24, Columns("oc", 64, 64, {"y": "", "r": "", "b": "", "w": "k"})),
    ),
    *_rows("max_pool.wat", ["f32_maxpool"], "output rows (n·oh)", Work("memory", "ow size")),
    *_rows("average_pool.wat", ["f32_avgpool"], "output rows (n·oh)", Work("memory", "ow size")),
    *_rows("batch_normalization.wat", ["f32_batchnorm"], "rows", ROWS, "s = 0 or s = 4"),
    *_rows("instance_normalization.wat", ["f32_instancenorm"], "statistics (n·c)", Work("memory", "inner")),
    *_rows("layer_normalization.wat", ["f32_layernorm"], "rows", ROWS),
    *_rows("lrn.wat", ["f32_lrn"], "pixels", Work("memory", "channels")),
    *_rows(
        "resize.wat",
        ["f32_resize"],
        "rows (outer·out)",
        Work("memory", "inner"),
        "taps = 1 or taps = 2 or taps = 4 · ldy = 4 where inner = 1",
    ),
    *_rows("resize_bytes.wat", ["x8_resize"], "rows (outer·out)", Work("memory", "inner")),
    *_rows("copy.wat", ["x8_copy", "x32_copy", "x64_copy"], "rows (n0·n1·n2·n3·n4)", Work("memory", "n5"), "n5 ≥ 1"),
    *_rows(
        "transpose.wat",
        ["x32_transpose"],
        "rows of Y (batch·cols)",
        Work("memory", "rows", 16),
        "rows ≥ 1 · cols ≥ 1 · ldx ≥ 0",
    ),
    *_rows("gather.wat", ["i32_gather", "i64_gather"], "rows of Y (outer·n)", Work("memory", "run"), "d ≥ 1 · run ≥ 1"),
    *_rows("gather.wat", ["i32_gather_panels", "i64_gather_panels"], "indices", Work("memory", "k"), "d ≥ 1"),
    *_rows("clip.wat", ["f32_clip"], "elements", ELEMENTS),
    *_rows("add.wat", ["f32_add", "i32_add", "i64_add"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("sub.wat", ["f32_sub", "i32_sub", "i64_sub"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("mul.wat", ["f32_mul", "i32_mul", "i64_mul"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("div.wat", ["f32_div", "i32_div", "i64_div"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("min.wat", ["f32_min", "i32_min", "i64_min"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("max.wat", ["f32_max", "i32_max", "i64_max"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("neg.wat", ["f32_neg", "i32_neg", "i64_neg"], "elements", ELEMENTS),
    *_rows("abs.wat", ["f32_abs", "i32_abs", "i64_abs"], "elements", ELEMENTS),
    *_rows("floor.wat", ["f32_floor"], "elements", ELEMENTS),
    *_rows("ceil.wat", ["f32_ceil"], "elements", ELEMENTS),
    *_rows("round.wat", ["f32_round"], "elements", ELEMENTS),
    *_rows("equal.wat", ["f32_equal", "i32_equal", "i64_equal", "u8_equal"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("less.wat", ["f32_less", "i32_less", "i64_less"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows(
        "less_or_equal.wat",
        ["f32_less_or_equal", "i32_less_or_equal", "i64_less_or_equal"],
        "elements",
        ELEMENTS,
        _DENSE_OR_REPEATED,
    ),
    *_rows("and.wat", ["u8_and"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("or.wat", ["u8_or"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("xor.wat", ["u8_xor"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("not.wat", ["u8_not"], "elements", ELEMENTS),
    *_rows(
        "where.wat",
        ["x8_where", "x32_where", "x64_where"],
        "elements",
        ELEMENTS,
        f"c3 = 1 or c3 = 0 · {_DENSE_OR_REPEATED}",
    ),
    *_rows("cast.wat", [f"f32_cast_{t}" for t in ("i32", "i64", "u8", "i8", "bool")], "elements", ELEMENTS),
    *_rows("cast.wat", [f"i32_cast_{t}" for t in ("f32", "i64", "bool")], "elements", ELEMENTS),
    *_rows("cast.wat", [f"i64_cast_{t}" for t in ("f32", "bool")], "elements", ELEMENTS),
    *_rows("cast.wat", [f"u8_cast_{t}" for t in ("f32", "i32", "i64", "bool")], "elements", ELEMENTS),
    *_rows("cast.wat", [f"i8_cast_{t}" for t in ("f32", "i32", "i64")], "elements", ELEMENTS),
    *_rows("exp.wat", ["f32_exp"], "elements", ELEMENTS),
    *_rows("log.wat", ["f32_log"], "elements", ELEMENTS),
    *_rows("sigmoid.wat", ["f32_sigmoid"], "elements", ELEMENTS),
    *_rows("swish.wat", ["f32_swish"], "elements", ELEMENTS),
    *_rows("tanh.wat", ["f32_tanh"], "elements", ELEMENTS),
    *_rows("erf.wat", ["f32_erf"], "elements", ELEMENTS),
    *_rows("gelu.wat", ["f32_gelu", "f32_gelu_tanh"], "elements", ELEMENTS),
    *_rows("softplus.wat", ["f32_softplus"], "elements", ELEMENTS),
    *_rows("mish.wat", ["f32_mish"], "elements", ELEMENTS),
    *_rows("elu.wat", ["f32_elu"], "elements", ELEMENTS),
    *_rows("hard_sigmoid.wat", ["f32_hard_sigmoid"], "elements", ELEMENTS),
    *_rows("hard_swish.wat", ["f32_hard_swish"], "elements", ELEMENTS),
    *_rows("leaky_relu.wat", ["f32_leaky_relu"], "elements", ELEMENTS),
    *_rows("prelu.wat", ["f32_prelu"], "elements", ELEMENTS, _DENSE_OR_REPEATED),
    *_rows("pow.wat", ["f32_pow"], "elements", replace(ELEMENTS, bound="compute"), _DENSE_OR_REPEATED),
    *_rows("sqrt.wat", ["f32_sqrt"], "elements", ELEMENTS),
    *_rows("reciprocal.wat", ["f32_reciprocal"], "elements", ELEMENTS),
    *_rows("softmax.wat", ["f32_softmax"], "outputs' rows (outer·inner)", LANES, "n ≥ 1"),
    *_rows("qlinear_softmax.wat", ["x8_softmax"], "rows", LANES, "n ≥ 1"),
    *_rows("log_softmax.wat", ["f32_log_softmax"], "outputs' rows (outer·inner)", LANES, "n ≥ 1"),
    *_rows("reduce_sum.wat", ["f32_reduce_sum", "i32_reduce_sum", "i64_reduce_sum"], "outputs (outer·inner)", LANES),
    *_rows("reduce_max.wat", ["f32_reduce_max", "i32_reduce_max", "i64_reduce_max"], "outputs (outer·inner)", LANES),
    *_rows("reduce_min.wat", ["f32_reduce_min", "i32_reduce_min", "i64_reduce_min"], "outputs (outer·inner)", LANES),
    *_rows("arg_max.wat", ["f32_argmax", "i32_argmax", "i64_argmax"], "outputs (outer·inner)", LANES, "n ≥ 1"),
    *_rows("arg_min.wat", ["f32_argmin", "i32_argmin", "i64_argmin"], "outputs (outer·inner)", LANES, "n ≥ 1"),
]

KERNELS: dict[str, Kernel] = {kernel.name: kernel for kernel in _TABLE}
