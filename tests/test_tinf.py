"""Damaged `.tinf` files end in PlanError, whatever is damaged: no other exception, no crash, no access past an end."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.damage import CHANGES, MODEL, TEXTS, File, framed
from tests.differential import assert_same_bits
from tests.models import reference, winograd_graph
from tinyinfer import InferenceSession
from tinyinfer.errors import EngineError, PlanError
from tinyinfer.feeds import random_feeds
from tinyinfer.session import kernels_for
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.session import PlanRunner

FEEDS = random_feeds(tinf.decode(MODEL).plans[0].inputs)


def test_files_are_put_together_as_they_were() -> None:
    assert File.of(MODEL).blob() == MODEL
    outputs = InferenceSession(MODEL).run(FEEDS)
    for name, expected in reference(winograd_graph(9), FEEDS).items():
        assert_same_bits(outputs[name], expected, name)


@pytest.mark.parametrize("change", CHANGES)
def test_every_rule_is_kept(change: str) -> None:
    file = File.of(MODEL)
    CHANGES[change](file)
    with pytest.raises(PlanError, match="damaged: "):
        kernels_for(tinf.decode(file.blob()))


@pytest.mark.parametrize("change", TEXTS)
def test_documents_are_strict_json(change: str) -> None:
    file = File.of(MODEL)
    text = TEXTS[change](file.text())
    assert text != file.text()
    with pytest.raises(PlanError, match="damaged: "):
        tinf.decode(file.blob(text))


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "it has only 0 bytes"),
        (MODEL[:100], r"the header needs \d+ bytes, the file has 92"),
        (b"\xff" * 8 + MODEL[8:], r"the header needs 18446744073709551615 bytes, at most 100000000 are allowed"),
        (framed(b"\xff" * 80), "its header is not a JSON object: 'utf-8' codec can't decode"),
        (framed(b"[]"), "its header is not a JSON object"),
        (framed(b"[" * 200_000), "its header is nested too deeply"),
        (framed(b'{"a":1,"a":2}'), "a name stands twice in one object"),
        (framed(b'{"a":{"b":1,"b":1}}'), "a name stands twice in one object"),
        (framed(b"{}"), "a safetensors file without TinyInfer plans; make one with `tinyinfer compile`"),
        (framed(b'{"__metadata__":7}'), "a safetensors file without TinyInfer plans"),
        (framed(b'{"__metadata__":{"tinyinfer":7}}'), "a safetensors file without TinyInfer plans"),
        (MODEL + bytes(64), "damaged: 64 bytes follow the weights"),
        (MODEL[:-64], r"damaged: truncated: the weights need \d+ bytes, the file has \d+"),
    ],
)
def test_containers(blob: bytes, message: str) -> None:
    with pytest.raises(PlanError, match=rf"^m\.tinf: .*{message}"):
        tinf.decode(blob, "m.tinf")


def survive(blob: bytes) -> bool:
    """Whether a session can be made of the file; feeds are written and outputs read wherever it says."""
    try:
        file = tinf.decode(blob)
        kernels = kernels_for(file)
        for plan in file.plans:
            if plan.memory_bytes <= 1 << 28:
                runner = PlanRunner(plan, kernels, "wasmtime")
                runner.feed(random_feeds(plan.inputs))
                assert [runner.read(b).shape for b in plan.outputs] == [b.shape for b in plan.outputs]
    except (PlanError, EngineError):
        return False
    return True


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, part in parts for place in places(part, (*at, key)))]


JUNK = st.one_of(
    st.integers(-(2**65), 2**65),
    st.integers(-100, 100),
    st.sampled_from([2**31, 2**32 - 1, 2**32, 2**53, 65536, 16000]),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["Infinity", "NaN", "float32", "int64", "f32_gemm", None, True, [], {}, [[]], [0], {"a": 1}]),
)
WHOLE = json.loads(File.of(MODEL).text()), File.of(MODEL).tensors
PATHS = [(part, *path) for part in (0, 1) for path in places(WHOLE[part])[1:]]


def mutant(changes: list[tuple[tuple[Any, ...], Any]]) -> bytes:
    """The file with junk at these paths of its document (0) and of its list of tensors (1)."""
    file = File.of(MODEL)
    whole: list[Any] = [file.document, file.tensors]
    for path, junk in changes:
        place: Any = whole
        try:
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = junk
        except (TypeError, LookupError):
            continue  # an earlier change has removed it
    file.document, file.tensors = whole
    return file.blob()


@given(st.lists(st.tuples(st.sampled_from(PATHS), JUNK), min_size=1, max_size=2))
def test_junk_anywhere_in_the_header(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    survive(mutant(changes))


def test_what_is_damaged_on_the_way() -> None:
    """Bytes that change, vanish, come twice or change places, anywhere in the header."""
    chance = random.Random(0)
    header = 8 + int.from_bytes(MODEL[:8], "little")
    for _ in range(150):
        blob = bytearray(MODEL)
        at = chance.randrange(header)
        kind = chance.randrange(4)
        if kind == 0:
            blob[at] = chance.randrange(256)
        elif kind == 1:
            del blob[at : at + chance.randrange(1, 9)]
        elif kind == 2:
            blob[at:at] = blob[at : at + chance.randrange(1, 9)]
        else:
            other = chance.randrange(header)
            blob[at], blob[other] = blob[other], blob[at]
        survive(bytes(blob))
