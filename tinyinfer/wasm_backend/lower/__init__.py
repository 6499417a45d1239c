"""Lowerings: one function per operator that turns a node into kernel calls (`Lowering.step`)."""
