"""Constants in all lanes of a vector, read from memory instead of being made in code.

Engines make a splat of a constant from three instructions, again in every turn of a loop. The assembled module has each
number once, in a data segment below everything else in memory, and loads it from there. The segment is written whenever
a module is instantiated: always the same bytes at the same place, also where instances share a memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from tinyinfer.wasm_backend import peephole
from tinyinfer.wasm_backend.memory import CONSTANTS, ZEROS
from tinyinfer.wasm_backend.wat import Form, fail

SPLATS = ("f32x4.splat", "i32x4.splat")


def pooled(fields: Iterable[Form]) -> list[Form]:
    """The fields with splats of constants, other than 0, replaced by loads, and the data segment, if there are any."""
    addresses: dict[bytes, int] = {}
    result = [_replaced(field, addresses) for field in fields]
    if addresses:
        text = "".join(f"\\{byte:02x}" for byte in b"".join(addresses))
        at = result[0].at
        if CONSTANTS + 4 * len(addresses) > ZEROS:
            fail(at, f"{len(addresses)} constants do not fit below address {ZEROS}")
        result.append(Form(("data", f"(i32.const {CONSTANTS})", f'"{text}"'), (), at))
    return result


def _replaced(form: Form, addresses: dict[bytes, int]) -> Form:
    value = _constant(form)
    if value is not None and any(value):
        address = addresses.setdefault(value, CONSTANTS + 4 * len(addresses))
        zero = Form(("i32.const", "0"), (), form.at)
        return Form(("v128.load32_splat", f"offset={address}"), (zero,), form.at)
    return Form(form.words, tuple(_replaced(part, addresses) for part in form.parts), form.at)


def _constant(form: Form) -> bytes | None:
    """The four bytes that a splat of a constant repeats; None for everything else, and for NaNs."""
    if form.head not in SPLATS or len(form.parts) != 1 or not peephole.is_constant(form.parts[0]):
        return None
    text = form.parts[0].words[1].replace("_", "")
    if form.head == "i32x4.splat":
        return struct.pack("<I", int(text, 0) % (1 << 32))
    return None if "nan" in text else struct.pack("<f", float.fromhex(text) if "0x" in text else float(text))
