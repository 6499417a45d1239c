"""The machine's limits, as WebAssembly modules: loops that nothing but the processor's ports or its memory slows down.

The arithmetic loops keep their accumulators in registers and have no product of operands that stay the same, so that
no engine can move it out of the loop. A module's global `macs` counts the multiply-accumulates of one iteration.

* `relaxed_madd` keeps everything in registers: cᵢ ← cᵢ + a·cᵢ₊₁ over a ring of accumulators.
* `mul_add` takes twice the time from an operand to its sum, too long for a ring that fits in the registers. It
  multiplies five vectors from the first-level cache by two in registers.
* `dot_i16` is the same with pairs of 16-bit integers, what 8-bit operands are widened to; `dot_i8` with four bytes at a
  time, in one instruction.
* `read` touches every line of a buffer that caches do not hold, in four places at once, which is faster than one
  stream. A load that may trap is never left out, even if nobody wants its value.

`mul_add` also tells whether a core is free: pages ask it before and after every sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

TILE, RING, LANES, PAIRS, FOURS = 10, 12, 4, 2, 4
INTEGERS = ("dot_i16", "dot_i8")
"""The loops for quantised models; the others are for floats."""
PROBE = "roofline.simd128.wasm"
STREAMED = 256 << 20
"""Bytes that `read` goes through."""

PAGE = 1 << 16
LINE, PLACES = 64, 4
NEXT = "(br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))"


@cache
def modules() -> dict[str, bytes]:
    """The modules by file name; a browser without relaxed SIMD rejects two of them."""
    import wasmtime

    i16, i8 = INTEGERS
    mul_add = "(f32x4.add {c} (f32x4.mul {a} {x}))"
    dot_i16 = "(i32x4.add {c} (i32x4.dot_i16x8_s {a} {x}))"
    dot_i8 = "(i32x4.relaxed_dot_i8x16_i7x16_add_s {a} {x} {c})"
    sources = {
        PROBE: _module(TILE * LANES, _products("mul_add", mul_add, "f32x4.add")),
        "roofline.memory.wasm": _module(0, _read(), STREAMED),
        "roofline.relaxed.wasm": _module(RING * LANES, _relaxed_madd()),
        f"roofline.{i16}.wasm": _module(TILE * LANES * PAIRS, _products(i16, dot_i16, "i32x4.add")),
        f"roofline.{i8}.wasm": _module(TILE * LANES * FOURS, _products(i8, dot_i8, "i32x4.add")),
    }
    return {name: bytes(wasmtime.wat2wasm(text)) for name, text in sources.items()}


def _module(macs: int, functions: str, memory: int = PAGE) -> str:
    return f"""(module
      (memory (export "memory") {memory // PAGE})
      (global (export "macs") i32 (i32.const {macs}))
      {functions})"""


def _products(name: str, product: str, add: str) -> str:
    """Accumulator c = 2i + j gets the product of vector x = i of this iteration and factor a = j."""
    steps = ""
    for i in range(TILE // 2):
        steps += f"(local.set $x (v128.load offset={16 * i} (local.get $p)))\n"
        for j in range(2):
            c, a, x = (f"(local.get ${name})" for name in (f"c{2 * i + j}", f"a{j}", "x"))
            steps += f"(local.set $c{2 * i + j} {product.format(c=c, a=a, x=x)})\n"
    return f"""
      (func (export "{name}") (param $n i32) (result i32)
        (local $p i32) (local $x v128) (local $a0 v128) (local $a1 v128) {_locals(TILE)}
        (local.set $a0 (f32x4.splat (f32.const 1)))
        (local.set $a1 (f32x4.splat (f32.const 2)))
        (loop $again
          {steps}
          (local.set $p (i32.and (i32.add (local.get $p) (i32.const {8 * TILE})) (i32.const 0xff0)))
          {NEXT})
        (i32x4.extract_lane 0 {_fold(add, TILE)}))"""


def _relaxed_madd() -> str:
    names = [f"$c{i}" for i in range(RING)]
    ring = list(zip(names, [*names[1:], names[0]]))
    start = "".join(f"(local.set {c} (f32x4.splat (f32.const 1)))" for c in names)
    steps = "".join(
        f"(local.set {c} (f32x4.relaxed_madd (local.get $a) (local.get {d}) (local.get {c})))" for c, d in ring
    )
    return f"""
      (func (export "relaxed_madd") (param $n i32) (result f32) (local $a v128) {_locals(RING)}
        (local.set $a (f32x4.splat (f32.const 0x1p-30))) {start}
        (loop $again {steps} {NEXT})
        (f32x4.extract_lane 0 {_fold("f32x4.add", RING)}))"""


def _read() -> str:
    """A function that reads the bytes from 0 to `$end`, a multiple of `LINE * PLACES`."""
    loads = "".join(
        f"(drop (i32.load (i32.add (local.get $p) (i32.mul (local.get $part) (i32.const {i})))))" for i in range(PLACES)
    )
    return f"""
      (func (export "read") (param $end i32) (local $p i32) (local $part i32)
        (local.set $part (i32.div_u (local.get $end) (i32.const {PLACES})))
        (loop $again
          {loads}
          (br_if $again (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const {LINE}))) (local.get $part)))))"""


def _locals(count: int) -> str:
    return " ".join(f"(local $c{i} v128)" for i in range(count))


def _fold(instruction: str, count: int) -> str:
    """All accumulators in one vector, so that none of them is dead."""
    parts: Sequence[str] = [f"(local.get $c{i})" for i in range(count)]
    total = parts[0]
    for part in parts[1:]:
        total = f"({instruction} {total} {part})"
    return total
