"""Element-wise arithmetic, comparison, logic, selection and conversion."""

from __future__ import annotations

from dataclasses import replace

from tinyinfer.ops import elementwise, logic
from tinyinfer.ref import elementwise as ref_elementwise
from tinyinfer.ref import logic as ref_logic
from tinyinfer.tables.row import Operator
from tinyinfer.traits import EVERY, Accuracy, Loops, Traits, Writes
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lower import elementwise as lower_elementwise
from tinyinfer.wasm_backend.lower import logic as lower_logic

ARITHMETIC = Traits(
    elementwise=True,
    overwritable=EVERY,
    view=False,
    whole=False,
    writes=Writes.NEST,
    commutative=False,
    moves=False,
    tabulated=True,
    conversion=False,
    filter_axis=None,
    foldable=True,
    loops=Loops.NONE,
    accuracy=Accuracy.EXACT,
)
COMMUTATIVE = replace(ARITHMETIC, commutative=True)
LOGIC = replace(ARITHMETIC, tabulated=False)
CAST = replace(LOGIC, elementwise=False, writes=Writes.DENSE)

# fmt: off
ROWS = [
    Operator("Clip", elementwise.clip, ref_elementwise.clip, lower_elementwise.clip, layout.follow, ARITHMETIC),
    Operator("Add", elementwise.arithmetic, ref_elementwise.add, lower_elementwise.binary("add"), layout.follow, COMMUTATIVE),
    Operator("Sub", elementwise.arithmetic, ref_elementwise.sub, lower_elementwise.binary("sub"), layout.follow, ARITHMETIC),
    Operator("Mul", elementwise.arithmetic, ref_elementwise.mul, lower_elementwise.binary("mul"), layout.follow, COMMUTATIVE),
    Operator("Div", elementwise.arithmetic, ref_elementwise.div, lower_elementwise.binary("div"), layout.follow, ARITHMETIC),
    Operator("Min", elementwise.arithmetic, ref_elementwise.minimum, lower_elementwise.binary("min"), layout.follow, COMMUTATIVE),
    Operator("Max", elementwise.arithmetic, ref_elementwise.maximum, lower_elementwise.binary("max"), layout.follow, COMMUTATIVE),
    Operator("Neg", elementwise.unary_numeric, ref_elementwise.neg, lower_elementwise.unary("neg"), layout.follow, ARITHMETIC),
    Operator("Abs", elementwise.unary_numeric, ref_elementwise.abs_, lower_elementwise.unary("abs"), layout.follow, ARITHMETIC),
    Operator("Floor", elementwise.unary_float, ref_elementwise.floor, lower_elementwise.unary("floor"), layout.follow, ARITHMETIC),
    Operator("Ceil", elementwise.unary_float, ref_elementwise.ceil, lower_elementwise.unary("ceil"), layout.follow, ARITHMETIC),
    Operator("Round", elementwise.unary_float, ref_elementwise.round_, lower_elementwise.unary("round"), layout.follow, ARITHMETIC),
    Operator("Equal", logic.equal, ref_logic.equal, lower_elementwise.binary("equal"), layout.follow, replace(LOGIC, commutative=True)),
    Operator("Less", logic.comparison, ref_logic.less, lower_elementwise.binary("less"), layout.follow, LOGIC),
    Operator("LessOrEqual", logic.comparison, ref_logic.less_or_equal, lower_elementwise.binary("less_or_equal"), layout.follow, LOGIC),
    Operator("And", logic.connective, ref_logic.and_, lower_elementwise.binary("and"), layout.follow, replace(LOGIC, commutative=True)),
    Operator("Or", logic.connective, ref_logic.or_, lower_elementwise.binary("or"), layout.follow, replace(LOGIC, commutative=True)),
    Operator("Xor", logic.connective, ref_logic.xor, lower_elementwise.binary("xor"), layout.follow, replace(LOGIC, commutative=True)),
    Operator("Not", logic.not_, ref_logic.not_, lower_elementwise.unary("not"), layout.follow, LOGIC),
    Operator("Where", logic.where, ref_logic.where, lower_logic.where, layout.follow, LOGIC),
    Operator("Cast", logic.cast, ref_logic.cast, lower_logic.cast, layout.follow, CAST),
]
# fmt: on
