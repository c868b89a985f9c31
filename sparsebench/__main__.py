"""The command line, as ``sparsebench`` and as ``python -m sparsebench``."""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main() -> None:
    """Run the command line; Ctrl-C ends it without a traceback, also while it starts."""
    try:
        from sparsebench.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
