"""The server that forks the processes of runs, and how a process ends with those above it.

It has imported the heavy libraries and computes nothing, so that a run starts in a fraction of a
second. It lives as long as the command. Linux kills each run when the server ends, even while C
code holds the interpreter (PR_SET_PDEATHSIG); elsewhere a thread of the run waits for that.
"""

from __future__ import annotations

import ctypes
import multiprocessing as mp
import os
import signal
import sys
import threading
import time
from multiprocessing import forkserver
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

PRELOAD = "sparsebench.execution.executors.preload"
"""What the server imports before it forks."""

LOST = 255
"""The exit code of a process whose server has ended before it, as multiprocessing reports it."""

_SECONDS_TO_END = 2.0
"""How long the server may take from closing its pipes to its end."""

_PR_SET_PDEATHSIG = 1


def warm_processes() -> BaseContext:
    """Return a context whose processes have imported the libraries, where the system can fork."""
    # Threads that wait by spinning slow each other down on shared cores; torch reads it on import.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Else the server would import a file of the current folder that is named like a library's.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    if "forkserver" not in mp.get_all_start_methods():
        return mp.get_context("spawn")
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([PRELOAD])
    return context


def server_pid() -> int | None:
    """Return the process id of the server that this process has started; None without one."""
    return _state()._forkserver_pid  # type: ignore[no-any-return]  # noqa: SLF001 - not public


def has_ended(server: int | None) -> bool:
    """Return whether a server has ended; called when one of its processes seems lost.

    Args:
        server: Its process id; None for processes that were started without a server.
    """
    if server is None:
        return False
    until = time.monotonic() + _SECONDS_TO_END
    while server == server_pid():
        try:  # without reaping it: multiprocessing does that before it starts another one
            if os.waitid(os.P_PID, server, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return True
        except ChildProcessError:
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def end_with_parent() -> None:
    """End this process, the run's, when the server or the command ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        preload = sys.modules.get(PRELOAD)
        if preload is not None and os.getppid() != preload.SERVER != os.getpid():
            os._exit(1)  # the server ended before the call above
        _let_server_follow()
    parent = mp.parent_process()
    if parent is None:
        return

    def follow(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=follow, args=(parent.sentinel,), daemon=True).start()


def _let_server_follow() -> None:
    """Close this process's end of the pipe that keeps the server alive: the command has another."""
    state = _state()
    if state._forkserver_alive_fd is not None and state._forkserver_pid is None:  # noqa: SLF001
        os.close(state._forkserver_alive_fd)  # noqa: SLF001
        state._forkserver_alive_fd = None  # noqa: SLF001


def _state() -> Any:
    return forkserver._forkserver  # noqa: SLF001 - not public
