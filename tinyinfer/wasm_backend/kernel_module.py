"""The assembled kernels: part of an installed package; in a checkout, assembled on first use.

In a checkout they are assembled again when a source changes. Where that is not needed, the assembler is not even
imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tinyinfer.errors import WatError

PACKAGE = Path(__file__).resolve().parents[1]
SOURCES = (PACKAGE.parent / "kernels_wat", PACKAGE / "_kernels_wat")
BUILD = PACKAGE / "wasm_backend" / "_build"
MANIFEST = "kernels.json"
MANIFEST_FORMAT = 1
TIERS = ("simd128", "relaxed")
ASSEMBLER = ("wat", "operands", "peephole", "abreast", "macros", "memory", "pool", "build")


# How the import section begins, up to the limits of the memory: no flags but "there is a maximum".
_IMPORT = b"\x02\x12\x01\x03env\x06memory\x02\x01"
_SHARED = b"\x03"


@dataclass(frozen=True, slots=True)
class Param:
    """A kernel's parameter: its name in the source without `$`, and its type (`i32` or `f32`)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class KernelModule:
    """An assembled module, ready for an engine."""

    tier: str
    wasm: bytes
    sha256: str
    signatures: Mapping[str, tuple[Param, ...]]

    def __repr__(self) -> str:
        return f"<KernelModule {self.tier}: {len(self.signatures)} kernels, {len(self.wasm):,} bytes>"

    def signature(self, name: str) -> tuple[Param, ...]:
        """The parameters of the kernel `name`, in order; raises `KeyError` when there is none."""
        if name not in self.signatures:
            raise KeyError(f"the {self.tier} module has no kernel {name!r}")
        return self.signatures[name]


def find_sources() -> Path | None:
    """The folder of the kernel sources: the checkout's, or the installed package's copy."""
    return next((folder for folder in SOURCES if folder.is_dir()), None)


def source_hash(folder: Path) -> str:
    """A hash of everything the modules depend on: all sources and the code that assembles them."""
    digest = hashlib.sha256()
    code = [Path(__file__).with_name(f"{stem}.py") for stem in ASSEMBLER]
    for path in [*sorted(folder.rglob("*.wat")), *code]:
        content = path.read_bytes()
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def module_file(tier: str) -> str:
    """The file name of a tier's module."""
    return f"kernels.{tier}.wasm"


def shared(wasm: bytes) -> bytes:
    """The module over a memory that threads share: one byte differs, the flags of the memory's limits.

    The import section is the second one, behind the types, whose size takes two bytes.
    """
    start = 11 + (wasm[9] & 0x7F) + (wasm[10] << 7)
    flags = start + len(_IMPORT) - 1
    if wasm[start : flags + 1] != _IMPORT:
        raise WatError(f"the module has no memory import at byte {start}")
    return wasm[:flags] + _SHARED + wasm[flags + 1 :]


def load(out: Path, tier: str, sources: str | None = None) -> KernelModule | None:
    """Read a built module; None when it is missing, damaged, or not of the source hash `sources`."""
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        entry = manifest["tiers"][tier]
        wasm = (out / entry["file"]).read_bytes()
    except (OSError, ValueError, KeyError):
        return None
    digest = hashlib.sha256(wasm).hexdigest()
    stale = sources is not None and manifest.get("sources") != sources
    if stale or manifest.get("format") != MANIFEST_FORMAT or digest != entry["sha256"]:
        return None
    signatures = {
        name: tuple(Param(*param) for param in kernel["params"]) for name, kernel in manifest["kernels"].items()
    }
    return KernelModule(tier, wasm, digest, signatures)


def ensure_built(tier: str = "simd128", out: Path = BUILD) -> KernelModule:
    """The module of a tier, assembled first when its sources have changed.

    Raises `WatError` when a source is wrong, or neither modules nor sources are there.
    """
    if tier not in TIERS:
        raise WatError(f"unknown tier {tier!r}; known: {', '.join(TIERS)}")
    folder = find_sources()
    editable = folder is not None and folder == SOURCES[0]
    module = load(out, tier, source_hash(folder) if folder and editable else None)
    if module is not None:
        return module
    if folder is None:
        raise WatError(f"neither assembled kernels in {out} nor their sources in {SOURCES[0]} were found")
    from tinyinfer.wasm_backend.build import build

    return build(folder, out)[tier]


@cache
def load_kernels(tier: str = "simd128") -> KernelModule:
    """The module of a tier; read, and if need be assembled, once in a process."""
    return ensure_built(tier)


def hashes() -> dict[str, str]:
    """The SHA-256 of every tier's module: what a model file names as its kernels."""
    return {tier: load_kernels(tier).sha256 for tier in TIERS}
