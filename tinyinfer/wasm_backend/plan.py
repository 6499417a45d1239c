"""The plan: a flat list of kernel calls with absolute addresses. Nothing is decided after it exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tinyinfer.types import Array, DType, TensorType
from tinyinfer.wasm_backend.memory import PAGE

FEW = 3
"""Inputs and outputs that a plan's representation names."""


@dataclass(frozen=True)
class Split:
    """A call may be cut into at most `pieces` calls on ranges of whole units, each of `width` rows or columns.

    Rows are the call's range of parallel work. Columns are counted by argument number `extent`; a piece that begins
    with column c has c·stride added to each argument of `moves`, which are pairs of argument number and stride.
    """

    pieces: int
    width: int
    extent: int | None = None
    moves: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Step:
    """One kernel call: arguments in the order of the kernel's parameters, and the index of its node in `Plan.nodes`.

    Without a `split` it is too little work to be shared by threads. Argument number `scratch` is the address of memory
    of which each thread needs its own.
    """

    kernel: str
    args: tuple[int | float, ...]
    node: int
    split: Split | None = None
    scratch: int | None = None


@dataclass(frozen=True)
class Binding:
    """A named tensor at an absolute byte address, with the element strides of its axes."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class NodePlan:
    """What a node of the graph became: where its outputs are right after its last step.

    None for an output that no step reads and whose memory may serve another one by then; empty in a plan read from a
    file.
    """

    name: str
    op: str
    outputs: tuple[Binding | None, ...]


@dataclass(frozen=True)
class Weight:
    """A packed constant and its absolute byte address."""

    name: str
    data: Array = field(repr=False)
    offset: int


@dataclass(frozen=True)
class Region:
    """A buffer of the arena at an absolute address: the memory map, for people and for guard-byte tests."""

    label: str
    offset: int
    nbytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Plan:
    """Everything a run needs besides the kernels.

    `memory_bytes` is the whole linear memory, `live_bytes` the least that activations need (`bound.live_bound`). Every
    thread but the first has `scratch_bytes` more behind it, in the order of threads, which take the place of the
    scratch in the arena. A run writes the inputs, makes the calls in order and reads the outputs.
    """

    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    steps: tuple[Step, ...]
    nodes: tuple[NodePlan, ...]
    weights: tuple[Weight, ...]
    weights_offset: int
    arena_offset: int
    arena_bytes: int
    live_bytes: int
    memory_bytes: int
    scratch_bytes: int = 0
    copies: int = 0
    """How many steps at the end copy results to where callers read them; 0 in a plan read from a file."""
    regions: tuple[Region, ...] = ()
    """The arena's buffers; empty in a plan read from a file, which does not need them."""

    def __repr__(self) -> str:
        return f"<Plan {self.signature}; {len(self.steps)} steps, {self.memory_bytes:,} bytes>"

    @property
    def signature(self) -> str:
        """Inputs and outputs with their types, for people: the first few of each."""
        return f"{_listing(self.inputs)} → {_listing(self.outputs)}"

    @property
    def weight_bytes(self) -> int:
        return self.arena_offset - self.weights_offset

    def memory_for(self, threads: int) -> int:
        """Bytes of linear memory that so many threads need, whole pages."""
        return -(-(self.memory_bytes + (threads - 1) * self.scratch_bytes) // PAGE) * PAGE

    def step_of(self, step: Step, thread: int) -> Step:
        """`step` with the scratch of a thread, which are counted from 0."""
        if step.scratch is None or thread == 0:
            return step
        args = list(step.args)
        args[step.scratch] = self.memory_bytes + (thread - 1) * self.scratch_bytes
        return replace(step, args=tuple(args))

    def describe(self, parameters: Mapping[str, tuple[str, ...]]) -> str:
        """One line per step; `parameters` gives the parameter names of each kernel."""
        width = len(str(max(len(self.steps) - 1, 0)))
        lines = []
        for i, step in enumerate(self.steps):
            named = zip(parameters[step.kernel], step.args, strict=True)
            args = " ".join(f"{name}={_show(value)}" for name, value in named)
            node = self.nodes[step.node]
            lines.append(f"{i:0{width}} {step.kernel} {args} ; {node.op} {node.name}")
        return "\n".join(lines)


def _show(value: int | float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listing(bindings: tuple[Binding, ...]) -> str:
    shown = [f"{b.name}: {TensorType(b.dtype, b.shape)}" for b in bindings[:FEW]]
    return ", ".join(shown + ["…"] * (len(bindings) > FEW))
