"""How far a score is verified, and the file in which ``sparsebench verify`` keeps it.

    results/
        verified.json       {"<key of a run>": {"evidence": "recomputed", "digest": "<SHA-256>"}}

The digest is that of the run's ``result.json``: an entry counts only for that content.
"""

from __future__ import annotations

import json
import os
from enum import StrEnum
from typing import TYPE_CHECKING

from sparsebench import bounded_files
from sparsebench.errors import UserError
from sparsebench.results.predictions import PREDICTIONS
from sparsebench.results.stored_run import RESULT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sparsebench.results.records import RunResult
    from sparsebench.results.stored_run import StoredRun

VERIFIED = "verified.json"
_LARGEST = 64 * bounded_files.MIB


class Verified(StrEnum):
    """How far a score is verified, the least first."""

    REPORTED = "reported"
    """Not at all: the score is what its author reports."""

    RECOMPUTED = "recomputed"
    """It was computed again from the stored predictions and references."""

    RERUN = "rerun"
    """The run was repeated too, and its score agreed."""


def least_verified(found: Iterable[Verified]) -> Verified:
    """Return the lowest; ``reported`` for none."""
    order = list(Verified)
    return min(found, key=order.index, default=Verified.REPORTED)


def is_unchanged(run: StoredRun, result: RunResult, *, digest: str) -> bool:
    """Whether a run's result and predictions are still those that were verified.

    Args:
        run: The run.
        result: Its result.
        digest: The digest that its ``result.json`` had then.
    """
    expected = result.files.get(PREDICTIONS)
    if expected is not None and run.digest(PREDICTIONS) != expected:
        return False
    return run.digest(RESULT) == digest


def read_verified(root: Path) -> dict[str, tuple[Verified, str]]:
    """Read what was verified in a folder of results: key of a run -> how far, digest.

    Raises:
        UserError: The file is there and is not what ``verify`` writes.
    """
    file = root / VERIFIED
    if not os.path.lexists(file):
        return {}
    try:
        content = bounded_files.read_json(file, limit=_LARGEST)
        return {
            str(key): (Verified(entry["evidence"]), str(entry["digest"]))
            for key, entry in content.items()
        }
    except (UserError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{file}: not what 'sparsebench verify' writes ({error}); delete it, and verify again"
        ) from None


def write_verified(root: Path, found: Mapping[str, tuple[Verified, str]]) -> Path:
    """Write what was verified, and return the file."""
    content = {
        key: {"evidence": verified.value, "digest": digest}
        for key, (verified, digest) in sorted(found.items())
    }
    file = root / VERIFIED
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return file
