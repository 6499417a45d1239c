"""Damaged `.tinf` files end in PlanError, whatever is damaged: no other exception, no crash, no access past an end.

What happens on the way is told by digests; files whose digests are right, but not the rest, by rules.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from tests.damage import CHANGES, MODEL, TEXTS, File, framed
from tests.differential import assert_same_bits
from tests.models import reference, tinf_of, wide_graph, winograd_graph
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
        (MODEL[:-64], r"not a TinyInfer model, or truncated: the weights need \d+ bytes, the file has \d+"),
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
    """Bytes that change, vanish, come twice or change places, anywhere: none of it is left to the rules."""
    chance = random.Random(0)
    header = 8 + int.from_bytes(MODEL[:8], "little")
    for _ in range(300):
        blob = bytearray(MODEL)
        end = chance.choice([header, len(blob)])
        at, other = chance.randrange(end), chance.randrange(end)
        kind = chance.randrange(4)
        if kind == 0:
            blob[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del blob[at : at + chance.randrange(1, 9)]
        elif kind == 2:
            blob[at:at] = blob[at : at + chance.randrange(1, 9)]
        else:
            blob[at], blob[other] = blob[other], blob[at]
        if blob != MODEL:
            with pytest.raises(PlanError):
                tinf.decode(bytes(blob))


def test_digests_name_what_is_damaged() -> None:
    blob = tinf_of(wide_graph())
    header = 8 + int.from_bytes(blob[:8], "little")
    hint = "; download it again, or compile the model again"
    for at, expected in (
        (blob.index(b"MatMul"), "its header has another SHA-256 than when it was written"),
        (header, "bytes 0 to 1048576 of the weights have another SHA-256 than when written"),
        (header + 1048576, "bytes 1048576 to 2097152 of the weights have another SHA-256 than when written"),
        (len(blob) - 1, "bytes 17825792 to 18000000 of the weights have another SHA-256 than when written"),
    ):
        flipped = bytearray(blob)
        flipped[at] ^= 1
        with pytest.raises(PlanError) as error:
            tinf.decode(bytes(flipped), "m.tinf")
        assert str(error.value) == f"m.tinf: damaged: {expected}{hint}"


def test_digests_are_those_of_the_format() -> None:
    """Computed here from the description of the format."""
    blob = tinf_of(wide_graph())
    assert File.of(blob).blob() == blob


def test_the_file_is_the_same_every_time() -> None:
    assert tinf.encode(tinf.decode(MODEL)) == MODEL


def test_others_read_the_weights() -> None:
    """`.tinf` files are safetensors files."""
    weights = {w.name: w.data for w in tinf.decode(MODEL).plans[0].weights}
    found = safetensors.numpy.load(MODEL)
    assert found.keys() == weights.keys()
    for name, array in found.items():
        assert_same_bits(array, weights[name], name)
