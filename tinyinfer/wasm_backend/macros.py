"""Inline expansion of macros, the functions of kernel sources whose name ends in `!`.

The expanded function means exactly what the plain one does:

* Folded text is a sequence of stack instructions, and a function's body, given its parameters, leaves its
  results on the stack. So a call becomes: its arguments, the assignment of the parameters, the body. No block
  is needed, for any number of results.
* The variables of a macro become locals of the caller, named by the path of macros that leads to them. Two
  expansions with one path follow each other in time, so they share locals; variables that the body may read
  before it assigns them are zeroed, as a call would.
* Neighbouring assignments of calls of one macro are expanded in step: see `abreast`.
* Labels keep their names: a block's label hides those around it, and a macro names only its own.
* A parameter of type `(ref $t)` stands for a function named in the call, known wherever it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tinyinfer.wasm_backend import abreast, operands, peephole
from tinyinfer.wasm_backend.wat import (
    BRANCHES,
    LOCAL_OPS,
    STRUCTURED,
    Form,
    Function,
    Local,
    Module,
    Place,
    fail,
)


@dataclass(slots=True)
class Frame:
    """What the names in the body being expanded mean."""

    function: Function
    path: tuple[str, ...]
    values: dict[str, str | Form] = field(default_factory=dict)
    """A variable's name in the expanded function, or the constant or variable that stands for it."""
    functions: dict[str, str] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    lane: str = ""
    """What tells the expansions apart that are made side by side."""


def expand_module(module: Module) -> list[Form]:
    """The module's fields with all macros expanded: globals in use and functions that are not macros."""
    operands.check(module)
    functions = [f for f in module.functions.values() if not f.is_macro]
    expanded = [_Expander(module, function).field() for function in functions]
    called = {form.words[1] for field in expanded for form in field.walk() if form.head == "call"}
    for function in functions:
        if not function.exported and function.name not in called:
            unused = f"func {function.name} is neither exported nor called"
            fail(function.field.at, f"{unused}: export it, or end its name in '!' to make it a macro")
    named = {form.words[1] for field in expanded for form in field.walk() if form.head.startswith("global.")}
    return [*(form for name, form in module.globals.items() if name in named), *expanded]


class _Expander:
    """Expands one function that is not a macro."""

    def __init__(self, module: Module, function: Function) -> None:
        self.module = module
        self.function = function
        self.locals: dict[str, Local] = {v.name: v for v in function.params + function.locals}
        self.owners: dict[str, tuple[str, ...]] = {}
        self.renamed: dict[tuple[tuple[str, ...], str], str] = {}
        self.active: list[tuple[str, ...]] = []
        self.immutable = {n for n, g in module.globals.items() if not any(p.head == "mut" for p in g.parts)}

    def field(self) -> Form:
        """The expanded function, declaring the locals it still uses, those of one type together."""
        function = self.function
        at = function.field.at
        frame = Frame(function, (), {name: name for name in self.locals})
        body = self.sequence(function.body, frame)
        used = {form.words[1] for part in body for form in part.walk() if form.head in LOCAL_OPS}
        variables = [v for v in self.locals.values() if v.name in used and v not in function.params]
        header = [
            *([("export", f'"{function.name[1:]}"')] if function.exported else []),
            *(("param", v.name, v.type) for v in function.params),
            *(("result", result) for result in function.results),
            *(("local", v.name, v.type) for v in sorted(variables, key=lambda v: v.type)),
        ]
        return Form(("func", function.name), (*(Form(words, (), at) for words in header), *body), at)

    def sequence(self, forms: Iterable[Form], frame: Frame) -> list[Form]:
        """Expand instructions that follow each other."""
        return [
            expanded
            for run in abreast.runs(list(forms))
            for expanded in self.abreast(run, frame) or (e for form in run for e in self.instruction(form, frame))
        ]

    def abreast(self, run: Sequence[Form], frame: Frame) -> list[Form] | None:
        """Expand neighbouring assignments by one macro in step, if they are several and can be."""
        if len(run) < 2:
            return None
        lanes: list[Form] = []
        for i, form in enumerate(run):
            frame.lane = f"'{i}"
            lanes.extend(self.instruction(form, frame))
        frame.lane = ""
        return abreast.interleave(lanes, lambda name: self.local(frame.path, Local(name, "v128")))

    def instruction(self, form: Form, frame: Frame) -> list[Form]:
        """Expand one instruction with its operands to the sequence of instructions that does the same."""
        head = form.head
        if head == "result":
            return [form]
        if head == "call":
            return self.call(form, form.words[1], form.parts, frame)
        if head == "call_ref":
            return self.call_ref(form, frame)
        if head == "ref.func":
            fail(form.at, "ref.func is only the argument for a macro's parameter of type (ref $type)")
        words = form.words
        if head in LOCAL_OPS:
            value = self.variable(form, frame)
            if isinstance(value, Form):
                return [value]
            words = (head, value)
        elif head in BRANCHES:
            for label in words[1:]:
                if label not in frame.labels:
                    fail(form.at, f"{head} to {label}, but no block, loop or if around it has this label")
        elif head in STRUCTURED and len(words) > 1:
            return self.labelled(form, frame)
        elif head.startswith("global.") and words[1] not in self.module.globals:
            fail(form.at, f"unknown global {words[1]}")
        return peephole.simplify(Form(words, tuple(self.sequence(form.parts, frame)), form.at))

    # --- Names ----------------------------------------------------------------------------------------------

    def variable(self, form: Form, frame: Frame) -> str | Form:
        name = form.words[1]
        if name in frame.functions:
            fail(form.at, f"{name} is a function: it can only be called (call_ref) or passed on to a macro")
        if name not in frame.values:
            fail(form.at, f"unknown local {name} in func {frame.function.name}")
        return frame.values[name]

    def labelled(self, form: Form, frame: Frame) -> list[Form]:
        """Expand a block, loop or if that has a label."""
        label = form.words[1]
        if label in frame.labels:
            fail(form.at, f"the label {label} is already that of a block, loop or if around this {form.head}")
        frame.labels.add(label)
        expanded = Form(form.words, tuple(self.sequence(form.parts, frame)), form.at)
        frame.labels.remove(label)
        return peephole.simplify(expanded)

    def local(self, path: tuple[str, ...], variable: Local) -> str:
        """The function's local for a macro's variable; expansions with the same path share it."""
        key = (path, variable.name)
        if key not in self.renamed:
            name = unique(dotted(path, variable.name), self.locals)
            self.renamed[key] = name
            self.locals[name] = Local(name, variable.type)
            self.owners[name] = path
        return self.renamed[key]

    # --- Calls ----------------------------------------------------------------------------------------------

    def call_ref(self, form: Form, frame: Frame) -> list[Form]:
        name = self.reference(form.parts[-1], form.words[1], frame)
        return self.call(form, name, form.parts[:-1], frame)

    def reference(self, form: Form, type_name: str, frame: Frame) -> str:
        """The function, of the type asked for, that a `(ref.func $f)` or a forwarded parameter stands for."""
        if form.head == "ref.func":
            name = form.words[1]
        elif form.head == "local.get" and form.words[1] in frame.functions:
            name = frame.functions[form.words[1]]
        else:
            accepted = "(ref.func $f), or (local.get $p) where p is such a parameter"
            fail(form.at, f"a function of type {type_name} is given as {accepted}")
        for kind, wanted, known in (
            ("func", name, self.module.functions),
            ("type", type_name, self.module.types),
        ):
            if wanted not in known:
                fail(form.at, f"unknown {kind} {wanted}")
        function = self.module.functions[name]
        if function.type != self.module.types[type_name][0]:
            fail(form.at, f"func {name} at {function.field.at} does not have the type {type_name}")
        return name

    def call(self, form: Form, name: str, arguments: Sequence[Form], frame: Frame) -> list[Form]:
        function = self.module.functions[name]
        if function.is_macro:
            return self.inline(form, function, arguments, frame)
        return [Form(("call", name), tuple(self.sequence(arguments, frame)), form.at)]

    def inline(self, form: Form, macro: Function, arguments: Sequence[Form], frame: Frame) -> list[Form]:
        inner = Frame(macro, (*frame.path, macro.name[1:-1] + frame.lane))
        values: list[tuple[Local, list[Form]]] = []
        for parameter, argument in zip(macro.params, arguments):
            if parameter.is_function:
                inner.functions[parameter.name] = self.reference(argument, parameter.type, frame)
            else:
                values.append((parameter, self.instruction(argument, frame)))
        with self.entered(form.at, inner):
            return self.body(form.at, self.bind(values, inner), inner)

    @contextmanager
    def entered(self, at: Place, inner: Frame) -> Iterator[None]:
        """While a macro is expanded, it cannot be called again with the same functions."""
        instance = (inner.function.name, *inner.functions.values())
        if instance in self.active:
            cycle = [name for name, *_ in self.active[self.active.index(instance) :]]
            fail(at, f"macros cannot be recursive: {' → '.join([*cycle, instance[0]])}")
        self.active.append(instance)
        yield
        self.active.pop()

    def body(self, at: Place, bound: Sequence[tuple[str, list[Form]]], inner: Frame) -> list[Form]:
        """The arguments bound to locals, then the macro's body."""
        macro = inner.function
        for variable in macro.locals:
            inner.values[variable.name] = self.local(inner.path, variable)
        zeroed = peephole.read_before_assigned(macro)
        zeroes = [
            Form(("local.set", self.local(inner.path, v)), (peephole.zero(v.type, at),), at)
            for v in macro.locals
            if v.name in zeroed
        ]
        bound, body = peephole.forward(bound, [*zeroes, *self.sequence(macro.body, inner)])
        # All arguments are evaluated before one is assigned: they may contain an expansion with this path.
        evaluated = [part for _, value in bound for part in value]
        return [*evaluated, *(Form(("local.set", name), (), at) for name, _ in reversed(bound)), *body]

    def bind(self, values: Sequence[tuple[Local, list[Form]]], inner: Frame) -> list[tuple[str, list[Form]]]:
        """Give each parameter its meaning; returns the locals to be assigned, with their expanded arguments.

        A constant, or a variable that no later argument assigns, stands for a parameter that the macro never
        assigns. (The macro itself cannot name, hence not assign, a variable that is not its own.)
        """
        own = peephole.assigned(inner.function.body)
        bound: list[tuple[str, list[Form]]] = []
        for i, (parameter, value) in enumerate(values):
            later = peephole.assigned(form for _, other in values[i + 1 :] for form in other)
            if parameter.name not in own and len(value) == 1 and self.is_stable(value[0], later, inner):
                inner.values[parameter.name] = value[0]
            else:
                name = self.local(inner.path, parameter)
                inner.values[parameter.name] = name
                bound.append((name, value))
        return bound

    def is_stable(self, value: Form, assigned_later: frozenset[str], inner: Frame) -> bool:
        """Whether this argument may be evaluated again, later, instead of being kept in a local."""
        if value.head == "local.get":
            name = value.words[1]
            own = self.owners.get(name, ())[: len(inner.path)] == inner.path
            return name not in assigned_later and not own
        if value.head == "v128.const":
            return False  # 18 bytes: once is enough
        if value.head == "global.get":
            return value.words[1] in self.immutable
        return peephole.is_constant(value)


def dotted(path: Sequence[str], name: str) -> str:
    """`$name` of the macro reached by `path`: `$outer.inner.name`."""
    return "$" + ".".join([*path, name[1:]])


def unique(name: str, taken: Iterable[str]) -> str:
    """`name`, or the first `name'2`, `name'3`, … that is not taken."""
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}'{count}"
    return candidate
