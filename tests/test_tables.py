"""The operator table: rows that contradict themselves are refused, and traits are true of what operators compute."""

from __future__ import annotations

import ast
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings

from tests.cases import CASES
from tests.conftest import ROOT
from tests.differential import assert_same_bits
from tinyinfer.ref import interpreter
from tinyinfer.registry import OPERATORS
from tinyinfer.tables.row import joined
from tinyinfer.traits import Traits

ADD = OPERATORS["Add"]
CONV = OPERATORS["Conv"]

# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_trait_has_a_default():
    with pytest.raises(TypeError, match=r"missing .* keyword-only arguments"):
        Traits()
    for field in fields(Traits):
        given_traits = {f.name: getattr(ADD.traits, f.name) for f in fields(Traits) if f is not field}
        with pytest.raises(TypeError, match=field.name):
            Traits(**given_traits)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (replace(ADD, infer=OPERATORS["Abs"].infer), "Add has a schema and semantics of different signatures"),
        (replace(CONV, traits=replace(CONV.traits, overwritable=("z",))), "Conv may overwrite z, which are no op"),
        (replace(CONV, traits=replace(CONV.traits, commutative=True)), "Conv is commutative, but has the operands x"),
        (replace(ADD, traits=replace(ADD.traits, overwritable=())), "Add is element-wise, so its result may lie on"),
        (replace(CONV, traits=replace(CONV.traits, view=True)), "Conv is a view or a whole, so its place is up to"),
        (replace(CONV, traits=replace(CONV.traits, whole=True)), "Conv is a view or a whole, so its place is up to"),
        (replace(ADD, traits=replace(ADD.traits, conversion=True)), "Add converts between floats and bytes"),
    ],
)  # fmt: skip
def test_a_row_that_contradicts_itself_is_refused(row, problem):
    with pytest.raises(ValueError, match=f"^operator table: {problem}"):
        joined([row])


def test_a_name_stands_once():
    with pytest.raises(ValueError, match=r"^operator table: Add is there twice"):
        joined([ADD, CONV], [ADD])


# ── traits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kernel", CASES)
def test_traits_are_true_of_the_semantics(kernel):
    @settings(max_examples=5)
    @given(CASES[kernel])
    def check(case):
        row = OPERATORS[case.op]
        y = evaluate(case)
        if row.traits.commutative:
            assert_same_bits(evaluate(replace(case, inputs=case.inputs[::-1])), y, f"{case}, operands exchanged")
        if row.traits.elementwise:
            there = [None if a is None else np.broadcast_to(a, y.shape).ravel()[::-1] for a in case.inputs]
            assert_same_bits(evaluate(replace(case, inputs=tuple(there))), y.ravel()[::-1], f"{case}, backwards")
        if row.traits.moves:
            assert elements(y) <= elements(case.inputs[0]), f"{case} gives values that were not there"

    check()


def evaluate(case):
    """The first output of the reference."""
    return np.asarray(interpreter.apply(OPERATORS[case.op].reference, list(case.inputs), case.attrs)[0])


def elements(a):
    """The bytes of every element."""
    content = a.tobytes()
    return {content[i : i + a.itemsize] for i in range(0, len(content), a.itemsize)}


# ── one place for what is known of operators ─────────────────────────────────────────────────────────────────────────

# ONNX's own names, read or written there: they are not the table's, whatever they have in common.
OF_ONNX = ("frontend", "quantization")
MOST_NAMES = 2  # a pattern, an error or a rewrite of its own may speak of a pair


def names_in(node):
    """Operators that a collection of strings names."""
    values = node.keys if isinstance(node, ast.Dict) else node.elts
    return [v.value for v in values if isinstance(v, ast.Constant) and v.value in OPERATORS]


@pytest.mark.parametrize("path", sorted((ROOT / "tinyinfer").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_table_lists_operators(path):
    if path.relative_to(ROOT / "tinyinfer").parts[0] in OF_ONNX:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Set, ast.List, ast.Tuple, ast.Dict)):
            assert len(names_in(node)) <= MOST_NAMES, f"{path.name}:{node.lineno} lists {', '.join(names_in(node))}"
