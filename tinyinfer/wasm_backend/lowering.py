"""From graph to plan: what an operator's lowering function may do, and the bookkeeping behind it.

A lowering function is called as `lower(node, to)` and uses, of the `Lowering` given as `to`:
`input` / `output` for operands in the layout it wants, `rows` / `output_rows` or `strided` / `output_strided` where its
kernel takes strides, `const`, `scratch`, `zeros` for other memory, `view` for outputs that are the same bytes as an
input, and `step` for each kernel call, arguments by the kernel's parameter names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tinyinfer import limits
from tinyinfer.errors import LimitError, PlanError
from tinyinfer.graph import Graph, Node, Value
from tinyinfer.traits import Facts
from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend import demands, memory, placement, tinf
from tinyinfer.wasm_backend.bound import live_bound
from tinyinfer.wasm_backend.kernel_module import Param
from tinyinfer.wasm_backend.kernels import KERNELS
from tinyinfer.wasm_backend.layout import Layouts
from tinyinfer.wasm_backend.memory import FOREVER, PAGE, SLACK, ZEROS, Buffer, align
from tinyinfer.wasm_backend.plan import Binding, NodePlan, Plan, Region, Step, Weight
from tinyinfer.wasm_backend.split import divide
from tinyinfer.wasm_backend.strides import (
    Layout,
    Loops,
    collapse,
    pitch,
    plain,
    reshaped,
    same,
    split_outer,
    strides_of,
    transposition,
)

Signatures = Mapping[str, "tuple[Param, ...]"]
"""The parameters of each kernel, read from the assembled sources."""


def constant(value: Value) -> Array:
    """The elements of an operand that is a constant."""
    assert value.data is not None
    return value.data


@dataclass(eq=False)
class PackedConstant:
    """A constant on its way into the weights; equal bytes are stored once."""

    name: str
    data: Array
    offset: int = -1


@dataclass(eq=False)
class ZeroRegion:
    """The shared region that nobody writes: padding reads zeros from it."""

    nbytes: int = 0
    offset: int = ZEROS


@dataclass(eq=False)
class Shared:
    """What the plans of one file have in common, at the same addresses: constants by content, and the zeros."""

    constants: dict[str, PackedConstant] = field(default_factory=dict)
    zeros: ZeroRegion = field(default_factory=ZeroRegion)


Home = Buffer | PackedConstant | ZeroRegion


@dataclass(frozen=True)
class Pointer:
    """A byte address that becomes absolute when memory has been laid out."""

    home: Home
    offset: int = 0

    def __add__(self, nbytes: int) -> Pointer:
        return replace(self, offset=self.offset + nbytes)

    @property
    def address(self) -> int:
        return self.home.offset + self.offset


@dataclass(frozen=True)
class Strided:
    """A tensor in memory: base address and element strides of each logical axis."""

    pointer: Pointer
    dtype: DType
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """A tensor in memory whose innermost stored axis is dense: rows along it are `pitch` bytes apart, in order."""

    pointer: Pointer
    pitch: int


Argument = int | float | Pointer
LowerFunction = Callable[[Node, "Lowering"], None]


@dataclass(frozen=True)
class _Call:
    kernel: str
    args: tuple[Argument, ...]
    node: int


class Lowering:
    """Collects kernel calls with symbolic addresses (`lower`), then lays memory out and resolves them (`plan`).

    Lowerings whose plans go into one file are given the same `shared`, and all are lowered before the first is planned.
    """

    def __init__(
        self, graph: Graph, layouts: Layouts, signatures: Signatures, facts: Facts, shared: Shared | None = None
    ) -> None:
        self._graph = graph
        self._layouts = layouts
        self._signatures = signatures
        self._facts = facts
        self._calls: list[_Call] = []
        self._buffers: list[Buffer] = []
        self._shared = shared or Shared()
        self._outputs: dict[str, Pointer] = {}
        self._parts = placement.choose(graph, layouts, facts)
        self._stored: dict[Value, list[Strided]] = {}
        self._reserved: dict[Value, Strided] = {}
        self._constants: dict[tuple[Value, Layout], Pointer] = {}
        self._packed: dict[tuple[object, ...], tuple[Array, Pointer]] = {}
        self._node = 0
        self._most_calls = self._plan_calls = self._table_elements = 0
        self._ends: list[int] = []
        for name, value in graph.inputs.items():
            self._stored[value] = [_dense(self._buffer(name, value.type.nbytes, first=-1), value)]

    # ── what lowering functions use ──────────────────────────────────────────────────────────────────────────────

    def layout(self, value: Value) -> Layout:
        """The layout chosen for `value`; row-major for a constant."""
        return self._layouts.get(value, plain(value.type.rank))

    def input(self, value: Value, layout: Layout | None = None) -> Pointer:
        """Address of `value`, dense in `layout` (default: row-major), copied there first if it is stored otherwise."""
        wanted = plain(value.type.rank) if layout is None else layout
        if value.data is not None:
            return self._constant(value, wanted)
        strides = strides_of(value.shape, wanted)
        for stored in self._stored[value]:
            if same(value.shape, stored.strides, strides):
                return stored.pointer
        name = f"{value.name}@{''.join(map(str, wanted))}"
        target = _dense(self._buffer(name, value.type.nbytes), value, wanted)
        self.copy(target, self.strided(value))
        self._stored[value].append(target)
        return target.pointer

    def rows(self, value: Value, layout: Layout) -> Rows:
        """`value` in the order of `layout` with dense rows; where it is, or else a copy."""
        row = value.shape[layout[-1]]
        if value.data is None:
            for stored in self._stored[value]:
                distance = pitch(value.shape, layout, stored.strides)
                if distance is not None:
                    return Rows(stored.pointer, distance * value.dtype.size)
        return Rows(self.input(value, layout), row * value.dtype.size)

    def strided(self, value: Value, accepted: Callable[[Strided], bool] = lambda _: True) -> Strided:
        """`value` wherever it is with `accepted` strides, by default any; else a row-major copy."""
        if value.data is None:
            for stored in self._stored[value]:
                if accepted(stored):
                    return stored
        return _dense(self.input(value), value)

    def output(self, value: Value, inplace: Value | None = None, layout: Layout | None = None) -> Pointer:
        """Address for `value`, dense in `layout` (default: the chosen one).

        It may take over the bytes of the operand `inplace` if those are read no more, and by nothing else in this node.
        """
        order = self.layout(value) if layout is None else layout
        place = self.destination(value) if value in self._parts or value in self._reserved else None
        if place is None or not same(value.shape, place.strides, strides_of(value.shape, order)):
            place = _dense(self._buffer(value.name, value.type.nbytes), value, order)
        self._write(value, place, inplace)
        return place.pointer

    def destination(self, value: Value) -> Strided:
        """Where `value` is best written: its place in a larger value that it becomes part of, or memory of its own."""
        inner = []
        while value not in self._reserved:
            inner.append(value)
            if value not in self._parts:
                break
            value = self._parts[value].whole
        for v in reversed(inner):
            self._reserved[v] = self._place(v)
        return self._reserved[inner[0] if inner else value]

    def _place(self, value: Value) -> Strided:
        """`destination`, once its whole has one."""
        if value in self._parts:
            part = self._parts[value]
            whole = self._reserved[part.whole]
            found = part.locate(whole.strides)
            if found is not None:
                offset, strides = found
                return Strided(whole.pointer + offset * value.dtype.size, value.dtype, value.shape, strides)
        return _dense(self._buffer(value.name, value.type.nbytes), value, self.layout(value))

    def output_strided(self, value: Value) -> Strided:
        """`destination`, where `value` then is."""
        place = self.destination(value)
        self._write(value, place, None)
        return place

    def output_rows(self, value: Value, layout: Layout, inplace: Value | None = None) -> Rows:
        """`output` with dense rows along the innermost axis of `layout`, which may lie apart."""
        place = self.destination(value)
        distance = pitch(value.shape, layout, place.strides)
        if distance is None:
            return Rows(self.output(value, inplace, layout), value.shape[layout[-1]] * value.dtype.size)
        self._write(value, place, inplace)
        return Rows(place.pointer, distance * value.dtype.size)

    def take_over(self, place: Strided, donor: Strided) -> None:
        """Let an output take the very bytes of an operand if those are read no more."""
        home, given = place.pointer.home, donor.pointer.home
        if not isinstance(home, Buffer) or not isinstance(given, Buffer) or given is home or given.first < 0:
            return
        if given.nbytes == home.nbytes and same(place.shape, place.strides, donor.strides):
            home.donor = given

    def view(self, output: Value, pointer: Pointer, layout: Layout | None = None) -> None:
        """`output` is the bytes at `pointer`, dense in `layout` (default: the chosen one); no copy."""
        self._stored[output] = [_dense(pointer, output, self.layout(output) if layout is None else layout)]

    def alias(self, output: Value, source: Strided) -> None:
        """`output` is elements of another value, where they are; no copy."""
        self._stored[output] = [source]

    def reshape(self, output: Value, source: Strided) -> bool:
        """`alias` under the shape of `output`, if strides can express it."""
        strides = reshaped(source.shape, source.strides, output.shape)
        if strides is not None:
            self.alias(output, Strided(source.pointer, output.dtype, output.shape, strides))
        return strides is not None

    def const(self, data: Array, name: str = "const") -> Pointer:
        """Address of constant bytes (row-major as given), shared between equal constants."""
        array = np.ascontiguousarray(data)
        key = hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()
        constants = self._shared.constants
        if key not in constants:
            constants[key] = PackedConstant(f"{name}.{key[:8]}", array)
        return Pointer(constants[key])

    def packed(self, data: Array, pack: Callable[[Array], Array], name: str) -> Pointer:
        """Address of what `pack` makes of a constant, made once for all nodes that share the constant's memory."""
        key = (data.ctypes.data, data.shape, data.strides, data.dtype, pack)
        if key not in self._packed:
            self._packed[key] = data, self.const(pack(data), name)  # held, so that its memory stays its own
        return self._packed[key][1]

    def _constant(self, value: Value, layout: Layout) -> Pointer:
        key = (value, layout)
        if key not in self._constants:
            self._constants[key] = self.const(constant(value).transpose(layout), value.name)
        return self._constants[key]

    def zeros(self, nbytes: int) -> Pointer:
        """Address of at least `nbytes` zero bytes (and slack) that no kernel writes."""
        zeros = self._shared.zeros
        zeros.nbytes = max(zeros.nbytes, nbytes)
        return Pointer(zeros)

    def scratch(self, nbytes: int, label: str = "scratch", private: bool = False) -> Pointer:
        """Address of uninitialised memory for the steps of this node that name it.

        `private` scratch holds nothing from one call to the next, and threads that share a call have one each.
        """
        pointer = self._buffer(label, nbytes)
        assert isinstance(pointer.home, Buffer)
        pointer.home.private = private
        return pointer

    def step(self, kernel: str, **args: Argument) -> None:
        """One kernel call. Names must be exactly the kernel's parameters; null pointers are 0.

        PlanError where the arguments do not meet what the kernel demands: it would read or write the wrong memory.
        """
        if kernel not in KERNELS:
            raise PlanError(f"{kernel} is not in the kernel table")
        if len(self._calls) >= self._most_calls:
            self._refuse_calls()
        parameters = self._signatures[kernel]
        names = {parameter.name for parameter in parameters}
        if names != set(args):
            missing, extra = names - set(args), set(args) - names
            raise PlanError(f"{kernel}: missing arguments {sorted(missing)}, unknown arguments {sorted(extra)}")
        if (demand := demands.unmet(KERNELS[kernel].demands, args, KERNELS[kernel].size)) is not None:
            raise PlanError(f"{self._graph.nodes[self._node].op}: {kernel} requires {demand}")
        for argument in args.values():
            if isinstance(argument, Pointer) and isinstance(argument.home, Buffer):
                argument.home.touch(len(self._calls))
        try:
            typed = tuple(_typed(args[parameter.name], parameter) for parameter in parameters)
        except LimitError as error:
            raise LimitError(f"{self._where()}: {error}") from None
        self._calls.append(_Call(kernel, typed, self._node))

    def calls(self, number: int) -> None:
        """Say that so many calls are to follow; LimitError if those of the node or of the plan are too many."""
        if len(self._calls) + number > self._most_calls:
            self._refuse_calls(number)

    def table(self, elements: int) -> None:
        """Say that a table of so many elements is going to be made; LimitError if those of the plan are too many."""
        self._table_elements += elements
        limits.TABLE_ELEMENTS.check(self._table_elements, self._where())

    def copy(self, target: Strided, source: Strided) -> None:
        """Copy every element of `source` to the same index of `target`; strides may be 0 (repeat) or negative."""
        size = target.dtype.size
        if 0 in target.shape:
            return
        loops = _order_by_target(collapse(target.shape, target.strides, source.strides))
        if size == 4 and (tiled := transposition(loops)) is not None:
            self._transpose(target.pointer, source.pointer, tiled)
            return
        for nest, (to, of) in split_outer(loops, 6):
            names = {f"n{i}": n for i, n in enumerate(nest.shape)}
            names |= {f"y{i}": s * size for i, s in enumerate(nest.strides[0])}
            names |= {f"x{i}": s * size for i, s in enumerate(nest.strides[1])}
            rows = int(np.prod(nest.shape[:-1]))
            self.step(
                f"x{size * 8}_copy",
                y=target.pointer + to * size,
                x=source.pointer + of * size,
                **{k: v for k, v in names.items() if k != "n0"},
                m0=0,
                m1=rows,
            )

    def _transpose(self, y: Pointer, x: Pointer, nest: Loops) -> None:
        batch, cols, rows = nest.shape
        (by, ldy, _), (bx, _, ldx) = nest.strides
        self.step(
            "x32_transpose",
            y=y, x=x, rows=rows, cols=cols, by=by * 4, ldy=ldy * 4, bx=bx * 4, ldx=ldx * 4, m0=0, m1=batch * cols,
        )  # fmt: skip

    # ── what the compiler uses ───────────────────────────────────────────────────────────────────────────────────

    def lower(self, lower_of: Callable[[str], LowerFunction]) -> None:
        """Lower every node that has anything to compute, and copy graph outputs into row-major order."""
        for index, node in enumerate(self._graph.nodes):
            self._node = index
            self._allow_calls(node)
            if any(value.type.size for value in node.outputs):
                lower_of(node.op)(node, self)
            else:
                for value in node.outputs:
                    self.output(value)
            self._ends.append(len(self._calls))
        self._allow_calls(None)
        self._outputs = {name: self.input(value) for name, value in self._graph.outputs.items()}
        for pointer in self._outputs.values():
            if isinstance(pointer.home, Buffer):
                pointer.home.touch(FOREVER)

    def _allow_calls(self, node: Node | None) -> None:
        """Set how many calls there may be when `node` has been lowered; None: when the outputs have been."""
        operands = sum(len(n.inputs) + len(n.outputs) for n in self._graph.nodes) if not self._plan_calls else 0
        self._plan_calls = self._plan_calls or limits.PLAN_CALLS.value + 16 * (operands + len(self._graph.outputs))
        self._most_calls = self._plan_calls
        if node is not None:
            own = limits.NODE_CALLS.value + 16 * (len(node.inputs) + len(node.outputs))
            self._most_calls = min(self._most_calls, len(self._calls) + own)

    def _refuse_calls(self, number: int = 1) -> None:
        """Raise LimitError: so many calls are too many for the node or the plan."""
        total = len(self._calls) + number
        if total > self._plan_calls:
            limits.PLAN_CALLS.check(total, self._where(), more=self._plan_calls - limits.PLAN_CALLS.value)
        node, before = self._graph.nodes[self._node], self._ends[-1] if self._ends else 0
        limits.NODE_CALLS.check(total - before, self._where(), more=16 * (len(node.inputs) + len(node.outputs)))

    def _where(self) -> str:
        node = self._graph.nodes[self._node] if self._graph.nodes else None
        return self._graph.name if node is None else f"{self._graph.name}: node {node.name} ({node.op})"

    def _require_memory(self, end: int, weight_bytes: int, arena_bytes: int) -> None:
        """LimitError, which says what needs how much, if no WebAssembly memory holds the plan."""
        if end <= limits.ADDRESSES:
            return
        largest = sorted(self._buffers, key=lambda b: -b.nbytes)[:3]
        names = ", ".join(f"{b.label!r} {_gib(b.nbytes)}" for b in largest)
        raise LimitError(
            f"{self._graph.name}: a run needs {_gib(end)} of memory: {_gib(weight_bytes)} for weights and "
            f"{_gib(arena_bytes)} for what is computed (the largest: {names}); a WebAssembly memory has at most 4 GiB. "
            "Smaller inputs (--shape) need less"
        )

    def _write(self, value: Value, place: Strided, inplace: Value | None) -> None:
        """`value` is made at `place`, on top of an operand that shares its memory with no other one."""
        self._stored[value] = [place]
        if inplace is None or inplace not in self._stored:
            return
        donor = self._stored[inplace][0]
        operands = (v for v in self._graph.nodes[self._node].operands if v in self._stored)
        if sum(self._stored[v][0].pointer.home is donor.pointer.home for v in operands) == 1:
            self.take_over(place, donor)

    def _buffer(self, label: str, nbytes: int, first: int | None = None) -> Pointer:
        start = len(self._calls) if first is None else first
        buffer = Buffer(label, max(nbytes, 1), start, start)
        self._buffers.append(buffer)
        return Pointer(buffer)

    def plan(self) -> Plan:
        """Lay memory out and resolve addresses."""
        weights_offset = ZEROS + align(self._shared.zeros.nbytes + SLACK)
        constants = storage_order(self._shared.constants.values())
        cursor = weights_offset
        for constant in constants:
            constant.offset = cursor
            cursor += align(constant.data.nbytes)
        arena_offset = cursor
        arena_bytes = memory.place(self._buffers)
        for buffer in self._buffers:
            buffer.offset += arena_offset
        end = arena_offset + arena_bytes + SLACK
        self._require_memory(end, arena_offset - weights_offset, arena_bytes)
        return Plan(
            inputs=tuple(_binding(n, self._stored[v][0]) for n, v in self._graph.inputs.items()),
            outputs=tuple(_binding(n, _dense(self._outputs[n], v)) for n, v in self._graph.outputs.items()),
            steps=divide(map(_resolved, self._calls), self._signatures),
            nodes=tuple(self._node_plans()),
            weights=tuple(Weight(c.name, c.data, c.offset) for c in constants),
            weights_offset=weights_offset,
            arena_offset=arena_offset,
            arena_bytes=arena_bytes,
            live_bytes=live_bound(self._graph, self._facts),
            memory_bytes=-(-end // PAGE) * PAGE,
            scratch_bytes=max((align(b.nbytes + SLACK) for b in self._buffers if b.private), default=0),
            copies=len(self._calls) - max(self._ends, default=0),
            regions=tuple(Region(b.label, b.offset, b.nbytes, b.first, b.last) for b in self._buffers),
        )

    def _node_plans(self) -> Iterator[NodePlan]:
        taken = {buffer.donor for buffer in self._buffers}
        start = 0
        for node, end in zip(self._graph.nodes, self._ends, strict=True):
            stored = [(value, self._stored[value][0]) for value in node.outputs]
            there = [_is_kept(place.pointer.home, start, end, taken) for _, place in stored]
            bindings = (_binding(v.name, place) if kept else None for (v, place), kept in zip(stored, there))
            yield NodePlan(node.name, node.op, tuple(bindings))
            start = end


def _is_kept(home: Home, start: int, end: int, taken: Container[Buffer | None]) -> bool:
    """Whether memory still holds what it held during the steps from `start`, once those before `end` are done."""
    return not isinstance(home, Buffer) or home.last >= end or (home.last >= start and home not in taken)


def _resolved(call: _Call) -> Step:
    scratch = [i for i, a in enumerate(call.args) if isinstance(a, Pointer) and _is_private(a.home)]
    args = tuple(a.address if isinstance(a, Pointer) else a for a in call.args)
    return Step(call.kernel, args, call.node, scratch=scratch[0] if scratch else None)


def _is_private(home: Home) -> bool:
    return isinstance(home, Buffer) and home.private


def _dense(pointer: Pointer, value: Value, layout: Layout | None = None) -> Strided:
    """`value` dense at `pointer` in `layout`, by default row-major."""
    order = plain(value.type.rank) if layout is None else layout
    return Strided(pointer, value.dtype, value.shape, strides_of(value.shape, order))


def _binding(name: str, stored: Strided) -> Binding:
    return Binding(name, stored.dtype, stored.shape, stored.pointer.address, stored.strides)


def storage_order(constants: Iterable[PackedConstant]) -> list[PackedConstant]:
    """Constants in the order their bytes have in a `.tinf` file, whose data section is the weights region."""
    named = {c.name: c for c in constants}
    return [named[name] for name in tinf.file_order((c.name, c.data) for c in named.values())]


def _order_by_target(loops: Loops) -> Loops:
    """Loops sorted so that writes are as sequential as they can be."""
    order = sorted(range(len(loops.shape)), key=lambda i: -abs(loops.strides[0][i]))
    return collapse([loops.shape[i] for i in order], *([stride[i] for i in order] for stride in loops.strides))


def _gib(nbytes: int) -> str:
    return f"{nbytes / (1 << 30):,.2f} GiB"


def _typed(value: Argument, parameter: Param) -> Argument:
    if isinstance(value, Pointer):
        return value
    if parameter.type == "f32":
        return float(np.float32(value))
    if not isinstance(value, (int, np.integer)):
        raise PlanError(f"argument {parameter.name}={value!r} is not an integer")
    if not -limits.INTEGERS <= value < limits.ADDRESSES:
        raise LimitError(f"argument {parameter.name}={value} is outside the 32 bits that a kernel takes")
    return int(value)
