"""Benchmarks in headless Chromium: TinyInfer beside the runtimes that users would pick instead."""
