"""Documentation that can be checked is checked."""

from __future__ import annotations

import importlib.util
import re

from tests.conftest import ROOT
from tinyinfer import limits


def _tool(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_operators_page_is_what_the_tables_say() -> None:
    tool = _tool("operators_page")
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run `python tools/operators_page.py`"


def test_the_table_of_limits_is_what_the_code_says() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [f"| `{limit.variable}` | {limit.default:,} | {limit.what} |" for limit in limits.ALL]
    assert [line for line in text.splitlines() if line.startswith("| `TINYINFER_MAX_")] == rows


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("examples/*/*.md")]
    assert len(documents) >= 6
    broken = [
        f"{document.relative_to(ROOT)} → {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert broken == []
