"""Keep secrets out of the free texts of a record: commands, reasons, tracebacks, origins.

A secret is the value of an environment variable such as ``HF_TOKEN``, the password of an address
such as ``DATABASE_URL``, or a text in the form of a well-known token.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote

from sparsebench.results.base import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST = 6
"""Characters of the shortest value that counts as a secret; shorter ones occur in other words."""

SHORTEST_CUT = 8
"""Characters of the shortest beginning of a secret that is found at the end of a text."""

FREE_TEXTS = frozenset(
    {"reason", "traceback", "command", "data_origin", "model_origin", "missing", "notes"}
)
"""Fields of records that hold free text; all others identify a run or are measurements."""

_SECRET_NAME = re.compile(
    r"TOKEN(?!IZ)|SECRET|CREDENTIAL|PASSW|PASSP|(^|_)PASS|PASS(_|$)|PWD|KEYS?(_|\d|$)|"
    r"(^|_)(PAT|AUTH|DSN|COOKIE)S?$|AUTHORIZATION|CONN(ECTION)?_?STR",
    re.IGNORECASE,
)
_FOLDERS = frozenset({"PWD", "OLDPWD"})
"""Variables of the shell that match by name; their values are paths."""

_USER_INFO = re.compile(r"(?<=://)([^\s/@:'\"<>]*):([^\s/'\"<>]+)@")
"""User and password of an address. A password may hold an unquoted ``@``."""

_KNOWN_FORMS = (
    (_USER_INFO, r"\1:<password>@"),
    (re.compile(r"(?<=://)[^\s/@:'\"<>]{16,}@"), "<secret>@"),
    (
        re.compile(
            r"([?&](?:[\w.-]*(?:token|secret|passw|signature|api_?key|auth)[\w.-]*|key|sig|pwd)=)"
            r"[^\s&'\"<>#]+",
            re.IGNORECASE,
        ),
        r"\1<secret>",
    ),
    (re.compile(r"\b(Bearer|Basic) +[A-Za-z0-9+/_.~=-]{8,}"), r"\1 <secret>"),
    (
        re.compile(
            r"\b(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|"
            r"glpat-[\w-]{16,}|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}|A(?:KIA|SIA)[A-Z0-9]{16}|"
            r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+)"
        ),
        "<secret>",
    ),
    (
        re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|\Z)"),
        "<secret>",
    ),
)
_ASSIGNMENT = re.compile(r"\b([A-Z][A-Z0-9_]{2,})=(\"[^\"]*\"|'[^']*'|[^\s<\"'][^\s]*)")
"""A variable as in a shell: lower-case names are code, such as ``pad_token = 0``."""

R = TypeVar("R", bound=Record)


def clean_record(record: R) -> R:
    """Return a record whose free texts hold no secret and are valid Unicode.

    They may quote a path, whatever its bytes.
    """
    changed: dict[str, Any] = {}
    for name in type(record).model_fields:
        value = getattr(record, name)
        cleaned = _clean_texts(value) if name in FREE_TEXTS else _clean_records(value)
        if cleaned is not value:
            changed[name] = cleaned
    return record.model_copy(update=changed) if changed else record


def _clean_records(value: Any) -> Any:
    """Clean the records inside a field."""
    if isinstance(value, Record):
        return clean_record(value)
    if isinstance(value, tuple) and any(isinstance(part, Record) for part in value):
        return tuple(map(_clean_records, value))
    return value


def _clean_texts(value: Any) -> Any:
    """Clean a text, or the texts in a tuple or a mapping."""
    if isinstance(value, str):
        return without_secrets(value).encode(errors="backslashreplace").decode()
    if isinstance(value, tuple):
        return tuple(map(_clean_texts, value))
    if isinstance(value, dict):
        return {key: _clean_texts(text) for key, text in value.items()}
    return value


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return a text with every secret replaced by the name of its variable or by ``<secret>``.

    Args:
        text: The text.
        environment: Variables; those of this process by default.
    """
    secrets = _secrets(os.environ if environment is None else environment)
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, f"<{secrets[value]}>")
    for pattern, replacement in _KNOWN_FORMS:
        text = pattern.sub(replacement, text)
    text = _ASSIGNMENT.sub(_without_value, text)
    return _without_cut_secret(text, secrets)


def _secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Return secret value -> name of its variable, in every form that a message may quote."""
    secrets: dict[str, str] = {}
    for name, value in variables.items():
        found = {password for _, password in _USER_INFO.findall(value)}
        if found:  # the address as a whole names a host, a user and a database
            found.add(value)
        if _SECRET_NAME.search(name) and name not in _FOLDERS:
            found |= {value, value.strip(), *(line for line in value.splitlines() if line.strip())}
        found |= {form for part in found for form in (quote(part, safe=""), unquote(part))}
        secrets |= {part: name for part in found if len(part.strip()) >= SHORTEST}
    return secrets


def _without_value(match: re.Match[str]) -> str:
    name, value = match.groups()
    secret = _SECRET_NAME.search(name) and name not in _FOLDERS
    return f"{name}=<secret>" if secret and len(value.strip("\"'")) >= SHORTEST else match[0]


def _without_cut_secret(text: str, secrets: Mapping[str, str]) -> str:
    """Replace the beginning of a secret at the end of a text that was cut to a length."""
    for value, name in secrets.items():
        for length in range(min(len(value), len(text)), SHORTEST_CUT - 1, -1):
            if text.endswith(value[:length]):
                return f"{text[:-length]}<{name}>"
    return text
