"""Operator schemas: one function per operator that checks operands and attributes and returns output types.

The signature is the schema: operands are positional `TensorType`s (`None` when optional and absent), attributes are
keyword-only and canonical (axes non-negative, pads explicit). The reference function of the same name in
`tinyinfer.ref` has the same signature over arrays. Violations raise `ShapeError`.
"""
