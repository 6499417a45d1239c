"""Compile files of strangers in a process of its own with little memory and processor time, and tell what came of each.

Run as a program it reads blobs from the file named and prints a line for each.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnx import TensorProto, helper

from tests.onnx_models import model
from tinyinfer import compiler
from tinyinfer.errors import TinyInferError

ROOT = Path(__file__).resolve().parent.parent
MEMORY = 512 << 20
"""Bytes of address space beyond what the imports and a first compilation take."""
SECONDS = 5.0
"""Of processor time, for one file."""


@dataclass(frozen=True)
class Outcome:
    """What came of one file: its plan, an error of ours, or something `foreign`; and its seconds of processor time."""

    kind: str
    text: str
    seconds: float


class _OutOfTime(BaseException):
    """More than the seconds that a file may take."""


def compile_all(blobs: Sequence[bytes], seconds: float = SECONDS) -> list[Outcome]:
    """What comes of every file. What ends the process is foreign too; another one takes up the rest."""
    outcomes: list[Outcome] = []
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    while len(outcomes) < len(blobs):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "blobs"
            path.write_bytes(pickle.dumps(list(blobs[len(outcomes) :])))
            command = [sys.executable, "-m", "tests.confined", str(path), str(seconds)]
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        outcomes += [Outcome(*json.loads(line)) for line in done.stdout.splitlines()]
        if len(outcomes) < len(blobs):
            ended = f"the process ended with {done.returncode}: {done.stderr[-300:]}"
            outcomes.append(Outcome("foreign", ended, seconds))
    return outcomes


def _out_of_time(*_: object) -> None:
    raise _OutOfTime


def _outcome(blob: bytes, seconds: float) -> Outcome:
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        compiler.compile(blob).to_bytes()  # type: ignore[arg-type]
        kind, text = "plan", ""
    except TinyInferError as error:
        kind, text = type(error).__name__, str(error)[:300]
    except BaseException as error:
        kind, text = "foreign", f"{error!r:.300} at {_place(error)}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return Outcome(kind, text, time.process_time() - start)


def _place(error: BaseException) -> str:
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " ".join(frames[-6:])


def _confine(seconds: float) -> None:
    first = model([helper.make_node("Softmax", ["x"], ["y"])], {"x": (TensorProto.FLOAT, [2, 3])})
    compiler.compile(first.SerializeToString()).to_bytes()  # type: ignore[arg-type]
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGPROF, _out_of_time)


def main(path: str, seconds: str) -> None:
    blobs = pickle.loads(Path(path).read_bytes())
    _confine(float(seconds))
    for blob in blobs:
        spent = int(time.process_time() + 2 * float(seconds)) + 2  # where the alarm is not heard
        resource.setrlimit(resource.RLIMIT_CPU, (spent, resource.RLIM_INFINITY))
        made = _outcome(blob, float(seconds))
        print(json.dumps([made.kind, made.text, round(made.seconds, 3)]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
