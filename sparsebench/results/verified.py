"""What a score rests on, and the file in which ``sparsebench verify`` keeps it.

    results/
        verified.json       {"<key of a run>": {"evidence": "recomputed", "digest": "<SHA-256>"}}

The digest is that of the run's ``result.json``: what was written about another content counts for
nothing.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.results.checksums import file_hash
from sparsebench.results.predictions import PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sparsebench.results.records import RunResult

VERIFIED = "verified.json"


class Verified(StrEnum):
    """What a score rests on, the least first."""

    REPORTED = "reported"
    """Somebody says so."""

    RECOMPUTED = "recomputed"
    """It was computed again from the stored predictions and references."""

    RERUN = "rerun"
    """Besides, the run was made again, and its score agreed."""


def least_verified(evidence: Iterable[Verified]) -> Verified:
    """Returns the weakest; ``reported`` for none."""
    order = list(Verified)
    return min(evidence, key=order.index, default=Verified.REPORTED)


def is_unchanged(file: Path, result: RunResult, *, digest: str) -> bool:
    """Whether a result and its predictions are still those that were verified.

    Args:
        file: Its ``result.json``.
        result: What that says.
        digest: What it hashed to then.
    """
    predictions, expected = file.with_name(PREDICTIONS), result.files.get(PREDICTIONS)
    if expected is not None and not (predictions.is_file() and file_hash(predictions) == expected):
        return False
    return file_hash(file) == digest


def read_verified(root: Path) -> dict[str, tuple[Verified, str]]:
    """Reads what was verified in a folder of results: key of a run -> evidence, digest.

    Raises:
        UserError: The file is there and is not what ``verify`` writes.
    """
    file = root / VERIFIED
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(key): (Verified(entry["evidence"]), str(entry["digest"]))
            for key, entry in content.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{file}: not what 'sparsebench verify' writes ({error}); delete it, and verify again"
        ) from None


def write_verified(root: Path, found: Mapping[str, tuple[Verified, str]]) -> Path:
    """Writes what was verified, and returns the file."""
    content = {
        key: {"evidence": evidence.value, "digest": digest}
        for key, (evidence, digest) in sorted(found.items())
    }
    file = root / VERIFIED
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return file
