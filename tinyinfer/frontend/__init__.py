"""ONNX → Graph. Everything that depends on an operator-set version, an attribute form or a default ends here.

`load` reads a model, binds its open dimensions and converts node by node; `converters` holds the table from ONNX
operators to converters, one module per family. What they produce are the canonical operators of the registry: axes
non-negative, pads explicit, shapes known. Small-integer arithmetic on shapes folds away while the graph is built.
"""

from tinyinfer.frontend.importer import load

__all__ = ["load"]
