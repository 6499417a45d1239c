"""Normative semantics: every operator as one fixed sequence of IEEE-754 roundings, in plain NumPy.

Only correctly rounded NumPy operations appear on floats here: + - * / sqrt, comparisons, rint, floor, ceil, selection
and movement. `@`, `np.sum`, `np.exp` and their like do not: their rounding order is not ours to fix.
Written from the ONNX specification, never from a kernel.
"""
