"""The free memory of this machine, as its control group limits it."""

from __future__ import annotations

from pathlib import Path

import psutil

_LIMIT, _USED = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))


def free_memory() -> int:
    """Return the bytes of memory that are free for a process on the CPU."""
    free = psutil.virtual_memory().available
    try:
        limit = int(_LIMIT.read_text()) - int(_USED.read_text())
    except (OSError, ValueError):  # no control group, or one without a limit
        return free
    return min(free, limit)
