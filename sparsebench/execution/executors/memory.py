"""A limit on the memory that a process may ask for.

It is ``RLIMIT_DATA``, which counts what a process has asked for and could write to, touched or not.
``RLIMIT_AS`` would count libraries, files and a GPU's address space as well, and so says little.
"""

from __future__ import annotations

import re
import resource
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATUS = Path("/proc/self/status")
_COUNTERS = Path("/proc/vmstat")


def check_memory_limit(limit: int | None) -> None:
    """Refuses a limit that would not hold here.

    Raises:
        UserError: There is a limit, and this is not Linux.
    """
    if limit is not None and sys.platform != "linux":
        raise UserError("a memory limit holds on Linux only: leave out --memory-limit")


@contextmanager
def limited_memory(limit: int | None) -> Iterator[None]:
    """Lets this process ask for so many bytes on top of what it has; then requests fail.

    Args:
        limit: Bytes; None for no limit.
    """
    if limit is None:
        yield
        return
    found = re.search(r"^VmData:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    has = int(found[1]) * 1024 if found else 0
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    asked = has + limit
    highest = asked if hard == resource.RLIM_INFINITY else min(asked, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (highest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def kills_for_memory() -> int:
    """Returns how many processes the kernel has killed here for want of memory; 0 if unknown."""
    with suppress(OSError):
        found = re.search(r"^oom_kill (\d+)", _COUNTERS.read_text(), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0
