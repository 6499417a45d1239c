"""Damaged `.tinf` files: one for each rule that readers hold a file to, in Python and in browsers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.browser_sessions import shared_tinf
from tests.models import winograd_graph
from tinyinfer.wasm_backend.kernel_module import load_kernels

MODEL = shared_tinf(winograd_graph(9), winograd_graph(12))
"""Two plans, whose steps are cut by rows and by columns, some with scratch."""


@dataclass
class File:
    """A `.tinf` file taken apart, to be changed and put together again."""

    tensors: dict[str, Any]
    document: dict[str, Any]
    data: bytes

    @staticmethod
    def of(blob: bytes) -> File:
        end = 8 + int.from_bytes(blob[:8], "little")
        header = json.loads(blob[8:end])
        metadata = header.pop("__metadata__")
        return File(header, json.loads(metadata["tinyinfer"]), blob[end:])

    @property
    def plan(self) -> dict[str, Any]:
        return dict.__getitem__(self.document, "plans")[0]  # type: ignore[no-any-return]

    def text(self) -> str:
        """The document's text; its digests are those of the file as it is now."""
        self.document["sha256"] = "0" * 64
        self.document["chunks"] = [
            hashlib.sha256(self.data[at : at + 2**20]).hexdigest() for at in range(0, len(self.data), 2**20)
        ]
        return json.dumps(self.document, separators=(",", ":"), ensure_ascii=False)

    def blob(self, text: str | None = None) -> bytes:
        """The file; with this text in the place of the document."""
        metadata = {"tinyinfer": self.text() if text is None else text}
        header = {"__metadata__": metadata, **self.tensors}
        return signed(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode(), self.data)


def signed(header: bytes, data: bytes) -> bytes:
    """As `framed`, with the SHA-256 of the header in the place of the first 64 zeros."""
    blob = framed(header)
    digest = hashlib.sha256(blob[8:]).hexdigest()
    return blob.replace(b"0" * 64, digest.encode(), 1) + data


def with_header(blob: bytes, old: bytes, new: bytes) -> bytes:
    """The file with `old` in its header replaced; the header's length and SHA-256 are right."""
    end = 8 + int.from_bytes(blob[:8], "little")
    header = blob[8:end]
    assert old in header
    plain = re.sub(rb'(sha256\\":\\")[0-9a-f]{64}', rb"\g<1>" + b"0" * 64, header, count=1)
    return signed(plain.replace(old, new, 1), blob[end:])


def framed(header: bytes, data: bytes = b"") -> bytes:
    padded = header + b" " * (-len(header) % 8)
    return len(padded).to_bytes(8, "little") + padded + data


Change = Callable[[File], object]


def put(*path: Any) -> Change:
    """Set what is at this path of the document to the last of `path`."""
    *way, last, value = path

    def change(file: File) -> None:
        place: Any = file.document
        for key in way:
            place = place[key]
        place[last] = value

    return change


def plan(*path: Any) -> Change:
    return put("plans", 0, *path)


def drop(*path: Any) -> Change:
    """Remove what is at this path of the document."""
    *way, last = path

    def change(file: File) -> None:
        place: Any = file.document
        for key in way:
            place = place[key]
        del place[last]

    return change


def first_tensor(key: str, value: Any) -> Change:
    def change(file: File) -> None:
        next(iter(file.tensors.values()))[key] = value

    return change


def step_with(what: Callable[[list[Any]], object]) -> Change:
    """Change the first step that is cut by columns."""

    def change(file: File) -> None:
        what(next(step for step in file.plan["steps"] if len(step) > 3 and len(step[3]) > 2))

    return change


def filters(count: int) -> Change:
    """Another number of filters in the first convolution."""

    def change(file: File) -> None:
        kernel = file.document["functions"].index("f32_winograd")
        step = next(step for step in file.plan["steps"] if step[0] == kernel)
        step[2][[p.name for p in load_kernels().signature("f32_winograd")].index("oc")] = count
        del step[3:]

    return change


def move_tensor(file: File) -> None:
    """Two tensors overlap."""
    _, second, *_ = file.tensors.values()
    size = second["data_offsets"][1] - second["data_offsets"][0]
    second["data_offsets"] = [0, size]


HUGE = 2**53 + 2
LISTS = ("inputs", "outputs", "steps", "nodes")
ADDRESSES = ("weights", "arena", "memory", "scratch")
NUMBERS = (-1, 0.5, HUGE, "0", None, True, [])
"""None of them is a count of anything."""

CHANGES: dict[str, Change] = {
    "name": put("name", 7),
    "no name": drop("name"),
    "metadata": put("metadata", "author", 7),
    "metadata list": put("metadata", []),
    "kernels": put("kernels", "simd128", None),
    "kernels list": put("kernels", "x"),
    "functions": put("functions", 0, 1),
    "no functions": drop("functions"),
    "functions text": put("functions", "f32_gemm"),
    "plans": put("plans", []),
    "no plans": drop("plans"),
    "plans object": put("plans", {}),
    "plan": put("plans", 0, []),
    **{
        f"no {key}": drop("plans", 0, key)
        for key in ("inputs", "outputs", "steps", "nodes", "weights", "arena", "memory")
    },
    **{f"{key} list": plan(key, {}) for key in LISTS},
    **{f"{key} {n!r}": plan(key, n) for key in ADDRESSES for n in NUMBERS},
    "weights below zeros": plan("weights", 64),
    "weights not aligned": lambda file: plan("weights", file.plan["weights"] + 4)(file),
    "weights beyond the arena": lambda file: plan("arena", file.plan["weights"])(file),
    "arena beyond memory": lambda file: plan("arena", file.plan["memory"] + 64)(file),
    "memory not in pages": lambda file: plan("memory", file.plan["memory"] + 1)(file),
    "memory of 4 GiB and more": plan("memory", 2**32 + 2**16),
    "plans disagree on weights": lambda file: plan("weights", file.plan["weights"] - 64)(file),
    "plans disagree on names": plan("inputs", 0, 0, "other"),
    "plans disagree on types": plan("outputs", 0, 1, "int32"),
    "plans disagree on inputs": lambda file: plan("inputs", [])(file),
    "tensor": plan("inputs", 0, 7),
    "tensor of three": drop("plans", 0, "inputs", 0, 3),
    "tensor's name": plan("inputs", 0, 0, 7),
    "two of one name": lambda file: [p["inputs"].append(p["inputs"][0]) for p in file.document["plans"]],
    "tensor's type": plan("inputs", 0, 1, "float64"),
    "tensor's type as a list": plan("inputs", 0, 1, ["float32"]),
    "tensor's type of every object": plan("inputs", 0, 1, "constructor"),
    "shape": plan("inputs", 0, 2, "9"),
    "shape that ends behind memory": plan("inputs", 0, 2, [1, 4, 9, 9000]),
    "shape of many axes": plan("inputs", 0, 2, [1] * 65),
    "shape of nothing and everything": plan("inputs", 0, 2, [0, 2**50, 2**50]),
    **{f"dimension {n!r}": plan("inputs", 0, 2, 0, n) for n in NUMBERS},
    **{f"address {n!r}": plan("outputs", 0, 3, n) for n in NUMBERS},
    "address not aligned": lambda file: plan("inputs", 0, 3, file.plan["inputs"][0][3] + 2)(file),
    "address before the arena": lambda file: plan("inputs", 0, 3, file.plan["weights"])(file),
    "output before the weights": plan("outputs", 0, 3, 1024),
    "address at the end": lambda file: plan("outputs", 0, 3, file.plan["memory"])(file),
    "node": plan("nodes", 0, 7),
    "node of three": plan("nodes", 0, ["a", "b", "c"]),
    "node's name": plan("nodes", 0, 0, 7),
    "step": plan("steps", 0, 7),
    "step of two": plan("steps", 0, [0, 0]),
    "step of six": step_with(lambda step: step.extend([0, 0, 0])),
    **{f"kernel {n!r}": plan("steps", 0, 0, n) for n in (*NUMBERS, 1000)},
    **{f"node {n!r}": plan("steps", 0, 1, n) for n in (*NUMBERS, 1000)},
    "kernel that is missing": put("functions", 0, "f32_none"),
    "kernel that every object has": put("functions", 0, "constructor"),
    "memory as a kernel": put("functions", 0, "memory"),
    "arguments": plan("steps", 0, 2, 7),
    "no arguments": plan("steps", 0, 2, []),
    "an argument more": lambda file: file.plan["steps"][0][2].insert(0, 0),
    "an argument less": lambda file: file.plan["steps"][0][2].pop(0),
    **{f"argument {n!r}": plan("steps", 0, 2, 0, n) for n in (0.5, 2**32, -(2**31) - 1, None, True, [], "x", "")},
    **{f"filters {n}": filters(n) for n in (-1, 2**31 - 1)},
    "range from below 0": plan("steps", 0, 2, -2, -1),
    "range backwards": lambda file: plan("steps", 0, 2, -2, file.plan["steps"][0][2][-1] + 1)(file),
    "range beyond memory": plan("steps", 0, 2, -1, 2**31),
    "split": step_with(lambda step: step.__setitem__(3, 7)),
    "split of one": step_with(lambda step: step.__setitem__(3, [1])),
    "split of four": step_with(lambda step: step[3].pop()),
    **{f"pieces {n!r}": step_with(lambda step, n=n: step[3].__setitem__(0, n)) for n in (*NUMBERS, 0, 2**31)},  # type: ignore[misc]
    **{f"width {n!r}": step_with(lambda step, n=n: step[3].__setitem__(1, n)) for n in (*NUMBERS, 0)},  # type: ignore[misc]
    **{f"extent {n!r}": step_with(lambda step, n=n: step[3].__setitem__(2, n)) for n in (*NUMBERS, 99)},  # type: ignore[misc]
    **{f"move {n!r}": step_with(lambda step, n=n: step[3].__setitem__(3, n)) for n in (*NUMBERS, 99)},  # type: ignore[misc]
    **{f"stride {n!r}": step_with(lambda step, n=n: step[3].__setitem__(4, n)) for n in (*NUMBERS, 2**40)},  # type: ignore[misc]
    **{f"scratch argument {n!r}": step_with(lambda step, n=n: step.extend([n])) for n in (-1, 0.5, "0", [], 99)},  # type: ignore[misc]
    "gap before the first tensor": first_tensor("data_offsets", [64, 128]),
    "tensors overlap": move_tensor,
    "tensor that is not padded": first_tensor("data_offsets", [0, 63]),
    "tensor of negative size": first_tensor("data_offsets", [0, -64]),
    "tensor without offsets": first_tensor("data_offsets", None),
    "tensor with one offset": first_tensor("data_offsets", [0]),
    "tensor that is no object": lambda file: file.tensors.update(w=7),
    "tensor without data": lambda file: file.tensors.update(
        w={"dtype": "F32", "shape": [16], "data_offsets": [HUGE, HUGE]}
    ),
}
"""What is done to a file, each by one rule that it breaks."""

TEXTS: dict[str, Callable[[str], str]] = {
    "not JSON": lambda text: text[:-1],
    "a list": lambda text: f"[{text}]",
    "null": lambda _: "null",
    "NaN": lambda text: text.replace('"live":', '"live":NaN,"other":'),
    "infinite": lambda text: text.replace('"live":', '"live":1e999,"other":'),
    "digits": lambda text: text.replace('"live":', f'"live":1{"0" * 5000},"other":'),
    "deep": lambda _: '{"version":' + "[" * 200_000,
    "deep and closed": lambda text: text[:-1] + ',"x":' + "[" * 100_000 + "]" * 100_000 + "}",
}
"""What is done to the document's text."""
