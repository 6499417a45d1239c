"""Functions of one variable, powers, and softmax."""

from __future__ import annotations

from dataclasses import replace

from tinyinfer.ops import elementwise, functions
from tinyinfer.ref import elementary as ref_elementary
from tinyinfer.ref import functions as ref_functions
from tinyinfer.ref import power as ref_power
from tinyinfer.ref import softmax as ref_softmax
from tinyinfer.tables.row import Operator
from tinyinfer.traits import EVERY, Accuracy, Loops, Traits, Writes
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lower import elementwise as lower_elementwise
from tinyinfer.wasm_backend.lower import functions as lower_functions

FUNCTION = Traits(
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
    accuracy=Accuracy.ULP,
)
SOFTMAX = replace(
    FUNCTION, elementwise=False, writes=Writes.DENSE, tabulated=False, loops=Loops.AXES, accuracy=Accuracy.COMPOSED
)

# fmt: off
ROWS = [
    Operator("Exp", elementwise.unary_float, ref_elementary.exp, lower_elementwise.unary("exp"), layout.follow, FUNCTION),
    Operator("Log", elementwise.unary_float, ref_elementary.log, lower_elementwise.unary("log"), layout.follow, FUNCTION),
    Operator("Sigmoid", elementwise.unary_float, ref_elementary.sigmoid, lower_elementwise.unary("sigmoid"), layout.follow, FUNCTION),
    Operator("Tanh", elementwise.unary_float, ref_elementary.tanh, lower_elementwise.unary("tanh"), layout.follow, FUNCTION),
    Operator("Erf", elementwise.unary_float, ref_elementary.erf, lower_elementwise.unary("erf"), layout.follow, FUNCTION),
    Operator("Gelu", functions.gelu, ref_functions.gelu, lower_functions.gelu, layout.follow, FUNCTION),
    Operator("Softplus", elementwise.unary_float, ref_functions.softplus, lower_elementwise.unary("softplus"), layout.follow, FUNCTION),
    Operator("Mish", elementwise.unary_float, ref_functions.mish, lower_elementwise.unary("mish"), layout.follow, FUNCTION),
    Operator("Elu", functions.scaled, ref_functions.elu, lower_functions.scalars("elu"), layout.follow, FUNCTION),
    Operator("Swish", elementwise.unary_float, ref_functions.swish, lower_elementwise.unary("swish"), layout.follow, FUNCTION),
    Operator("HardSigmoid", functions.hard_sigmoid, ref_functions.hard_sigmoid, lower_functions.scalars("hard_sigmoid"), layout.follow, replace(FUNCTION, accuracy=Accuracy.COMPOSED)),
    Operator("HardSwish", elementwise.unary_float, ref_functions.hard_swish, lower_elementwise.unary("hard_swish"), layout.follow, replace(FUNCTION, accuracy=Accuracy.COMPOSED)),
    Operator("LeakyRelu", functions.scaled, ref_functions.leaky_relu, lower_functions.scalars("leaky_relu"), layout.follow, replace(FUNCTION, accuracy=Accuracy.EXACT)),
    Operator("PRelu", functions.prelu, ref_functions.prelu, lower_elementwise.binary("prelu"), layout.follow, replace(FUNCTION, accuracy=Accuracy.EXACT)),
    Operator("Pow", functions.power, ref_power.power, lower_elementwise.binary("pow"), layout.follow, FUNCTION),
    Operator("Sqrt", elementwise.unary_float, ref_functions.sqrt, lower_elementwise.unary("sqrt"), layout.follow, replace(FUNCTION, accuracy=Accuracy.EXACT)),
    Operator("Reciprocal", elementwise.unary_float, ref_functions.reciprocal, lower_elementwise.unary("reciprocal"), layout.follow, replace(FUNCTION, accuracy=Accuracy.EXACT)),
    Operator("Softmax", functions.softmax, ref_softmax.softmax, lower_functions.softmax("softmax"), layout.follow, SOFTMAX),
    Operator("LogSoftmax", functions.softmax, ref_softmax.log_softmax, lower_functions.softmax("log_softmax"), layout.follow, SOFTMAX),
]
# fmt: on
