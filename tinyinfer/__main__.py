"""`python -m tinyinfer`: the command line."""

from tinyinfer.start import main

main()
