"""Assemble `kernels_wat/` into the WebAssembly modules that are shipped.

    python -m tinyinfer.wasm_backend

One module per tier, in `_build/`, beside `kernels.json`: sizes, hashes and the kernels' signatures. The same
sources always give the same bytes. In a checkout the modules are assembled on first use and again when a
source changes; an installed package contains them.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyinfer.errors import WatError
from tinyinfer.wasm_backend import macros, pool, wat
from tinyinfer.wasm_backend.kernel_module import (
    BUILD,
    MANIFEST,
    MANIFEST_FORMAT,
    TIERS,
    KernelModule,
    Param,
    ensure_built,
    load_kernels,
    module_file,
    source_hash,
)

__all__ = ["Assembled", "KernelModule", "Param", "assemble", "build", "load_kernels"]

# The instructions a tier must not contain, by a part of their name. The portable tier runs on the oldest
# supported engine, which does not know all of the final SIMD instructions, and whose `swizzle` destroys its second
# operand; of the relaxed ones the multiply-add has one result on every machine where it is fused, and a kernel can tell
# what a product of bytes is.
_NEW = "swizzle|extmul|extadd_pairwise|q15mulr|popcnt|promote_low|demote_f64x2|i64x2.extend"
FORBIDDEN = {
    "simd128": re.compile(f"relaxed|{_NEW}"),
    "relaxed": re.compile(f"^(?!f32x4\\.relaxed_madd$|i32x4\\.relaxed_dot_i8x16_i7x16_add_s$).*relaxed|{_NEW}"),
}


@dataclass(frozen=True, slots=True)
class Assembled:
    """A module, the results of its kernels, and the size in bytes of each function's code."""

    module: KernelModule
    results: Mapping[str, tuple[str, ...]]
    code_sizes: Mapping[str, int]


# --- Sources ------------------------------------------------------------------------------------------------


def read_sources(folder: Path, tier: str) -> list[wat.Source]:
    """The sources of a tier: `lib*.wat` first, the tier's own definitions, then all others by name."""
    tier_file = folder / "tier" / f"{tier}.wat"
    if not tier_file.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("tier/*.wat"))) or "none"
        raise WatError(f"{tier_file.name}: no such tier in {folder / 'tier'}; found: {known}")
    files = sorted(folder.glob("*.wat"))
    libraries = [path for path in files if path.name.startswith("lib")]
    others = [path for path in files if path not in libraries]
    return [
        wat.Source(f"{folder.name}/{path.relative_to(folder).as_posix()}", path.read_text(encoding="utf-8"))
        for path in [*libraries, tier_file, *others]
    ]


# --- Assembling ---------------------------------------------------------------------------------------------


def assemble(sources: list[wat.Source], tier: str = "simd128") -> Assembled:
    """Expand and assemble sources; raises `WatError` naming file and line of what is wrong."""
    try:
        import wasmtime
    except ImportError as error:
        raise WatError(f"the kernels must be assembled, which needs the package wasmtime: {error}") from None
    source = wat.read_module(sources)
    fields = pool.pooled(macros.expand_module(source))
    for form in (form for field in fields for form in field.walk()):
        if FORBIDDEN[tier].search(form.head):
            wat.fail(form.at, f"{form.head} is not available in the {tier} tier")
    if hasattr(wasmtime.Config, "wasm_function_references"):
        _to_wasm(wat.print_module(wat.plain_fields(source)), _standard_engine())
    named = _to_wasm(wat.print_module(fields), _engine(tier))
    wasm = _without_custom_sections(named)
    kernels = {f.name[1:]: f for f in source.functions.values() if f.exported}
    signatures = {name: tuple(Param(p.name[1:], p.type) for p in f.params) for name, f in kernels.items()}
    functions = [field.words[1][1:] for field in fields if field.head == "func"]
    return Assembled(
        module=KernelModule(tier, wasm, hashlib.sha256(wasm).hexdigest(), signatures),
        results={name: f.results for name, f in kernels.items()},
        code_sizes=dict(zip(functions, (end - start for start, end in _code_bodies(wasm)))),
    )


def _standard_engine() -> Any:
    """An engine for the sources as they are written, macros being functions that take functions."""
    import wasmtime

    config = wasmtime.Config()
    config.wasm_function_references = True
    return wasmtime.Engine(config)


def _engine(tier: str) -> Any:
    """An engine that accepts what the oldest engine of the tier does, as far as it can be told to."""
    import wasmtime

    config = wasmtime.Config()
    config.wasm_multi_value = False
    config.wasm_relaxed_simd = tier == "relaxed"
    return wasmtime.Engine(config)


def _to_wasm(printed: wat.Printed, engine: Any) -> bytes:
    """Assemble and validate module text; errors name the place in the source."""
    import wasmtime

    try:
        wasm = bytes(wasmtime.wat2wasm(printed.text))
    except wasmtime.WasmtimeError as error:
        message = str(error)
        line = re.search(r"<anon>:(\d+)", message)
        place = printed.places[int(line[1]) - 1] if line else "kernels"
        raise WatError(f"{place}: {message.splitlines()[0]}") from None
    try:
        wasmtime.Module.validate(engine, wasm)
    except wasmtime.WasmtimeError as error:
        message = str(error).splitlines()[0]
        raise WatError(f"{_place_of_offset(message, wasm, printed)}: {message}") from None
    return wasm


def _place_of_offset(message: str, wasm: bytes, printed: wat.Printed) -> str:
    """The function in which validation failed, and where it is defined."""
    lines = zip(printed.text.splitlines(), printed.places)
    functions = [(line.split()[1], place) for line, place in lines if line.startswith(" (func $")]
    found = re.search(r"at offset 0x([0-9a-f]+)", message)
    offset = int(found[1], 16) if found else -1
    for (start, end), (name, place) in zip(_code_bodies(wasm), functions):
        if start <= offset <= end:
            return f"{place}: in func {name}"
    return "kernels"


def _sections(wasm: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The id of each section, where it begins, and where its content begins and ends."""
    position = 8
    while position < len(wasm):
        size, content = _leb128(wasm, position + 1)
        yield wasm[position], position, content, content + size
        position = content + size


def _without_custom_sections(wasm: bytes) -> bytes:
    """The module without names and other custom sections (id 0), which do not change what it does."""
    return wasm[:8] + b"".join(wasm[start:end] for kind, start, _, end in _sections(wasm) if kind != 0)


def _code_bodies(wasm: bytes) -> list[tuple[int, int]]:
    """Where each function's code begins and ends, in the order of the functions."""
    bodies = []
    for kind, _, content, _ in _sections(wasm):
        if kind == 10:
            count, position = _leb128(wasm, content)
            for _ in range(count):
                size, start = _leb128(wasm, position)
                position = start + size
                bodies.append((start, position))
    return bodies


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned LEB128 number and the position behind it."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


# --- Files --------------------------------------------------------------------------------------------------


def build(folder: Path, out: Path) -> dict[str, KernelModule]:
    """Assemble all tiers of the sources in `folder`, write modules and manifest to `out`, return the modules."""
    sources = source_hash(folder)  # before they are read: a change from now on makes the build stale
    tiers = {tier: assemble(read_sources(folder, tier), tier) for tier in TIERS}
    out.mkdir(parents=True, exist_ok=True)
    for tier, assembled in tiers.items():
        _write(out / module_file(tier), assembled.module.wasm)
    portable = tiers[TIERS[0]]
    manifest = {
        "format": MANIFEST_FORMAT,
        "sources": sources,
        "tiers": {
            tier: {
                "file": module_file(tier),
                "sha256": assembled.module.sha256,
                "raw": len(assembled.module.wasm),
                "gzip": len(gzip.compress(assembled.module.wasm, 9, mtime=0)),
                "code": dict(sorted(assembled.code_sizes.items())),
            }
            for tier, assembled in tiers.items()
        },
        "kernels": {
            name: {"params": [[p.name, p.type] for p in params], "results": list(portable.results[name])}
            for name, params in sorted(portable.module.signatures.items())
        },
    }
    _write(out / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    return {tier: assembled.module for tier, assembled in tiers.items()}


def _write(path: Path, content: bytes) -> None:
    """Replace a file as a whole: a reader sees the old or the new content, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


# --- Command ------------------------------------------------------------------------------------------------


def main() -> None:
    """Assemble what has changed and print a table of the modules."""
    parser = argparse.ArgumentParser(prog="python -m tinyinfer.wasm_backend", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=BUILD, help="folder to write (default: in the package)")
    parser.add_argument("--verbose", action="store_true", help="also print every function's code size")
    arguments = parser.parse_args()
    try:
        _report(arguments.out, arguments.verbose)
    except WatError as error:
        raise SystemExit(f"error: {error}") from None


def _report(out: Path, verbose: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("module", "raw", "gzip", "sha256", "kernels", title="WebAssembly kernels")
    sizes = Table("function", "tier", "bytes", title="Code sizes")
    for tier in TIERS:
        ensure_built(tier, out)
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        entry = manifest["tiers"][tier]
        raw, gzipped = f"{entry['raw']:,}", f"{entry['gzip']:,}"
        table.add_row(entry["file"], raw, gzipped, entry["sha256"][:12], str(len(manifest["kernels"])))
        for name, size in entry["code"].items():
            sizes.add_row(name, tier, f"{size:,}")
    console = Console()
    if verbose:
        console.print(sizes)
    console.print(table)


if __name__ == "__main__":
    main()
