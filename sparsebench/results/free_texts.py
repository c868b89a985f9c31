"""The free texts of a result: they tell no secret of the environment, such as ``HF_TOKEN``."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sparsebench.results.records import RunResult

SHORTEST = 6
"""Characters below which a value is no secret, but may be part of any word."""

_NAMES = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|(API|ACCESS|PRIVATE|_)_?KEY|_PAT$|_AUTH$",
    re.IGNORECASE,
)


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Puts the name of the variable in place of every secret in a text.

    Args:
        text: The text.
        environment: Variables; those of this process by default.
    """
    variables = os.environ if environment is None else environment
    secrets = {
        value: name
        for name, value in variables.items()
        if _NAMES.search(name) and len(value.strip()) >= SHORTEST
    }
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, f"<{secrets[value]}>")
    return text


def clean_result(result: RunResult) -> RunResult:
    """Returns a result whose free texts tell no secret, and are valid Unicode.

    These are reasons, logs, the command and origins: they may quote a path, whatever its bytes.
    """
    changed: dict[str, Any] = {
        field: _clean(text)
        for field in ("reason", "traceback")
        if (text := getattr(result, field)) is not None
    }
    if result.provenance:
        fields = ("command", "data_origin", "model_origin")
        texts = {field: _clean(getattr(result.provenance, field)) for field in fields}
        changed["provenance"] = result.provenance.model_copy(update=texts)
    if result.retried:
        reason = _clean(result.retried.reason)
        changed["retried"] = result.retried.model_copy(update={"reason": reason})
    return result.model_copy(update=changed)


def _clean(text: str) -> str:
    return without_secrets(text).encode(errors="backslashreplace").decode()
