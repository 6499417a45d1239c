"""Neighbouring assignments by one macro are expanded in step, and mean what they mean one after the other."""

from __future__ import annotations

import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_macros import assert_same, expanded_text, source
from tinyinfer.errors import WatError
from tinyinfer.wasm_backend import build
from tinyinfer.wasm_backend.memory import CONSTANTS, ZEROS

pytest.importorskip("wasmtime", reason="wasmtime assembles kernels and is not installed here")

FILL = """
(func $fill (export "fill") (param $seed i32)
  (local $p i32)
  (loop $words
    (i32.store (local.get $p) (i32.mul (i32.add (local.get $seed) (local.get $p)) (i32.const 0x9e3779b1)))
    (br_if $words (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 4))) (i32.const 256)))))
"""


def kernel(macros: str, *assignments: str) -> str:
    """Sources with a kernel that sets $v0, $v1, … in turn and stores them all."""
    stores = [f"(v128.store offset={512 + 16 * i} (i32.const 0) (local.get $v{i}))" for i in range(len(assignments))]
    sets = [f"(local.set $v{i} {value})" for i, value in enumerate(assignments)]
    variables = [f"(local $v{i} v128)" for i in range(len(assignments))]
    return f'{FILL}{macros}(func $f (export "f") {" ".join([*variables, *sets, *stores])})'


def operations(text: str) -> list[str]:
    return re.findall(r"\((i32x4\.\w+|v128\.xor)", expanded_text(text))


CHAIN = """
(func $twice! (param $x v128) (result v128) (i32x4.add (local.get $x) (local.get $x)))
(func $chain! (param $x v128) (result v128)
  (local $t v128)
  (local.set $t (i32x4.sub (call $twice! (local.get $x)) (local.get $x)))
  (local.set $t (i32x4.mul (local.get $t) (local.get $x)))
  (v128.xor (call $twice! (i32x4.shl (local.get $t) (i32.const 3))) (local.get $x)))
"""
LOADS = [f"(call $chain! (v128.load offset={16 * i} (i32.const 0)))" for i in range(3)]


def test_chains_proceed_in_step():
    text = kernel(CHAIN, *LOADS)
    assert_same(text, ("fill", 1), ("f",))
    single = operations(kernel(CHAIN, LOADS[0]))
    assert operations(text) != single * 3
    assert sorted(operations(text)) == sorted(single * 3)
    assert operations(text)[:6] == ["i32x4.sub", "i32x4.add"] * 3, "a step nests two operations"


@pytest.mark.parametrize(
    "second",
    [
        "(call $chain! (local.get $v0))",
        "(call $chain! (i32x4.add (v128.load (i32.const 16)) (v128.load (i32.const 32))))",
        "(call $twice! (v128.load (i32.const 16)))",
    ],
    ids=["needs the first result", "another form of argument", "another macro"],
)
def test_others_stay_one_after_the_other(second: str):
    text = kernel(CHAIN, LOADS[0], second)
    assert_same(text, ("fill", 2), ("f",))
    single = operations(kernel(CHAIN, LOADS[0]))
    assert operations(text)[: len(single)] == single


@pytest.mark.parametrize(
    "statement",
    [
        "(if (v128.any_true (local.get $x)) (then (local.set $x (call $twice! (local.get $x)))))",
        "(v128.store (i32.const 0) (local.get $x))",
        "(local.set $n (i32.add (local.get $n) (i32x4.extract_lane 0 (local.get $x))))",
    ],
    ids=["control flow", "store", "scalar variable"],
)
def test_what_is_more_than_a_chain_is_expanded_in_order(statement: str):
    macro = f"""{CHAIN}(func $more! (param $x v128) (result v128) (local $n i32)
      {statement} (i32x4.add (i32x4.splat (local.get $n)) (local.get $x)))"""
    loads = [load.replace("$chain!", "$more!") for load in LOADS]
    assert_same(kernel(macro, *loads), ("fill", 3), ("f",), ("f",))


OPERATORS = st.sampled_from(["i32x4.add", "i32x4.sub", "i32x4.mul", "v128.xor"])


@st.composite
def vector(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> str:
    """An expression over v128 variables, assignments and an earlier macro inside."""

    def operand() -> str:
        return draw(vector(names, depth - 1))

    kind = draw(
        st.sampled_from(["get", "load"] if depth == 0 else ["get", "two", "two", "two", "shift", "tee", "call"])
    )
    match kind:
        case "get":
            return f"(local.get {draw(st.sampled_from(names))})"
        case "load":
            return f"(v128.load offset={4 * draw(st.integers(0, 20))} (i32.const 0))"
        case "two":
            return f"({draw(OPERATORS)} {operand()} {operand()})"
        case "shift":
            return f"(i32x4.shl {operand()} (i32.const {draw(st.integers(0, 9))}))"
        case "tee":
            return f"(v128.xor (local.tee {draw(st.sampled_from(names))} {operand()}) {operand()})"
        case _:
            return f"(call $inner! {operand()} {operand()})"


@st.composite
def macro(draw: st.DrawFn, name: str, depth: int) -> str:
    names = ("$x", "$y", "$t", "$u")
    sets = [
        f"(local.set {draw(st.sampled_from(names))} {draw(vector(names, depth))})"
        for _ in range(draw(st.integers(0, 3)))
    ]
    header = "(param $x v128) (param $y v128) (result v128) (local $t v128) (local $u v128)"
    return f"(func {name} {header} {' '.join(sets)} {draw(vector(names, depth))})"


@given(data=st.data(), lanes=st.integers(2, 4), seed=st.integers(0, 99))
def test_random_chains_keep_their_meaning(data: st.DataObject, lanes: int, seed: int):
    inner = data.draw(macro("$inner!", 0))
    outer = data.draw(macro("$outer!", 2))
    own = tuple(f"$v{i}" for i in range(lanes))
    arguments = [f"{data.draw(vector(own, 0))} {data.draw(vector(own, 0))}" for _ in range(lanes)]
    text = kernel(inner + outer, *(f"(call $outer! {argument})" for argument in arguments))
    assert_same(text, ("fill", seed), ("f",))


# --- Constants ----------------------------------------------------------------------------------------------

SPLATS = """
(func $f (export "f") (param $y i32)
  (v128.store (local.get $y)
    (i32x4.add (f32x4.splat (f32.const -0x1.8p+1)) (i32x4.splat (i32.const 0xff800000))))
  (v128.store offset=16 (local.get $y) (i32x4.add (i32x4.splat (i32.const -8388608)) (f32x4.splat (f32.const -0)))))
"""


def data_of(text: str) -> bytes:
    """The bytes of the module's data segment."""
    wasm = build.assemble(source(text)).module.wasm
    for kind, _, content, end in build._sections(wasm):
        if kind == 11:
            return wasm[content:end]
    return b""


def test_splats_of_constants_are_loaded():
    import wasmtime

    store = wasmtime.Store()
    memory = wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(1, 1 << 16)))
    module = wasmtime.Module(store.engine, build.assemble(source(SPLATS)).module.wasm)
    wasmtime.Instance(store, module, [memory]).exports(store)["f"](store, ZEROS)
    numbers = struct.unpack("<3I", memory.read(store, CONSTANTS, CONSTANTS + 12))
    assert numbers == (0xC0400000, 0xFF800000, 0x80000000), "equal bits are stored once"
    sums = [(0xC0400000 + 0xFF800000) % 2**32, (0xFF800000 + 0x80000000) % 2**32]
    assert struct.unpack("<8I", memory.read(store, ZEROS, ZEROS + 32)) == (*[sums[0]] * 4, *[sums[1]] * 4)


def test_zero_is_no_constant_in_memory():
    assert data_of(SPLATS)
    assert not data_of('(func $f (export "f") (result v128) (f32x4.splat (f32.const 0)))')
    assert not data_of('(func $f (export "f") (result v128) (i32x4.splat (i32.const 0)))')


def test_too_many_constants_are_refused():
    room = (ZEROS - CONSTANTS) // 4
    splats = [f"(drop (i32x4.splat (i32.const {i})))" for i in range(1, room + 2)]
    assert data_of(f'(func $f (export "f") {"".join(splats[:-1])})')
    with pytest.raises(WatError, match=f"{room + 1} constants do not fit below address {ZEROS}"):
        build.assemble(source(f'(func $f (export "f") {"".join(splats)})'))
