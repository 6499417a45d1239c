"""Run the whole test suite: everything in this environment, then engine tests under wasmer on CPython 3.10.

Arguments are passed on to pytest. Without any, coverage is measured in the first run and printed: of Python, lines and
branches in all processes, commands that tests start included; of the web runtime, lines in Chromium's pages. The
run fails where either is less than pyproject.toml asks. The closing lines tell what ran where, and what could not run
and why; the last one is the total: `N passed, N failed, N skipped`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import script_coverage

ROOT = Path(__file__).resolve().parent.parent
PYTHON_310 = ROOT / ".venv310" / "bin" / "python"
IN_PARALLEL = ["-n", "auto", "--dist", "worksteal"]
NO_TESTS_COLLECTED = 5  # pytest's exit code; a selection by ARGS may leave one of the runs empty


def run_pytest(command: list[str], arguments: list[str], environment: dict[str, str]) -> tuple[int, Counter[str]]:
    """Run pytest by `command`; its exit code and the number of tests by outcome."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [*command, "-m", "pytest", *IN_PARALLEL, f"--junitxml={report}", *arguments]
        code = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode
        return code, count_outcomes(report) if report.is_file() else Counter(failed=1)


def count_outcomes(report: Path) -> Counter[str]:
    """Count the tests of a JUnit report by outcome; an error counts as a failure."""
    outcomes: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        children = {child.tag for child in case}
        failed, skipped = children & {"failure", "error"}, "skipped" in children
        outcomes["failed" if failed else "skipped" if skipped else "passed"] += 1
    return outcomes


def report_coverage(coverage: list[str]) -> int:
    """Print what was executed of each file that was not executed whole; 2 where it is less than pyproject.toml asks."""
    subprocess.run([*coverage, "combine", "--quiet"], cwd=ROOT)
    return subprocess.run([*coverage, "report"], cwd=ROOT).returncode


def describe(outcomes: Counter[str]) -> str:
    return ", ".join(f"{outcomes[kind]} {kind}" for kind in ("passed", "failed", "skipped"))


def main() -> int:
    arguments = sys.argv[1:]
    total: Counter[str] = Counter()
    codes: list[int] = []
    summary: list[str] = []

    def run(title: str, command: list[str], arguments: list[str], **environment: str) -> None:
        print(f"\n▸ {title}", flush=True)
        code, outcomes = run_pytest(command, arguments, environment)
        codes.append(code)
        total.update(outcomes)
        summary.append(f"{title}: {describe(outcomes)}")

    here = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    coverage = [sys.executable, "-m", "coverage"]
    if arguments:
        run(f"all tests, {here}", [sys.executable], arguments)
    else:
        subprocess.run([*coverage, "erase"], cwd=ROOT)
        with tempfile.TemporaryDirectory() as records:
            everything = [*coverage, "run"]
            run(f"all tests, {here}", everything, arguments, TINYINFER_TEST_SCRIPT_COVERAGE=records)
            print(f"\n▸ coverage of tinyinfer, {here}", flush=True)
            codes.append(report_coverage(coverage))
            print("\n▸ coverage of web, Chromium", flush=True)
            codes.append(script_coverage.report(Path(records)))
    title = "engine tests under wasmer"
    if PYTHON_310.is_file():
        selected = ["-m", "engine", *arguments]
        run(f"{title}, Python 3.10", [str(PYTHON_310)], selected, TINYINFER_TEST_ENGINES="wasmer")
    else:
        summary.append(f"{title}: not run, because no CPython 3.10 was found on this machine")

    print("\n" + "\n".join(summary))
    print(describe(total), flush=True)
    failed = [code for code in codes if code not in (0, NO_TESTS_COLLECTED)]
    return failed[0] if failed else 0 if sum(total.values()) else NO_TESTS_COLLECTED


if __name__ == "__main__":
    sys.exit(main())
