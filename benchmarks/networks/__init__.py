"""The networks that are measured, as compact PyTorch modules; only `benchmarks.export` imports them."""
