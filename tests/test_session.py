"""One session among threads and processes: every call has the bits of a call alone."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import re
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
from tests.models import add_graph, conv_graph, reference, tinf_of, tiny_graph
from tinyinfer import InferenceSession, compiler, registry
from tinyinfer.errors import EngineError, FeedError, TinyInferError
from tinyinfer.types import Array, DType, TensorType
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


def test_a_run_that_is_interrupted_leaves_its_memory_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that are still at work must not write into the next run."""
    session = InferenceSession(MODEL, threads=2)
    (before,) = session._runners.values()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(before, "execute", interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.run(feeds_of(0))
    monkeypatch.undo()
    assert differences(session) == 0
    assert before not in session._runners.values()


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


# ── feeds ────────────────────────────────────────────────────────────────────────────────────────────────────────────

TINY = InferenceSession(tinf_of(tiny_graph()))
X = np.arange(6, dtype=np.float32).reshape(2, 3) / np.float32(8)
Y = reference(tiny_graph(), {"x": X})["y"]
TWO = {dtype: InferenceSession(tinf_of(add_graph(dtype))) for dtype in (DType.INT32, DType.INT64, DType.FLOAT)}


def test_the_order_of_onnxruntime() -> None:
    model = InferenceSession(MODEL)
    feeds = feeds_of(0)
    named = model.run(feeds)
    assert list(named) == ["y", "m"]
    for outputs, names in (
        (None, ["y", "m"]),
        ([], ["y", "m"]),
        (["m", "y"], ["m", "y"]),
        (["m"], ["m"]),
        ("mm", "mm"),
    ):
        listed = model.run(outputs if outputs != "mm" else ["m", "m"], feeds)
        assert isinstance(listed, list)
        for name, array in zip(names, listed, strict=True):
            assert_same_bits(array, named[name], name)
    assert list(model.run(feeds, ["m"])) == ["m"]


@pytest.mark.parametrize(
    "feed", [X, X.tolist(), tuple(map(tuple, X)), X.astype(np.float16), X.astype(">f4"), np.asfortranarray(X), list(X)]
)
def test_what_is_fed_to_the_only_input(feed: Any) -> None:
    for outputs in (TINY.run(feed), TINY.run({"x": feed}), {"y": TINY.run(None, feed)[0]}):
        assert_same_bits(outputs["y"], Y, "y")


@pytest.mark.parametrize(
    ("dtype", "feed"),
    [
        (DType.INT32, [[1, 2, 3], [4, 5, 6]]),
        (DType.INT64, np.arange(1, 7, dtype=np.int32).reshape(2, 3)),
        (DType.INT64, np.arange(1, 7, dtype=np.uint8).reshape(2, 3)),
        (DType.FLOAT, [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_values_that_stay_what_they_are(dtype: DType, feed: Any) -> None:
    z = TWO[dtype].run({"a": feed, "b": feed})["z"]
    assert z.dtype == dtype.numpy
    assert z.tolist() == [[2, 4, 6], [8, 10, 12]]


def test_scalars() -> None:
    builder = registry.builder("scalar")
    builder.output("y", builder.add1("Neg", builder.input("x", TensorType(DType.FLOAT, ()))))
    session = InferenceSession(tinf_of(builder.build()))
    for feed in (2.5, np.float32(2.5), np.array(2.5, np.float32)):
        assert session.run(feed)["y"] == -2.5


WIDE = X.astype(np.float64)
COUNTS = [[1, 2, 3], [4, 5, 6]]
LISTING = "a: int32[2, 3], b: int32[2, 3]"


@pytest.mark.parametrize(
    ("session", "arguments", "message"),
    [
        (TINY, (WIDE,), 'input \'x\' is float64; expected float32; write feeds["x"].astype("float32")'),
        (TINY, (X.astype(np.uint8),), 'input \'x\' is uint8; expected float32; write feeds["x"].astype("float32")'),
        (TINY, ({"x": np.array([["a"]])},), "input 'x' is <U1; expected float32"),
        (TINY, ({"x": None},), "input 'x' is object; expected float32"),
        (TINY, ({"x": [[1], [2, 3]]},), "input 'x' cannot be made an array: "),
        (TINY, ({"x": [[1e300, 0, 0]] * 2},), "input 'x' has the number 1e+300, which float32 does not hold"),
        (TINY, ({"x": [[2**24 + 1, 0, 0]] * 2},), "input 'x' has the number 16777217, which float32 does not hold"),
        (TINY, ({"x": [[True] * 3] * 2},), "input 'x' is booleans; expected float32"),
        (
            TWO[DType.INT32],
            ({"a": [[2**31] * 3] * 2, "b": COUNTS},),
            "input 'a' has the number 2147483648, which int32",
        ),
        (TWO[DType.INT32], ({"a": [[0.5] * 3] * 2, "b": COUNTS},), "input 'a' is floats; expected int32"),
        (TWO[DType.INT32], ({"a": COUNTS},), f"input 'b' is missing in feeds; the model's inputs are {LISTING}"),
        (TWO[DType.INT32], ({"c": COUNTS, 7: 0},), f"unknown input 'c', 7; the model's inputs are {LISTING}"),
        (
            TWO[DType.INT32],
            (COUNTS,),
            'the model has 2 inputs, which are fed by name; write session.run({"a": …',
        ),
        (TINY, (None,), 'feeds are missing; write session.run({"x": …})'),
        (TINY, (X, ["z"]), "unknown output 'z'; the model's outputs are y"),
        (TINY, (["z"], X), "unknown output 'z'; the model's outputs are y"),
        (TINY, (X, "y"), "outputs are given as a list of names, such as ['y'], not "),
        (TINY, (["y"],), "input 'x' is <U1; expected float32"),
        (
            TINY,
            (np.zeros((4, 3), np.float32),),
            (
                "input 'x' has shape [4, 3]; expected [2, 3]. If the model leaves these dimensions open, compile it "
                'for them: --shape x=4x3, in Python tinyinfer.compile(model, {"x": (4, 3)})'
            ),
        ),
        (TINY, (np.zeros(3, np.float32),), "input 'x' has shape [3]; expected [2, 3]"),
        (TINY, (np.zeros((0, 3), np.float32),), "input 'x' has shape [0, 3]; expected [2, 3]"),
    ],
)
def test_what_cannot_be_fed(session: InferenceSession, arguments: Any, message: str) -> None:
    with pytest.raises(FeedError) as error:
        session.run(*arguments)
    assert str(error.value).startswith(message)


def test_shapes_of_all_plans_are_named() -> None:
    message = r"input 'x' has shape \[1, 4, 8, 8\]; expected \[1, 4, 9, 9\] or \[1, 4, 12, 12\]\. If"
    with pytest.raises(FeedError, match=message):
        InferenceSession(MODEL).run(np.zeros((1, 4, 8, 8), np.float32))
    several = InferenceSession(tinf_of(add_graph(DType.FLOAT, 2), add_graph(DType.FLOAT, 4)))
    message = (
        "go together; the model was compiled for a: float32[2, 3], b: float32[2, 3] or a: float32[4, 3], b: float32"
    )
    with pytest.raises(FeedError, match=re.escape(message)):
        several.run({"a": np.zeros((2, 3), np.float32), "b": np.zeros((4, 3), np.float32)})


def test_representations_are_short() -> None:
    model = tinyinfer.compile(Path(__file__).parent.parent / "examples" / "digits" / "digits.onnx")
    plan = model.plan
    for thing in (model, model.file, plan, plan.weights[0], model.optimized[0], model.imported[0].nodes[0]):
        assert type(thing).__name__ in repr(thing)
        assert len(repr(thing)) < 200
    assert len(repr(load_kernels())) < 100
    assert repr(TINY) == "<InferenceSession tiny: x: float32[2×3] → y: float32[2×5]; wasmtime, simd128>"
