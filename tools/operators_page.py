"""Write docs/operators.md from the tables: `python tools/operators_page.py`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path

from tinyinfer.frontend.converters import CONVERTERS
from tinyinfer.registry import OPERATORS
from tinyinfer.tables.row import Operator
from tinyinfer.wasm_backend.build import load_kernels
from tinyinfer.wasm_backend.kernels import KERNELS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operators.md"


def page() -> str:
    """The page's text."""
    return "\n".join(
        [
            "# Operators",
            "",
            "Generated from the tables by `python tools/operators_page.py`; a test keeps it true.",
            "",
            f"## ONNX operators that are imported ({len(CONVERTERS)})",
            "",
            ", ".join(sorted(CONVERTERS)) + ".",
            "",
            f"## Canonical operators ({len(OPERATORS)})",
            "",
            "What the frontend turns them into: one row of `tinyinfer/tables/` each.",
            "",
            *table(["operator", "operands", "attributes", "semantics"], map(_operator, OPERATORS.values())),
            "",
            f"## Kernels ({len(KERNELS)})",
            "",
            *table(["kernel", "source", "m0, m1 count", "bound by", "parameters"], _kernels()),
            "",
        ]
    )


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Markdown lines."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _operator(operator: Operator) -> list[str]:
    parameters = inspect.signature(operator.infer).parameters.values()
    operands = [_operand(p) for p in parameters if p.kind is not p.KEYWORD_ONLY]
    attributes = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    module = inspect.getmodule(operator.reference)
    source = module.__name__.replace(".", "/") + ".py" if module else ""
    return [operator.name, ", ".join(operands), ", ".join(attributes), f"`{source}`"]


def _operand(parameter: inspect.Parameter) -> str:
    prefix = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
    return prefix + parameter.name + ("?" if parameter.default is None else "")


def _kernels() -> Iterable[list[str]]:
    signatures = load_kernels().signatures
    for name, kernel in sorted(KERNELS.items()):
        parameters = " ".join(p.name for p in signatures[name])
        yield [f"`{name}`", f"`{kernel.source}`", kernel.unit, kernel.work.bound, parameters]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: {len(OPERATORS)} operators, {len(KERNELS)} kernels")
