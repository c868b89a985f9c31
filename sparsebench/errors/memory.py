"""The one rule for running out of memory, whichever library says so."""

from __future__ import annotations

import errno
from contextlib import suppress

from sparsebench.errors import UserError

_WORDS = (
    "MemoryError",  # OutOfMemoryError of torch as well
    "std::bad_alloc",
    "can't allocate memory",
    "Cannot allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "error: out of memory",
    "CUDA out of memory",
    "HIP out of memory",
    "MPS backend out of memory",
    "XPU out of memory",
    "STATUS_ALLOC_FAILED",
)
"""Names of exceptions, and words of C++, the kernel, torch's allocators, CUDA and its libraries.

A name rather than a class, so that nothing here imports torch.
"""


def out_of_memory(problem: BaseException | str) -> bool:
    """Return whether an error, or the text that a process left, is about missing memory.

    Args:
        problem: An exception, or a message, the end of a log, the reason of a row. A message that
            is written for people (`UserError`) is never one, whatever it quotes.
    """
    if isinstance(problem, str):
        return any(words in problem for words in _WORDS)
    if isinstance(problem, UserError):
        return False
    if isinstance(problem, OSError) and problem.errno == errno.ENOMEM:
        return True
    texts = {kind.__name__ for kind in type(problem).__mro__}
    with suppress(Exception):  # the method of a plugin's own exception may fail
        texts.add(str(problem))
    return any(map(out_of_memory, texts))
