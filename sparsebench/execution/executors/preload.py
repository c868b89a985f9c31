"""Imported by the fork server alone, before it forks: the libraries of a run, and its signals.

The server blocks the signals that stop runs, since some reach every process of a job, and the runs
must outlive them to save a checkpoint. A run unblocks them once it can stop.
"""

from __future__ import annotations

import os
import signal

import peft  # noqa: F401

import sparsebench.execution.executors.worker
import sparsebench.execution.run
import sparsebench.metrics.labels  # noqa: F401
from sparsebench.execution.executors.stop_signal import STOP_SIGNALS

SERVER = os.getpid()
"""The process id of the server; a process that it forks inherits it."""

signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
