"""The relaxed tier's products of bytes give the same bits on every kind of machine that WebAssembly allows for.

Engines in Python and the browsers here are some of these kinds. All of them are made here, by putting what the
instruction does there, in portable instructions, in its place.
"""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings

from tests.cases import CASES
from tests.differential import Case, assert_same_bits, feeds_of, graph_of
from tinyinfer import compiler, registry
from tinyinfer.ref import interpreter
from tinyinfer.wasm_backend import build, kernel_module, wat
from tinyinfer.wasm_backend.session import PlanRunner

pytest.importorskip("wasmtime", reason="the relaxed tier runs on wasmtime, which is not installed here")

KERNELS = ["i8_qconv", "i8_qgemm", "x8_qdwconv"]
INSTRUCTION = "(i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $w) (local.get $x) (local.get $c))"
FLIP = "(func $dot4_flip! (result i32)"


def pairs(half: str, sign: str) -> str:
    """The sums of two neighbouring products each, of one half of the bytes; those of x have a sign, or none."""
    w, x = f"(i16x8.extend_{half}_i8x16_s (local.get $w))", f"(i16x8.extend_{half}_i8x16_{sign} (local.get $x))"
    return f"(i32x4.dot_i16x8_s {w} {x})"


def summed(low: str, high: str) -> str:
    """c and the sums of two neighbouring int32 each."""
    even, odd = "0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27", "4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31"
    parts = [f"(i8x16.shuffle {lanes} {low} {high})" for lanes in (even, odd)]
    return f"(i32x4.add (local.get $c) (i32x4.add {parts[0]} {parts[1]}))"


def of_int16(low: str, high: str) -> str:
    """c and the sums of two neighbouring int16 each: the pairs that are given, saturated."""
    return f"(i32x4.add (local.get $c) (i32x4.dot_i16x8_s (i16x8.narrow_i32x4_s {low} {high}) {ONES}))"


def wrapped(pair: str) -> str:
    """Pairs as int16 that wrap."""
    return f"(i32x4.shr_s (i32x4.shl {pair} (i32.const 16)) (i32.const 16))"


ONES = "(i16x8.splat (i32.const 1))"
SIGNED, UNSIGNED = ((pairs("low", sign), pairs("high", sign)) for sign in "su")
MACHINES = {
    "int8, exact": summed(*SIGNED),
    "int8, pairs wrap": of_int16(*map(wrapped, SIGNED)),
    "int8, pairs saturate": of_int16(*SIGNED),
    "uint8, exact": summed(*UNSIGNED),
    "uint8, pairs wrap": of_int16(*map(wrapped, UNSIGNED)),
    "uint8, pairs saturate": of_int16(*UNSIGNED),
}


@cache
def kernels(machine: str, flip: int | None = None) -> kernel_module.KernelModule:
    """The relaxed tier's kernels as such a machine runs them; with `flip`, they are told that this is to be flipped."""
    sources = []
    for source in build.read_sources(kernel_module.SOURCES[0], "relaxed"):
        text = source.text
        if source.file.endswith("tier/relaxed.wat"):
            assert text.count(INSTRUCTION) == text.count(FLIP) == 1
            text = text.replace(INSTRUCTION, MACHINES[machine])
            if flip is not None:
                before, _, rest = text.partition(FLIP)
                text = f"{before}{FLIP} (i32.const {flip}))\n\n{rest.partition(chr(10) * 2)[2]}"
        sources.append(wat.Source(source.file, text))
    return build.assemble(sources, "relaxed").module


def check(case: Case, module: kernel_module.KernelModule) -> None:
    graph = graph_of(case)
    outputs = PlanRunner(compiler.lower(graph), module, "wasmtime").run(feeds_of(case))
    for name, expected in interpreter.run(graph, feeds_of(case), registry.reference_of, "relaxed").items():
        assert_same_bits(outputs[name], expected, f"{case}: {name}")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("machine", MACHINES)
def test_every_machine_has_the_bits_of_the_reference(machine: str, kernel: str) -> None:
    @settings(max_examples=40)
    @given(CASES[kernel])
    def run(case: Case) -> None:
        check(case, kernels(machine))

    run()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("machine", "flip"), [("uint8, pairs saturate", 0x80), ("int8, exact", 0x80)])
def test_a_machine_taken_for_another_is_found_out(machine: str, flip: int, kernel: str) -> None:
    """The cases of these tests have what machines differ in."""

    @settings(max_examples=200, database=None, report_multiple_bugs=False)
    @given(CASES[kernel])
    def run(case: Case) -> None:
        check(case, kernels(machine, flip))

    with pytest.raises(AssertionError):
        run()
