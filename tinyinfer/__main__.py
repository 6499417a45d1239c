"""`python -m tinyinfer`: the command line."""

from tinyinfer.cli import main

main()
