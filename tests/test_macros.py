"""The expansion of macros means what the unexpanded text means.

The oracle is WebAssembly itself: wasmtime runs the sources as they are written, macros being ordinary
functions that take function references, and must see the same results and the same memory as in the expanded
module.
"""

from __future__ import annotations

import re
import struct
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyinfer.wasm_backend import build, macros, peephole, wat

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime assembles kernels and is not installed here")


def source(text: str, file: str = "test.wat") -> list[wat.Source]:
    return [wat.Source(file, textwrap.dedent(text))]


FUEL = 10_000_000  # instructions; a loop that a wrong expansion makes endless ends in a trap


class Runner:
    """An instance of a module on a fresh memory of 64 KiB."""

    def __init__(self, wasm: bytes) -> None:
        config = wasmtime.Config()
        config.wasm_function_references = True
        config.consume_fuel = True
        engine = wasmtime.Engine(config)
        self.store = wasmtime.Store(engine)
        limits = wasmtime.MemoryType(wasmtime.Limits(1, 1))
        self.memory = wasmtime.Memory(self.store, limits)
        instance = wasmtime.Instance(self.store, wasmtime.Module(engine, wasm), [self.memory])
        self.exports = instance.exports(self.store)

    def __call__(self, name: str, *arguments: int | float) -> object:
        """The results, or the kind of trap, and the memory left behind, as bytes."""
        self.store.set_fuel(FUEL)
        try:
            result = self.exports[name](self.store, *arguments)
        except wasmtime.Trap as trap:
            result = trap.trap_code
        if isinstance(result, float):
            result = struct.pack("<d", result)
        return result, bytes(self.memory.read(self.store, 0, 1024))


def plain(text: str) -> Runner:
    """The module as it is written."""
    module = wat.read_module(source(text))
    return Runner(wasmtime.wat2wasm(wat.print_module(wat.plain_fields(module)).text))


def expanded(text: str) -> Runner:
    return Runner(build.assemble(source(text)).module.wasm)


def expanded_text(text: str) -> str:
    """The expanded module's text, on one line."""
    fields = macros.expand_module(wat.read_module(source(text)))
    return re.sub(r"\s+", " ", wat.print_module(fields).text).replace(" )", ")")


def assert_same(text: str, *calls: tuple[str | int, ...]) -> list[object]:
    """Both modules do the same; returns what the calls returned."""
    a, b = plain(text), expanded(text)
    results = []
    for name, *arguments in calls:
        expected = a(name, *arguments)
        assert b(name, *arguments) == expected
        results.append(expected[0])
    return results


# --- Expansion ----------------------------------------------------------------------------------------------


def test_macro_leaves_no_call_and_no_function():
    text = expanded_text("""
        (func $square! (param $x i32) (result i32) (i32.mul (local.get $x) (local.get $x)))
        (func $f (export "f") (param $a i32) (result i32) (call $square! (local.get $a)))
    """)
    assert "call" not in text
    assert "!" not in text
    assert "(i32.mul (local.get $a) (local.get $a))" in text


def test_argument_with_side_effect_is_evaluated_once():
    text = """
        (func $square! (param $x i32) (result i32) (i32.mul (local.get $x) (local.get $x)))
        (func $f (export "f") (param $a i32) (result i32)
          (i32.sub (call $square! (local.tee $a (i32.add (local.get $a) (i32.const 1)))) (local.get $a)))
    """
    assert assert_same(text, ("f", 3)) == [12]


def test_variable_argument_changed_by_a_later_argument():
    text = """
        (func $sub! (param $x i32) (param $y i32) (result i32) (i32.sub (local.get $x) (local.get $y)))
        (func $f (export "f") (param $a i32) (result i32)
          (call $sub! (local.get $a) (local.tee $a (i32.const 100))))
    """
    assert assert_same(text, ("f", 7)) == [-93]


def test_parameter_that_the_macro_assigns_does_not_change_the_caller():
    text = """
        (func $half! (param $x i32) (result i32)
          (local.set $x (i32.shr_u (local.get $x) (i32.const 1)))
          (local.get $x))
        (func $f (export "f") (param $x i32) (result i32)
          (i32.add (call $half! (local.get $x)) (local.get $x)))
    """
    assert assert_same(text, ("f", 10)) == [15]


def test_parameter_assigned_on_one_path_and_read_once():
    text = """
        (func $m! (param $c i32) (param $x i32) (result i32)
          (if (local.get $c) (then (local.set $x (i32.const 5))))
          (local.get $x))
        (func $f (export "f") (param $c i32) (result i32)
          (call $m! (local.get $c) (i32.add (local.get $c) (i32.const 30))))
    """
    assert assert_same(text, ("f", 0), ("f", 1)) == [30, 5]


def test_condition_that_a_constant_decides_leaves_one_branch():
    text = expanded_text("""
        (func $rows! (result i32) (i32.const 4))
        (func $f (export "f") (param $six i32) (result i32)
          (if (result i32) (i32.and (i32.gt_u (call $rows!) (i32.const 4)) (local.get $six))
            (then (i32.const 6))
            (else (i32.const 5))))
    """)
    assert "i32.const 5" in text
    assert "if" not in text


def test_argument_is_computed_once_even_without_effects():
    text = expanded_text("""
        (func $square! (param $x i32) (result i32) (i32.mul (local.get $x) (local.get $x)))
        (func $sum! (param $x i32) (param $n i32) (result i32)
          (loop $next
            (local.set $n (i32.sub (local.get $n) (local.get $x)))
            (br_if $next (i32.gt_s (local.get $n) (i32.const 0))))
          (local.get $n))
        (func $f (export "f") (param $a i32) (result i32)
          (call $sum!
            (i32.or (local.get $a) (i32.const 1))
            (call $square! (i32.xor (local.get $a) (i32.const 6)))))
    """)
    assert text.count("i32.xor") == text.count("i32.or ") == 1
    assert text.index("i32.or ") < text.index("(loop")


def test_argument_used_once_needs_no_local():
    text = expanded_text("""
        (func $double! (param $x i32) (param $unused i32) (result i32)
          (i32.shl (local.get $x) (i32.const 1)))
        (func $f (export "f") (param $a i32) (result i32)
          (call $double! (i32.load (local.get $a)) (i32.mul (local.get $a) (local.get $a))))
    """)
    assert "(i32.shl (i32.load (local.get $a)) (i32.const 1))" in text
    assert "(local" not in text.replace("(local.get $a)", "")


def test_nested_expansions_of_one_macro_in_its_own_arguments():
    text = """
        (func $diff! (param $x i32) (param $y i32) (result i32)
          (local $t i32)
          (local.set $t (i32.sub (local.get $x) (local.get $y)))
          (local.set $x (i32.mul (local.get $t) (i32.const 3)))
          (i32.add (local.get $x) (local.get $y)))
        (func $f (export "f") (param $a i32) (param $b i32) (result i32)
          (call $diff!
            (call $diff! (local.get $a) (local.get $b))
            (call $diff! (local.get $b) (local.get $a))))
    """
    assert_same(text, ("f", 5, 3), ("f", -1, 2))


def test_locals_and_labels_of_all_levels_have_the_same_names():
    text = """
        (func $inner! (param $x i32) (result i32)
          (local $i i32)
          (local.set $i (i32.const 0))
          (block $out
            (loop $next
              (br_if $out (i32.ge_u (local.get $i) (i32.const 3)))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (local.set $x (i32.mul (local.get $x) (local.get $i)))
              (br $next)))
          (local.get $x))
        (func $outer! (param $x i32) (result i32)
          (local $i i32)
          (local.set $i (i32.const 0))
          (block $out
            (loop $next
              (br_if $out (i32.ge_u (local.get $i) (i32.const 4)))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (local.set $x (i32.add (call $inner! (local.get $i)) (local.get $x)))
              (br $next)))
          (local.get $x))
        (func $f (export "f") (param $x i32) (result i32)
          (local $i i32)
          (block $out
            (loop $next
              (br_if $out (i32.ge_u (local.get $i) (i32.const 2)))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (local.set $x (call $outer! (call $outer! (local.get $x))))
              (br $next)))
          (local.get $x))
    """
    assert assert_same(text, ("f", 1)) == [1 + 4 * 6 * (1 + 2 + 3 + 4)]


def test_names_with_dots_do_not_collide_with_renamed_locals():
    text = """
        (func $m! (param $x i32) (result i32)
          (local $t i32)
          (local.set $t (i32.mul (local.get $x) (i32.const 5)))
          (i32.add (local.get $t) (local.get $t)))
        (func $f (export "f") (param $m.t i32) (result i32)
          (i32.add (call $m! (i32.const 2)) (local.get $m.t)))
    """
    assert assert_same(text, ("f", 1)) == [21]


def test_locals_of_a_macro_start_at_zero_every_time():
    text = """
        (func $count! (param $n i32) (result i32)
          (local $i i32) (local $set i32)
          (loop $next
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (if (i32.gt_u (local.get $i) (i32.const 2)) (then (local.set $set (i32.const 100))))
            (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
          (i32.add (local.get $i) (local.get $set)))
        (func $f (export "f") (result i32)
          (i32.add (call $count! (i32.const 5)) (i32.mul (i32.const 1000) (call $count! (i32.const 2)))))
    """
    assert assert_same(text, ("f",)) == [2105]


def test_local_assigned_behind_a_branch_starts_at_zero():
    text = """
        (func $pick! (param $n i32) (result i32)
          (local $i i32)
          (block $skip
            (br_if $skip (local.get $n))
            (local.set $i (i32.const 7)))
          (local.get $i))
        (func $f (export "f") (result i32)
          (i32.sub (call $pick! (i32.const 0)) (call $pick! (i32.load (i32.const 0)))))
        (func $g (export "g")
          (i32.store (i32.const 0) (i32.const 1)))
    """
    assert assert_same(text, ("f",), ("g",), ("f",)) == [0, None, 7]


def test_local_assigned_before_it_is_read_is_not_zeroed():
    text = expanded_text("""
        (func $twice! (param $x i32) (result i32)
          (local $t i32)
          (local.set $t (i32.load (local.get $x)))
          (i32.add (local.get $t) (local.get $t)))
        (func $f (export "f") (param $x i32) (result i32) (call $twice! (local.get $x)))
    """)
    assert "(i32.const 0)" not in text


def test_multiple_results():
    text = """
        (func $divmod! (param $a i32) (param $b i32) (result i32) (result i32)
          (i32.div_u (local.get $a) (local.get $b))
          (i32.rem_u (local.get $a) (local.get $b)))
        (func $swap! (param $a i32) (param $b i32) (result i32 i32) (local.get $b) (local.get $a))
        (func $f (export "f") (param $n i32) (result i32)
          (local $q i32) (local $r i32)
          (local.set $q (local.set $r (call $divmod! (local.get $n) (i32.const 10))))
          (local.set $q (local.set $r (call $swap! (local.get $q) (local.get $r))))
          (i32.sub (i32.mul (local.get $q) (i32.const 100)) (local.get $r)))
    """
    assert assert_same(text, ("f", 47)) == [696]


HIGHER_ORDER = """
    (type $unary (func (param i32) (result i32)))
    (type $store (func (param i32 i32)))
    (func $times3! (param $x i32) (result i32) (i32.mul (local.get $x) (i32.const 3)))
    (func $plus1 (param $x i32) (result i32) (i32.add (local.get $x) (i32.const 1)))
    (func $put! (param $p i32) (param $v i32) (i32.store (local.get $p) (local.get $v)))
    (func $map! (param $f (ref $unary)) (param $put (ref $store)) (param $n i32)
      (local $i i32)
      (local.set $i (i32.const 0))
      (loop $next
        (call_ref $store (i32.shl (local.get $i) (i32.const 2))
          (call_ref $unary (local.get $i) (local.get $f)) (local.get $put))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (local.get $n)))))
    (func $map_put! (param $g (ref $unary)) (param $n i32)
      (call $map! (local.get $g) (ref.func $put!) (local.get $n)))
    (func $f (export "f") (param $n i32) (call $map_put! (ref.func $times3!) (local.get $n)))
    (func $g (export "g") (param $n i32) (call $map_put! (ref.func $plus1) (local.get $n)))
"""


def test_functions_as_arguments_of_macros():
    assert_same(HIGHER_ORDER, ("f", 5), ("g", 9))
    memory = expanded(HIGHER_ORDER)("f", 4)[1]
    assert struct.unpack_from("<4I", memory) == (0, 3, 6, 9)


def test_function_that_is_no_macro_stays_a_call():
    text = expanded_text(HIGHER_ORDER)
    assert "(call $plus1" in text
    assert "call_ref" not in text
    assert "ref.func" not in text


def test_kernel_annotation_takes_the_other_parameters_of_the_macro():
    text = """
        (type $unary (func (param i32) (result i32)))
        (func $negate! (param $x i32) (result i32) (i32.sub (i32.const 0) (local.get $x)))
        (func $apply! (param $f (ref $unary)) (param $shift i32) (param $x i32) (param $y i32) (result i32)
          (i32.add
            (call_ref $unary (local.get $x) (local.get $f))
            (i32.shl (local.get $y) (local.get $shift))))
        (@kernel "f" (call $apply! (ref.func $negate!) (i32.const 4)))
    """
    assert assert_same(text, ("f", 5, 1)) == [11]
    signature = build.assemble(source(text)).module.signatures["f"]
    assert signature == (build.Param("x", "i32"), build.Param("y", "i32"))


def test_constant_condition_takes_one_branch():
    text = """
        (func $step! (param $double i32) (param $x i32) (result i32)
          (if $done (result i32) (i32.eq (local.get $double) (i32.const 1))
            (then (br $done (i32.add (local.get $x) (local.get $x))))
            (else (local.get $x))))
        (func $f (export "f") (param $x i32) (result i32)
          (i32.sub (call $step! (i32.const 1) (local.get $x)) (call $step! (i32.const 0) (local.get $x))))
    """
    assert assert_same(text, ("f", 21)) == [21]
    assert "(if" not in expanded_text(text)


def test_load_argument_is_read_before_the_macro_stores():
    text = """
        (func $exchange! (param $p i32) (param $old i32) (result i32)
          (i32.store (local.get $p) (i32.const 9))
          (local.get $old))
        (func $f (export "f") (param $p i32) (result i32)
          (i32.store (local.get $p) (i32.const 5))
          (call $exchange! (local.get $p) (i32.load (local.get $p))))
    """
    assert assert_same(text, ("f", 64)) == [5]


def test_trap_of_an_argument_comes_before_effects_of_the_macro():
    text = """
        (func $m! (param $p i32) (param $x i32)
          (if (local.get $p) (then (i32.store (i32.const 0) (local.get $x)))))
        (func $load (export "load") (param $p i32)
          (call $m! (local.get $p) (i32.load (i32.const -8))))
        (func $div (export "div") (param $p i32)
          (call $m! (local.get $p) (i32.div_u (i32.const 1) (i32.const 0))))
        (func $ignore! (param $x i32))
        (func $ignored (export "ignored") (call $ignore! (i32.load (i32.const -8))))
    """
    traps = wasmtime.TrapCode
    expected = [traps.MEMORY_OUT_OF_BOUNDS, traps.INTEGER_DIVISION_BY_ZERO, traps.MEMORY_OUT_OF_BOUNDS]
    assert assert_same(text, ("load", 0), ("div", 0), ("ignored",)) == expected


def test_globals_are_kept_when_used():
    text = """
        (global $unused i32 (i32.const 1))
        (global $limit i32 (i32.const 40))
        (global $count (mut i32) (i32.const 0))
        (func $bump! (param $before i32) (result i32)
          (global.set $count (i32.add (global.get $count) (i32.const 1)))
          (i32.add (local.get $before) (i32.add (global.get $count) (global.get $limit))))
        (func $f (export "f") (result i32) (call $bump! (global.get $count)))
    """
    assert assert_same(text, ("f",), ("f",)) == [41, 43]
    assert "$unused" not in expanded_text(text)


# --- Random programs ----------------------------------------------------------------------------------------

CONSTANTS = st.sampled_from([0, 0, 1, 1, 2, 3, 4, 7, 31, 32, 60, -1, -8, 2**31 - 1, -(2**31)])
OPERATORS = st.sampled_from([*sorted(peephole.I32), "i32.div_u"])
VARIABLES = ("$a", "$b", "$t", "$u")
HEADER = """(param $a i32) (param $b i32) (result i32)
  (local $t i32) (local $u i32) (local $n1 i32) (local $n2 i32)"""
LIBRARY = """
(type $binary (func (param i32 i32) (result i32)))
(global $g (mut i32) (i32.const 11))
(func $pair! (param $a i32) (param $b i32) (result i32 i32)
  (local.set $a (i32.add (local.get $a) (local.get $b))) (local.get $b) (local.get $a))
"""


@st.composite
def expression(draw, callees: tuple[str, ...], depth: int, functions: tuple[str, ...] = ()) -> str:
    """An i32 expression over VARIABLES, a mutable global and 256 bytes of memory, with effects inside."""

    def operand() -> str:
        return draw(expression(callees, depth - 1, functions))

    kinds = ["const", "get", "get"]
    if depth > 0:
        kinds += ["tee", "binary", "binary", "identity", "load", "if", "block", "global", "eqz", "select"]
        kinds += ["call", "call", "call", "pair", "apply"] if callees else []
        kinds += ["call_ref"] if functions else []
    kind = draw(st.sampled_from(kinds))
    variable = draw(st.sampled_from(VARIABLES))
    match kind:
        case "const":
            return f"(i32.const {draw(CONSTANTS)})"
        case "get":
            return f"(local.get {variable})"
        case "tee":
            return f"(local.tee {variable} {operand()})"
        case "binary":
            return f"({draw(OPERATORS)} {operand()} {operand()})"
        case "identity":
            return f"(i32.add {operand()} (i32.const 0))"
        case "load":
            return f"(i32.load (i32.and {operand()} (i32.const 0xfc)))"
        case "if":
            return f"(if (result i32) {operand()} (then {operand()}) (else {operand()}))"
        case "block":
            return f"(block $e{depth} (result i32) (br_if $e{depth} {operand()} {operand()}))"
        case "global":
            return "(global.get $g)"
        case "eqz":
            return f"(i32.eqz {operand()})"
        case "select":
            return f"(select {operand()} {operand()} {operand()})"
        case "call":
            return f"(call {draw(st.sampled_from(callees))} {operand()} {operand()})"
        case "pair":
            return f"(i32.sub (call $pair! {operand()} {operand()}))"
        case "apply":
            return f"(call $apply! (ref.func {draw(st.sampled_from(callees))}) {operand()} {operand()})"
        case _:
            function = draw(st.sampled_from(functions))
            return f"(call_ref $binary {operand()} {operand()} (local.get {function}))"


@st.composite
def statement(draw, callees: tuple[str, ...], depth: int, functions: tuple[str, ...] = ()) -> str:
    """A statement; loops count down a variable of their own and so end."""

    def value() -> str:
        return draw(expression(callees, depth, functions))

    def inner() -> str:
        return draw(statement(callees, depth - 1, functions))

    kinds = ["set", "set", "store", "global", "drop"] + (["if", "block", "loop"] if depth > 0 else [])
    variable = draw(st.sampled_from(VARIABLES))
    match draw(st.sampled_from(kinds)):
        case "set":
            return f"(local.set {variable} {value()})"
        case "store":
            return f"(i32.store (i32.and {value()} (i32.const 0xfc)) {value()})"
        case "global":
            return f"(global.set $g {value()})"
        case "drop":
            return f"(drop {value()})"
        case "if":
            return f"(if {value()} (then {inner()}) (else {inner()}))"
        case "block":
            return f"(block $s{depth} {inner()} (br_if $s{depth} {value()}) {inner()})"
        case _:
            counter = f"$n{depth}"
            step = f"(local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))"
            body = f"{inner()} {inner()} (br_if $s{depth} {step})"
            return f"(local.set {counter} (i32.const 3)) (loop $s{depth} {body})"


@st.composite
def program(draw) -> str:
    """Macros that call earlier ones, some through function parameters, and a kernel that calls them all."""
    apply = f"{draw(statement((), 1, ('$f',)))} {draw(expression((), 2, ('$f',)))}"
    parts = [LIBRARY, f"(func $apply! (param $f (ref $binary)) {HEADER} {apply})"]
    callees: tuple[str, ...] = ()
    for name in ("$m0!", "$m1!", "$m2"):
        body = " ".join(draw(st.lists(statement(callees, 1), max_size=2)))
        parts.append(f"(func {name} {HEADER} {body} {draw(expression(callees, 2))})")
        callees += (name,)
    body = " ".join(draw(st.lists(statement(callees, 2), max_size=3)))
    body += f" (drop (call $m2 (i32.const 1) (i32.const 2))) {draw(expression(callees, 3))}"
    return "\n".join([*parts, f'(func $f (export "f") {HEADER} {body})'])


@given(text=program(), a=CONSTANTS, b=CONSTANTS)
def test_expanded_equals_plain(text: str, a: int, b: int):
    assert_same(text, ("f", a, b), ("f", b, 5))


PAIRS = [(0, 0), (1, 0), (0, 1), (7, 3), (-1, 1), (1, -1), (-(2**31), 31), (5, 33), (2**31 - 1, 2)]


@pytest.mark.parametrize("instruction", sorted(peephole.I32))
def test_folded_constants(instruction: str):
    functions = [
        f"""(func $f{i} (export "f{i}") (param $x i32) (result i32)
          (i32.add (local.get $x) (call $op! (i32.const {a}) (i32.const {b}))))"""
        for i, (a, b) in enumerate(PAIRS)
    ]
    macro = f"""(func $op! (param $a i32) (param $b i32) (result i32)
      ({instruction} (local.get $a) (local.get $b)))"""
    text = "\n".join([macro, *functions])
    assert instruction == "i32.add" or instruction not in expanded_text(text)
    assert_same(text, *[(f"f{i}", 1) for i in range(len(PAIRS))])
