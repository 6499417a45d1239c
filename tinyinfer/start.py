"""Where the command begins: what takes long to import is imported where Ctrl-C is already understood."""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""


def main() -> None:
    """The command `tinyinfer`."""
    try:
        from tinyinfer.cli import main as run

        run()
    except KeyboardInterrupt:
        print("Interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
