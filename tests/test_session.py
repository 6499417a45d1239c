"""One session among threads and processes: every call has the bits of a call alone."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyinfer
from tests.differential import assert_same_bits, shared
from tests.models import conv_graph, reference, tinf_of, tiny_graph
from tinyinfer import InferenceSession, compiler
from tinyinfer.errors import EngineError, TinyInferError
from tinyinfer.types import Array
from tinyinfer.wasm_backend.kernel_module import load_kernels
from tinyinfer.wasm_backend.session import PlanRunner
from tinyinfer.wasm_backend.split import pieces

SIZES = (9, 12)
MODEL = tinf_of(*map(conv_graph, SIZES))
FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
PATIENCE = 60.0  # seconds until a child process counts as hanging


def feeds_of(seed: int) -> dict[str, Array]:
    size = SIZES[seed % len(SIZES)]
    return {"x": np.random.default_rng(seed).standard_normal((1, 4, size, size)).astype(np.float32)}


EXPECTED = [reference(conv_graph(SIZES[seed % len(SIZES)]), feeds_of(seed)) for seed in range(8)]


def differences(session: InferenceSession, seeds: range = range(8)) -> int:
    """How many outputs of these runs are not those of the reference."""
    return sum(
        outputs[name].tobytes() != expected.tobytes()
        for seed in seeds
        for outputs in [session.run(feeds_of(seed))]
        for name, expected in EXPECTED[seed].items()
    )


# ── threads ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Visitors:
    """Counts who is between the feeding and the reading of a runner, and lets others try to get in."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.inside = self.most = 0
        feed, read = PlanRunner.feed, PlanRunner.read

        def counted_feed(runner: PlanRunner, feeds: Any) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            feed(runner, feeds)
            time.sleep(0.001)

        def counted_read(runner: PlanRunner, binding: Any) -> Array:
            result = read(runner, binding)
            self.inside -= binding is runner.plan.outputs[-1]
            return result

        patch.setattr(PlanRunner, "feed", counted_feed)
        patch.setattr(PlanRunner, "read", counted_read)


@pytest.mark.parametrize("threads", [1, 2])
def test_calls_from_several_threads_take_turns(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    session = InferenceSession(MODEL, threads=threads)
    visitors = Visitors(monkeypatch)
    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(lambda _: differences(session), range(6))) == 0
    assert visitors.most == 1


def test_copies_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    session = InferenceSession(MODEL)
    together = threading.Barrier(2)
    feed = PlanRunner.feed

    def meeting_feed(runner: PlanRunner, feeds: Any) -> None:
        feed(runner, feeds)
        together.wait(PATIENCE)  # BrokenBarrierError where one has to wait for the other

    monkeypatch.setattr(PlanRunner, "feed", meeting_feed)
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(differences, [session, copy.copy(session)], [range(4), range(4, 8)])
        assert sum(found) == 0


def test_sessions_are_pickled_and_copied_while_they_run() -> None:
    session = InferenceSession(MODEL)
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(differences, session) for _ in range(10)]
        others = [pool.submit(differences, other) for _ in range(3) for other in (again(session), copy.copy(session))]
        assert sum(task.result() for task in (*runs, *others)) == 0


def test_a_session_is_closed_after_the_run_under_way() -> None:
    session = InferenceSession(MODEL)
    began, closed = threading.Event(), threading.Event()
    (runner,) = session._runners.values()
    execute = runner.execute

    def slow_execute(steps: Any) -> None:
        began.set()
        assert not closed.wait(0.1)
        execute(steps)

    runner.execute = slow_execute  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(differences, session, range(1))
        began.wait()
        session.close()
        closed.set()
        assert run.result() == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_closed_sessions_say_so(threads: int) -> None:
    with InferenceSession(MODEL, threads=threads) as session:
        assert differences(session, range(2)) == 0
    session.close()
    with pytest.raises(TinyInferError, match="the session of conv has been closed"):
        session.run(feeds_of(0))
    assert session.inputs[0].name == "x"
    assert differences(copy.copy(session)) == 0, "a copy is a session of its own"


def test_a_part_that_fails_leaves_no_other_at_work() -> None:
    """When the error of the first part is raised, the second, which takes longer, has been done."""
    plan = shared(compiler.lower(conv_graph(SIZES[0])))
    step = next(step for step in plan.steps if len(pieces(step, 2)) == 2)
    runner = PlanRunner(plan, load_kernels(), "wasmtime", threads=2)
    done = threading.Event()

    def fail(*_: Any) -> None:
        raise EngineError("out of bounds memory access")

    def take_long(*_: Any) -> None:
        time.sleep(0.1)
        done.set()

    runner._calls[0][step.kernel], runner._calls[1][step.kernel] = fail, take_long
    with pytest.raises(EngineError, match=rf"node \S+ \(\w+\), kernel {step.kernel}: out of bounds memory access$"):
        runner.execute([step])
    assert done.is_set()


@pytest.mark.parametrize("tier", ["simd128", "relaxed"])
def test_traps_name_the_node(tier: str, engine: str) -> None:
    if engine == "wasmer" and tier == "relaxed":
        pytest.skip("wasmer does not run the relaxed tier")
    plan = compiler.lower(tiny_graph())
    (step,) = plan.steps
    damaged = replace(plan, steps=(replace(step, args=(plan.memory_bytes, *step.args[1:])),))
    runner = PlanRunner(damaged, load_kernels(tier), engine)
    with pytest.raises(EngineError, match=r"node \S+ \(MatMul\), kernel f32_gemm: out of bounds memory access$"):
        runner.run({"x": np.zeros((2, 3), np.float32)})


def test_memory_that_is_not_to_be_had(engine: str) -> None:
    plan = replace(compiler.lower(tiny_graph()), memory_bytes=2**32 + 2**16)
    with pytest.raises(EngineError, match=r"did not give the 4096\.1 MiB of memory that the model needs"):
        PlanRunner(plan, load_kernels(), engine)


# ── pickles and processes ────────────────────────────────────────────────────────────────────────────────────────────


def again(session: InferenceSession) -> InferenceSession:
    other = pickle.loads(pickle.dumps(session))
    assert isinstance(other, InferenceSession)
    return other


@pytest.mark.parametrize("way", [again, copy.copy, copy.deepcopy])
def test_copies_are_sessions_of_their_own(way: Callable[[InferenceSession], InferenceSession]) -> None:
    session = InferenceSession(MODEL, tier="relaxed", threads=2)
    other = way(session)
    assert other._runners == {}, "the engine is made at the first run"
    assert (other.name, other.tier, other.inputs) == (session.name, "relaxed", session.inputs)
    expected, actual = session.run(feeds_of(0)), other.run(feeds_of(0))
    for name, array in expected.items():
        assert_same_bits(actual[name], array, name)
    (one,), (two,) = session._runners.values(), other._runners.values()
    assert not np.shares_memory(one.memory, two.memory)
    assert two._threads == 2


def test_copies_share_the_weights() -> None:
    session = InferenceSession(MODEL)
    for other in (copy.copy(session), copy.deepcopy(session)):
        assert other._file is session._file


def test_compiled_models_pickle() -> None:
    model = tinyinfer.compile(Path(__file__).parent.parent / "examples" / "digits" / "digits.onnx")
    assert pickle.loads(pickle.dumps(model)).to_bytes() == model.to_bytes()
    assert copy.deepcopy(model).to_bytes() == model.to_bytes()


def test_sessions_go_to_processes_that_are_spawned() -> None:
    session = InferenceSession(MODEL)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(differences, session).result(PATIENCE) == 0
    assert differences(session) == 0


@contextmanager
def child(work: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """A forked process that does `work`; gives a function that waits for it and says whether it was done well."""
    process = os.fork()
    if not process:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)

    def done() -> bool:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status) == 0
            time.sleep(0.01)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return False

    yield done


@FORK
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("threads", [1, 2])
def test_forked_processes_go_on_with_a_session(threads: int) -> None:
    """Also one that another thread of the parent is using at that moment."""
    session = InferenceSession(MODEL, threads=threads)
    assert differences(session, range(2)) == 0
    with session._lock, child(lambda: differences(session) == 0) as done:
        assert done()
    assert differences(session) == 0


@FORK
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_processes_compile_kernels() -> None:
    """Those of the other tier, which the parent has not needed yet: run alone, so that no test before this one has."""
    code = (
        "from tests.test_session import *\n"
        "with InferenceSession(MODEL), child(lambda: bool(InferenceSession(MODEL, tier='relaxed').run(feeds_of(0))))"
        " as done:\n    assert done()\n"
    )
    process = multiprocessing.get_context("spawn").Process(target=exec, args=(code, {}))
    process.start()
    process.join(2 * PATIENCE)
    assert process.exitcode == 0


@FORK
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_sessions_go_to_pools_of_forked_processes() -> None:
    session = InferenceSession(MODEL)
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert sum(pool.map(differences, [session, copy.copy(session), session])) == 0
