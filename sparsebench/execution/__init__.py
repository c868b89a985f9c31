"""Run a suite: plan its runs, execute them, profile, tune and verify."""

from __future__ import annotations
