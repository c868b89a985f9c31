"""Imported by the fork server alone, before it forks: the libraries of a run, and its signals.

The server blocks the signals that stop runs, since some reach every process of a job, and the runs
must outlive them to save a checkpoint. A run unblocks them once it can stop. Ctrl-C reaches the
server too, and is the command's.

tqdm's lock is one of threads: its own for processes is a semaphore, which a run that ends without
clean-up would leave behind, with a warning at the end of the command.
"""

# ruff: noqa: E402 - the signals first: the imports take seconds
from __future__ import annotations

import os
import signal
import threading

from sparsebench.execution.executors.stop_signal import STOP_SIGNALS

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)

import peft  # noqa: F401
from tqdm import tqdm

import sparsebench.execution.executors.worker
import sparsebench.execution.run
import sparsebench.metrics.labels  # noqa: F401

tqdm.set_lock(threading.RLock())

SERVER = os.getpid()
"""The process id of the server; a process that it forks inherits it."""
