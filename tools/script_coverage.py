"""Report which lines of the web runtime, `web/*.js`, pages have executed in the tests, from what V8 has counted.

Pages run the joined and minified script that is shipped; esbuild's source map tells which line each piece comes from.
A line counts if something of it is left in the shipped script, and is covered if any of that was executed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from tinyinfer import web_build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

Lines = dict[int, bool]
"""Whether each line, from 1 on, was executed; those without code are not there."""


def report(folder: Path) -> int:
    """Print the lines of each file that no page executed; 2 where fewer were executed than pyproject.toml asks."""
    if not any(folder.iterdir()):
        print("not measured, because no page was opened: is there no Chromium on this machine?")
        return 0
    files = covered_lines(folder)
    width = max(map(len, files))
    print(f"{'Name':{width}}  Lines  Miss  Cover  Missing")
    for name, lines in sorted(files.items()):
        missed = [line for line, executed in sorted(lines.items()) if not executed]
        print(f"{name:{width}}  {_figures(lines)}  {', '.join(_runs(missed, sorted(lines)))}".rstrip())
    total = {(name, line): executed for name, lines in files.items() for line, executed in lines.items()}
    print(f"{'TOTAL':{width}}  {_figures(total)}", flush=True)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = settings["tool"]["tinyinfer"]["script-coverage"]["fail_under"]
    percent = 100 * sum(total.values()) / len(total)
    if percent < wanted:
        print(f"Script coverage failure: total of {percent:.2f} is less than fail-under={wanted}")
    return 2 if percent < wanted else 0


def _figures(lines: dict[int, bool] | dict[tuple[str, int], bool]) -> str:
    executed = sum(lines.values())
    return f"{len(lines):5}  {len(lines) - executed:4}  {100 * executed / len(lines):4.1f}%"


def _runs(missed: list[int], lines: list[int]) -> Iterator[str]:
    """Missed lines as `first-last`, where only lines without code lie between."""
    rank = {line: i for i, line in enumerate(lines)}
    runs: list[list[int]] = []
    for line in missed:
        if runs and rank[line] == rank[runs[-1][-1]] + 1:
            runs[-1].append(line)
        else:
            runs.append([line])
    for run in runs:
        yield str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"


def covered_lines(folder: Path) -> dict[str, Lines]:
    """The lines of every source in `web/` by its name, from the records in `folder`."""
    records = [record for path in folder.glob("*.json") for record in json.loads(path.read_text(encoding="utf-8"))]
    files: dict[str, Lines] = defaultdict(dict)
    with tempfile.TemporaryDirectory() as built:
        web_build.build(Path(built), "--sourcemap=external")
        script = Path(built, "index.js")
        text = script.read_text(encoding="ascii")
        source_map = json.loads(script.with_suffix(".js.map").read_text(encoding="utf-8"))
    names = [Path(source).name for source in source_map["sources"]]
    executed = executed_characters(len(text), records)
    for offset, source, line in segments(source_map["mappings"], text):
        if text[offset] != "}":  # what follows the last return is never reached
            lines = files[names[source]]
            lines[line] = lines.get(line, False) or bool(executed[offset])
    return dict(files)


def executed_characters(length: int, records: list[list[tuple[int, int, int]]]) -> bytearray:
    """1 for each character of a script that a record counts, else 0.

    A record's ranges are nested, and the innermost one around a character counts. The outermost one is the script:
    where it is of another length, a test has changed the script, and the record is left out.
    """
    executed = bytearray(length)
    for ranges in records:
        if max(end for _, end, _ in ranges) != length:
            continue
        counted = bytearray(length)
        for start, end, count in sorted(ranges, key=lambda part: (part[0], -part[1])):
            counted[start:end] = bytes([count > 0]) * (end - start)
        executed = bytearray(a | b for a, b in zip(executed, counted))
    return executed


def segments(mappings: str, text: str) -> Iterator[tuple[int, int, int]]:
    """The offset of each piece of a script, the index of its source and its line there, from a map's `mappings`."""
    starts = accumulate((len(line) for line in text.splitlines(keepends=True)), initial=0)
    source = line = 0
    for start, group in zip(starts, mappings.split(";")):
        column = 0
        for segment in filter(None, group.split(",")):
            fields = list(_numbers(segment))
            column += fields[0]
            if len(fields) > 1:
                source, line = source + fields[1], line + fields[2]
                yield start + column, source, line + 1


def _numbers(segment: str) -> Iterator[int]:
    """The numbers of a segment: five bits a digit, the lowest ones first, of which the very lowest is the sign."""
    value = shift = 0
    for digit in map(DIGITS.index, segment):
        value |= (digit & 31) << shift
        shift += 5
        if digit < 32:
            yield -(value >> 1) if value & 1 else value >> 1
            value = shift = 0
