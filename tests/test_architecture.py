"""What the source has to look like: who imports whom, what the reference computes with, sizes, headers, docstrings."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

from tinyinfer.wasm_backend import build, wat

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tinyinfer"
MODULES = sorted(PACKAGE.rglob("*.py"))
KERNEL_SOURCES = sorted((ROOT / "kernels_wat").rglob("*.wat"))
MAX_LINES = 600
STATEMENTS_WITHOUT_DOCSTRING = 4

# Which parts of the package (its modules and subpackages) a part may import besides itself. `ref` and `wasm_backend`
# are two readings of the specification that must not share a mistake, so they never see each other; only the operator
# table brings them together. Parts that are not listed (commands, server, sessions …) are applications of these.
MAY_IMPORT = {
    "errors": set(),
    "limits": {"errors"},
    "types": set(),
    "traits": set(),
    "graph": {"errors", "limits", "types", "traits"},
    "ops": {"errors", "limits", "types", "traits", "graph"},
    "ref": {"types", "graph"},
    "rewrite": {"errors", "types", "graph"},
    "wasm_backend": {"errors", "limits", "types", "traits", "graph"},
    "tables": {"types", "traits", "ops", "ref", "wasm_backend"},
    "registry": {"types", "traits", "graph", "ops", "ref", "tables", "wasm_backend"},
    "scales": {"types", "registry"},
    "passes": {"errors", "types", "graph", "rewrite", "registry", "scales"},
    "frontend": {"errors", "limits", "types", "graph", "registry", "scales"},
    "compiler": {"errors", "types", "graph", "registry", "passes", "frontend", "wasm_backend"},
}

# All of NumPy that the reference uses: correctly rounded arithmetic, selection, movement, and types. Sums, products and
# elementary functions are missing on purpose: their order of roundings is not ours to fix.
REFERENCE_NUMPY = {
    "movement": "array asarray ascontiguousarray broadcast_arrays broadcast_shapes broadcast_to concatenate empty flip "
    "full moveaxis ndindex ones_like pad repeat stack take zeros zeros_like",
    "selection": "where clip isnan signbit flatnonzero argmax argmin",
    "one rounding, or none": "abs add ceil floor multiply rint sqrt trunc",
    "integers": "arange iinfo matmul maximum minimum",
    "types": "bool_ dtype errstate float32 float64 floating inf int32 int64 intp issubdtype nan result_type shape "
    "uint8 uint32 uint64",
}
FORBIDDEN_METHODS = {"sum", "mean", "dot", "prod", "cumsum", "var", "std"}


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def part(path):
    """The module or subpackage of tinyinfer that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path):
    """The absolute names of everything that a file imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(path, node):
    return f"{path.relative_to(ROOT)}:{node.lineno}"


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_imports(name):
    known = {part(path) for path in MODULES}
    assert {name, *MAY_IMPORT[name]} <= known
    for path in (p for p in MODULES if part(p) == name):
        parts = {target.split(".")[1] for target in imported(path) if target.startswith("tinyinfer.")}
        extra = (parts & known) - MAY_IMPORT[name] - {name}
        assert not extra, f"{path.relative_to(ROOT)} imports {sorted(extra)}; may: {sorted(MAY_IMPORT[name])}"


def test_the_reference_needs_nothing_but_numpy():
    for path in (p for p in MODULES if part(p) == "ref"):
        packages = {target.split(".")[0] for target in imported(path)} - {"__future__"} - sys.stdlib_module_names
        assert packages <= {"numpy", "tinyinfer"}, f"{path.relative_to(ROOT)} imports {sorted(packages)}"


def test_the_reference_computes_with_stated_roundings_only():
    allowed = {name for names in REFERENCE_NUMPY.values() for name in names.split()}
    used = set()
    for path in (p for p in MODULES if part(p) == "ref"):
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.BinOp, ast.AugAssign)):
                assert not isinstance(node.op, ast.MatMult), f"{place(path, node)}: @ sums in an order of its own"
            if not isinstance(node, ast.Attribute):
                continue
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if owner == "np":
                assert node.attr in allowed, f"{place(path, node)}: np.{node.attr} is not in REFERENCE_NUMPY"
                used.add(node.attr)
            elif owner != "math":  # on Python numbers
                assert node.attr not in FORBIDDEN_METHODS, f"{place(path, node)}: .{node.attr} sums in its own order"
    assert used == allowed, f"REFERENCE_NUMPY lists {sorted(allowed - used)}, which nothing uses"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_are_small_and_documented(path):
    assert path.read_text(encoding="utf-8").count("\n") <= MAX_LINES
    assert ast.get_docstring(tree(path)) or not tree(path).body


@pytest.mark.parametrize("path", KERNEL_SOURCES, ids=lambda p: p.name)
def test_kernel_sources_begin_with_their_contract(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_LINES
    assert lines[0].startswith(f";; {path.stem} — "), f"{path.name} begins with {lines[0]!r}"


def test_kernels_use_the_locals_that_they_declare():
    functions = wat.read_module(build.read_sources(ROOT / "kernels_wat", "simd128")).functions.values()
    assert functions
    for function in functions:
        forms = (form for part in function.body for form in part.walk())
        read = {form.words[1] for form in forms if form.head in ("local.get", "local.tee")}
        unused = [variable.name for variable in function.locals if variable.name not in read]
        assert not unused, f"{function.field.at}: {function.name} never reads {', '.join(unused)}"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if part(p) in ("ops", "ref")], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_operators_are_documented(path):
    """Schemas always; semantics where there is more to say than their few lines do."""
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not ast.get_docstring(node):
            most = STATEMENTS_WITHOUT_DOCSTRING if part(path) == "ref" else 0
            assert len(node.body) <= most, f"{place(path, node)}: {node.name} has no docstring"
