"""The WebAssembly text of `kernels_wat/`: reading it, checking its form, printing it.

Kernel sources are standard WebAssembly text restricted to what reads well and expands safely: only folded
instructions, only names (no numeric indices), named parameters, an export named like its function. The one
addition is an annotation, `(@kernel "name" (call $macro! …))`: see `_instantiate`.
`macros` expands what is read here; `build` assembles the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from tinyinfer.errors import WatError

TOKEN = re.compile(
    r"""(?P<space> \s+ | ;;[^\n]* )
      | (?P<comment> \(; )
      | (?P<open> \( )
      | (?P<close> \) )
      | (?P<word> "(?:[^"\\\n]|\\.)*" | [^\s"();,\[\]{}]+ )""",
    re.VERBOSE,
)
COMMENT_EDGE = re.compile(r"\(;|;\)")

MEMORY_IMPORT = ("import", '"env"', '"memory"')
VALUE_TYPES = frozenset({"i32", "i64", "f32", "f64", "v128"})
SHAPES = frozenset({"i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"})
STRUCTURED = frozenset({"block", "loop", "if"})
BRANCHES = frozenset({"br", "br_if", "br_table"})
LOCAL_OPS = frozenset({"local.get", "local.set", "local.tee"})
NAMED_OPS = LOCAL_OPS | BRANCHES | {"call", "call_ref", "global.get", "global.set", "ref.func"}
RETURNS = frozenset({"return", "return_call", "return_call_ref", "return_call_indirect"})
IMMEDIATE = re.compile(r"[-+]?(?:[0-9]|inf$|nan(?::|$))|offset=|align=")


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a source file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Form:
    """A parenthesised form of folded text: its words come first, the forms it contains follow."""

    words: tuple[str, ...]
    parts: tuple[Form, ...]
    at: Place

    @property
    def head(self) -> str:
        """The first word: a field's kind or an instruction; empty for `()`."""
        return self.words[0] if self.words else ""

    def walk(self) -> Iterator[Form]:
        """This form and all forms inside it, outermost first."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, slots=True)
class Local:
    """A parameter or local variable; `type` is a value type or, for a `(ref $name)`, the `$name`."""

    name: str
    type: str

    @property
    def is_function(self) -> bool:
        """Whether the value is a function: a parameter that only macros may have."""
        return self.type.startswith("$")


@dataclass(frozen=True, slots=True)
class FunctionType:
    """What a `(type $name (func …))` field declares; types as in `Local`."""

    params: tuple[str, ...]
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A `func` field, split into its header and its body of folded instructions."""

    name: str
    params: tuple[Local, ...]
    results: tuple[str, ...]
    locals: tuple[Local, ...]
    body: tuple[Form, ...]
    exported: bool
    field: Form

    @property
    def is_macro(self) -> bool:
        """Whether calls of this function are expanded inline."""
        return self.name.endswith("!")

    @property
    def type(self) -> FunctionType:
        """The signature without names."""
        return FunctionType(tuple(p.type for p in self.params), self.results)


@dataclass(frozen=True, slots=True)
class Module:
    """All fields of the kernel sources, by identifier, in source order."""

    types: dict[str, tuple[FunctionType, Form]]
    globals: dict[str, Form]
    functions: dict[str, Function]


@dataclass(frozen=True, slots=True)
class Source:
    """One source file: the name shown in messages, and its text."""

    file: str
    text: str


def fail(at: Place, message: str) -> NoReturn:
    """Raise the error of a place in a source."""
    raise WatError(f"{at}: {message}")


# --- Reading ------------------------------------------------------------------------------------------------


class _Open:
    """A form whose closing parenthesis has not been read yet."""

    def __init__(self, at: Place) -> None:
        self.at = at
        self.words: list[str] = []
        self.parts: list[Form] = []


def parse(source: Source) -> list[Form]:
    """The top-level forms of a text. A word after a form, which folded text never has, is an error."""
    root = _Open(Place(source.file, 1, 1))
    stack = [root]
    text, position, line, line_start = source.text, 0, 1, 0
    while position < len(text):
        at = Place(source.file, line, position - line_start + 1)
        token = TOKEN.match(text, position)
        if token is None:
            fail(at, f"unexpected character {text[position]!r}")
        end = token.end()
        top = stack[-1]
        if token["comment"]:
            end = _comment_end(text, position, at)
        elif token["open"]:
            stack.append(_Open(at))
        elif token["close"]:
            if top is root:
                fail(at, "')' without '('")
            stack.pop()
            stack[-1].parts.append(Form(tuple(top.words), tuple(top.parts), top.at))
        elif token["word"]:
            if top is root or top.parts:
                fail(at, f"{token['word']!r} outside of its form: write folded text, (instruction operands…)")
            top.words.append(token["word"])
        newlines = text.count("\n", position, end)
        if newlines:
            line, line_start = line + newlines, text.rindex("\n", position, end) + 1
        position = end
    if stack[-1] is not root:
        fail(stack[-1].at, "'(' is never closed")
    return root.parts


def _comment_end(text: str, start: int, at: Place) -> int:
    """The end of the block comment, which may contain others, that begins at `start`."""
    depth = 0
    for edge in COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "(;" else -1
        if depth == 0:
            return edge.end()
    fail(at, "'(;' is never closed")


def read_module(sources: Iterable[Source]) -> Module:
    """Collect the fields of all sources, which may be wrapped in `(module …)`, into one module."""
    module = Module({}, {}, {})
    places: dict[tuple[str, str], Place] = {}
    fields = [field for source in sources for field in _fields(source)]
    functions = {field.words[1]: field for field in fields if field.head == "func" and len(field.words) > 1}
    for field in fields:
        if field.words == MEMORY_IMPORT or field.words[:2] == ("elem", "declare"):
            continue
        if field.head == "@kernel":
            field = _instantiate(field, functions)
        if field.head not in ("func", "type", "global"):
            accepted = "func, type, global, @kernel and elem declare"
            fail(field.at, f"a kernel source has {accepted} fields, not {field.head!r}")
        if len(field.words) < 2 or not field.words[1].startswith("$"):
            fail(field.at, f"this {field.head} needs a $name")
        name = field.words[1]
        first = places.setdefault((field.head, name), field.at)
        if first is not field.at:
            fail(field.at, f"{field.head} {name} is already defined at {first}")
        if field.head == "func":
            module.functions[name] = _read_function(field)
        elif field.head == "type":
            module.types[name] = (_read_type(field), field)
        else:
            module.globals[name] = field
    return module


def _fields(source: Source) -> Iterator[Form]:
    for form in parse(source):
        if form.head == "module":
            yield from form.parts
        else:
            yield form


def _instantiate(annotation: Form, functions: Mapping[str, Form]) -> Form:
    """The func field that `(@kernel "name" (call $macro! first arguments…))` stands for.

    The kernel takes the macro's other parameters, under their names, and passes them on.
    """
    at = annotation.at
    name = annotation.words[1].strip('"') if len(annotation.words) == 2 else ""
    call = annotation.parts[0] if len(annotation.parts) == 1 else annotation
    if not name or call.head != "call" or len(call.words) != 2:
        fail(at, 'a kernel made from a macro is written (@kernel "name" (call $macro! first arguments…))')
    if call.words[1] not in functions:
        fail(call.at, f"unknown func {call.words[1]}")
    header = functions[call.words[1]].parts
    params = [part for part in header if part.head == "param"][len(call.parts) :]
    arguments = [Form(("local.get", param.words[1]), (), at) for param in params if len(param.words) > 1]
    body = Form(call.words, (*call.parts, *arguments), call.at)
    results = [part for part in header if part.head == "result"]
    return Form(("func", f"${name}"), (Form(("export", f'"{name}"'), (), at), *params, *results, body), at)


def _read_type(field: Form) -> FunctionType:
    if len(field.parts) != 1 or field.parts[0].words != ("func",):
        fail(field.at, "a type is written (type $name (func (param …) (result …)))")
    params: list[str] = []
    results: list[str] = []
    for part in field.parts[0].parts:
        if part.head not in ("param", "result"):
            fail(part.at, f"a function type has params and results, not {part.head!r}")
        (params if part.head == "param" else results).extend(_types(part))
    return FunctionType(tuple(params), tuple(results))


def _types(part: Form) -> list[str]:
    """The types listed in a `param`, `result` or `local` form, without the name that may precede them."""
    words = part.words[2:] if part.words[1:2] and part.words[1].startswith("$") else part.words[1:]
    references = [form.words[1] for form in part.parts if form.head == "ref" and len(form.words) == 2]
    unknown = sorted(set(words) - VALUE_TYPES)
    if unknown or len(references) != len(part.parts) or not all(r.startswith("$") for r in references):
        accepted = f"{', '.join(sorted(VALUE_TYPES))} or (ref $type)"
        fail(part.at, f"unknown type{''.join(f' {word!r}' for word in unknown)}; accepted: {accepted}")
    return [*words, *references]


def _read_function(field: Form) -> Function:
    name = field.words[1]
    if len(field.words) > 2:
        fail(field.at, f"{field.words[2]!r} in func {name}: write folded text, (instruction operands…)")
    variables: dict[str, list[Local]] = {"param": [], "local": []}
    results: list[str] = []
    exports: list[Form] = []
    body = list(field.parts)
    while body and body[0].head in ("export", "param", "result", "local"):
        part = body.pop(0)
        if part.head == "export":
            exports.append(part)
        elif part.head == "result":
            results.extend(_types(part))
        else:
            variables[part.head].append(_read_local(part))
    function = Function(
        name=name,
        params=tuple(variables["param"]),
        results=tuple(results),
        locals=tuple(variables["local"]),
        body=tuple(body),
        exported=bool(exports),
        field=field,
    )
    _check_header(function, exports)
    for form in body:
        _check_form(form, function)
    return function


def _read_local(part: Form) -> Local:
    types = _types(part)
    if len(types) != 1 or not (len(part.words) > 1 and part.words[1].startswith("$")):
        fail(part.at, f"write one named variable in a form of its own: ({part.head} $name type)")
    return Local(part.words[1], types[0])


def _check_header(function: Function, exports: Sequence[Form]) -> None:
    for export in exports:
        if function.is_macro:
            fail(export.at, f"{function.name} is a macro: it is expanded where it is called, never exported")
        if export.words != ("export", f'"{function.name[1:]}"'):
            own = f'(export "{function.name[1:]}")'
            fail(export.at, f"func {function.name} is exported under its own name: {own}")
    seen: set[str] = set()
    for variable in function.params + function.locals:
        if variable.name in seen:
            fail(function.field.at, f"{variable.name} is declared twice in func {function.name}")
        seen.add(variable.name)
        if variable.is_function and not (function.is_macro and variable in function.params):
            fail(function.field.at, f"{variable.name}: only the parameter of a macro can be a function")


def _check_form(form: Form, function: Function) -> None:
    """Check that a form of a body is one folded instruction that uses names, and so its parts."""
    head, immediates = form.head, form.words[1:]
    if head in STRUCTURED:
        if len(immediates) > 1 or not all(word.startswith("$") for word in immediates):
            fail(form.at, f"{' '.join(immediates)!r} after {head}: write ({head} $label instructions…)")
        if head == "if" and not any(part.head == "then" for part in form.parts):
            fail(form.at, "an if is written (if (result …) condition (then …) (else …))")
    elif head == "result":
        _types(form)
    elif head in ("param", "type"):
        fail(form.at, f"{head} in the body of {function.name}: blocks have only (result …)")
    elif head in ("then", "else", ""):
        if immediates or not head:
            fail(form.at, f"write folded text, (instruction operands…), not ({' '.join(form.words)})")
    elif head in NAMED_OPS:
        if not immediates or not all(word.startswith("$") for word in immediates):
            fail(form.at, f"{head} refers to a $name, not to {' '.join(immediates) or 'nothing'}")
    elif head in RETURNS and function.is_macro:
        fail(form.at, f"{head} in macro {function.name} would leave its caller: branch to a block instead")
    else:
        for word in immediates:
            if not IMMEDIATE.match(word) and not (head == "v128.const" and word in SHAPES):
                fail(form.at, f"{word!r} after {head}: write folded text, (instruction operands…)")
    for part in form.parts:
        _check_form(part, function)


# --- Printing -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Printed:
    """Module text and, for each of its lines, the source it comes from."""

    text: str
    places: tuple[Place, ...]


def print_module(fields: Iterable[Form]) -> Printed:
    """Print fields as a module that imports its memory, one form a line.

    The import has a maximum, all that 32 bits address, because a shared memory's must (`kernel_module.shared`).
    """
    top = Place("module", 1, 1)
    memory = Form(MEMORY_IMPORT, (Form(("memory", "1", "65536"), (), top),), top)
    lines = list(_lines(Form(("module",), (memory, *fields), top), ""))
    return Printed("".join(f"{text}\n" for text, _ in lines), tuple(place for _, place in lines))


def _lines(form: Form, indent: str) -> Iterator[tuple[str, Place]]:
    words = f"{indent}({' '.join(form.words)}"
    if not form.parts:
        yield f"{words})", form.at
        return
    yield words, form.at
    for part in form.parts:
        yield from _lines(part, f"{indent} ")
    yield f"{indent})", form.at


def plain_fields(module: Module) -> list[Form]:
    """The fields of a module as written, macros being functions, with function references declared."""
    functions = [function.field for function in module.functions.values()]
    references = [form for field in functions for form in field.walk() if form.head == "ref.func"]
    named = {form.words[1]: form.at for form in references}
    declared = [Form(("elem", "declare", "func", name), (), at) for name, at in named.items()]
    types = [field for _, field in module.types.values()]
    return [*types, *module.globals.values(), *declared, *functions]
