"""Errors of kernel sources name file, line and column, and what would be accepted."""

from __future__ import annotations

import pytest

from tinyinfer.errors import WatError
from tinyinfer.wasm_backend import build, wat

pytest.importorskip("wasmtime", reason="wasmtime assembles kernels and is not installed here")

MACRO = "(func $m! (param $x i32) (result i32) (local.get $x))"
ERRORS = {
    "unclosed": ("(func $f\n (nop)", r"test.wat:1:1: '\(' is never closed"),
    "unopened": ("(func $f (nop)))", r"test.wat:1:16: '\)' without '\('"),
    "comment": ("(func $f)\n  (; (; ;)", r"test.wat:2:3: '\(;' is never closed"),
    "character": ("(func $f (nop) ])", r"test.wat:1:16: unexpected character '\]'"),
    "field": ("(table $t 1 funcref)", r"test.wat:1:1: a kernel source has .* fields, not 'table'"),
    "unnamed": ("(func (nop))", r"test.wat:1:1: this func needs a \$name"),
    "twice": (MACRO + "\n" + MACRO, r"test.wat:2:1: func \$m! is already defined at test.wat:1:1"),
    "unfolded": ("(func $f (nop)\n local.get $x)", r"test.wat:2:2: 'local.get' outside .* folded"),
    "unfolded first": ("(func $f nop)", r"test.wat:1:1: 'nop' in func \$f: write folded"),
    "unfolded operand": (
        "(func $f (drop (i32.eqz local.get $x)))",
        r"test.wat:1:16: 'local.get' after i32.eqz",
    ),
    "unfolded block": ("(func $f (block nop))", r"test.wat:1:10: 'nop' after block: write \(block"),
    "numeric local": (
        "(func $f (drop (local.get 0)))",
        r"test.wat:1:16: local.get refers to a \$name, not to 0",
    ),
    "unnamed parameter": (
        "(func $f (param i32))",
        r"test.wat:1:10: write one named variable .*\(param \$name",
    ),
    "unknown type": ("(func $f (param $x i31))", r"test.wat:1:10: unknown type 'i31'; accepted: .*v128"),
    "declared twice": ("(func $f (param $x i32) (local $x i32))", r"1:1: \$x is declared twice in func \$f"),
    "function parameter": ("(func $f (param $g (ref $t)))", r"1:1: \$g: only the parameter of a macro"),
    "block type": ("(func $f (block (type $t)))", r"1:17: type in the body of \$f: blocks have only"),
    "if": ("(func $f (if (i32.const 1) (nop)))", r"1:10: an if is written"),
    "export": ('(func $f\n (export "g"))', r'test.wat:2:2: func \$f is exported under its own name: .*"f"'),
    "exported macro": ('(func $f! (export "f!"))', r"1:11: \$f! is a macro: .* never exported"),
    "unused": ("(func $f)", r"1:1: func \$f is neither exported nor called"),
    "return": ("(func $f! (return))", r"test.wat:1:11: return in macro \$f! would leave its caller"),
    "local": ('(func $f (export "f")\n (drop (local.get $y)))', r"2:8: unknown local \$y in func \$f"),
    "label": ('(func $f (export "f") (br $l))', r"1:23: br to \$l, but no block, loop or if around it"),
    "label twice": (
        '(func $f (export "f") (block $l (loop $l)))',
        r"1:33: the label \$l is already that of a block, loop or if around this loop",
    ),
    "label of the caller": (
        '(func $m! (br $l))\n(func $f (export "f") (block $l (call $m!)))',
        r"1:11: br to \$l, but no block",
    ),
    "func": ('(func $f (export "f") (call $g))', r"1:23: unknown func \$g"),
    "global": ('(func $f (export "f") (drop (global.get $g)))', r"1:29: unknown global \$g"),
    "operands": ("(func $f (drop (i32.add (i32.const 1))))", r"1:16: i32.add takes 2 values, but contains 1"),
    "no operand": ("(func $f (drop))", r"1:10: drop contains no operand"),
    "condition": ("(func $f (if (then (nop))))", r"1:10: the condition of an if is one value, not 0"),
    "block results": ("(func $f (block (i32.const 1)))", r"1:10: this block leaves 1 of 0 values"),
    "branch results": (
        "(func $f (drop (if (result i32) (i32.const 1) (then) (else (i32.const 2)))))",
        r"1:47: this then leaves 0 of 1 value$",
    ),
    "results": ("(func $f (result i32) (nop))", r"1:1: \$f leaves 0 of 1 value$"),
    "instruction": ("(func $f (i33.add))", r"1:10: 'i33.add' is not an instruction that kernels use"),
    "arguments": (
        MACRO + "\n(func $f (drop (call $m!)))",
        r"test.wat:2:16: call \$m! takes 1 value, but contains 0",
    ),
    "argument values": (
        """(func $two (result i32 i32) (i32.const 1) (i32.const 2))
        (func $sub! (param $a i32) (param $b i32))
        (func $f (call $sub! (call $two)))""",
        r"test.wat:3:30: each argument of a macro is one value, this leaves 2",
    ),
    "recursion": (
        '(func $a! (call $b!))\n(func $b! (call $a!))\n(func $f (export "f") (call $a!))',
        r"test.wat:2:11: macros cannot be recursive: \$a! → \$b! → \$a!",
    ),
    "function type": (
        """(type $t (func (param i32))) (func $m! (param $g (ref $t)))
        (func $g!)
        (func $f (export "f") (call $m! (ref.func $g!)))""",
        r"test.wat:3:41: func \$g! at test.wat:2:9 does not have the type \$t",
    ),
    "function argument": (
        '(type $t (func))\n(func $m! (param $g (ref $t)))\n(func $f (export "f") (call $m! (i32.const 1)))',
        r"test.wat:3:33: a function of type \$t is given as \(ref.func \$f\)",
    ),
    "function value": (
        """(type $t (func)) (func $n!)
        (func $m! (param $g (ref $t)) (drop (local.get $g)))
        (func $f (export "f") (call $m! (ref.func $n!)))""",
        r"test.wat:2:45: \$g is a function: it can only be called",
    ),
    "stray reference": (
        '(func $f (export "f") (drop (ref.func $f)))',
        r"1:29: ref.func is only the argument for a macro's parameter",
    ),
    "annotation": ('(@kernel "f" (nop))', r"1:1: a kernel made from a macro is written \(@kernel"),
    "annotation macro": ('(@kernel "f" (call $m!))', r"1:14: unknown func \$m!"),
    "text": (
        '(func $f (export "f")\n (drop (i32.nope (i32.const 1) (i32.const 2))))',
        r"test.wat:2:8: unknown op",
    ),
    "types": (
        '\n(func $m! (drop (i32.add (f32.const 1) (i32.const 1))))\n(func $f (export "f") (call $m!))',
        r"test.wat:2:1: in func \$m!: type mismatch: expected i32, found f32",
    ),
    "multi-value": (
        '(func $f (export "f") (result i32 i32) (i32.const 1) (i32.const 2))',
        r"multi-value feature is not enabled",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_place_and_remedy(case: str):
    text, message = ERRORS[case]
    with pytest.raises(WatError, match=message):
        build.assemble([wat.Source("test.wat", text)])


NEW = [
    "(i16x8.extmul_low_i8x16_s (local.get $x) (local.get $x))",
    "(i16x8.extadd_pairwise_i8x16_s (local.get $x))",
    "(i16x8.q15mulr_sat_s (local.get $x) (local.get $x))",
    "(i8x16.popcnt (local.get $x))",
    "(i8x16.swizzle (local.get $x) (local.get $x))",
    "(f64x2.promote_low_f32x4 (local.get $x))",
    "(f32x4.demote_f64x2_zero (local.get $x))",
    "(f64x2.relaxed_madd (local.get $x) (local.get $x) (local.get $x))",
    "(f32x4.relaxed_nmadd (local.get $x) (local.get $x) (local.get $x))",
    "(f32x4.relaxed_min (local.get $x) (local.get $x))",
]
MADD = "(f32x4.relaxed_madd (local.get $x) (local.get $x) (local.get $x))"


def assemble_with(instruction: str, tier: str) -> build.Assembled:
    text = f"""
        (func $m! (param $x v128) (result v128) {instruction})
        (func $f (export "f") (param $p i32)
          (v128.store (local.get $p) (call $m! (v128.load (local.get $p)))))
        (import "env" "memory" (memory 1))
    """
    return build.assemble([wat.Source("test.wat", text)], tier)


@pytest.mark.parametrize(
    ("instruction", "tier"), [(MADD, "simd128"), *((text, tier) for text in NEW for tier in ("simd128", "relaxed"))]
)
def test_tiers_refuse_instructions_that_are_not_theirs(instruction: str, tier: str):
    name = instruction[1:].split()[0]
    with pytest.raises(WatError, match=rf"test.wat:2:49: {name} is not available in the {tier} tier"):
        assemble_with(instruction, tier)


def test_relaxed_tier_has_the_multiply_add():
    assert b"\xfd\x85\x02" in assemble_with(MADD, "relaxed").module.wasm
