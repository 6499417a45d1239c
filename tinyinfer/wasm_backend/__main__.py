"""`python -m tinyinfer.wasm_backend` assembles the kernels."""

from tinyinfer.wasm_backend.build import main

main()
