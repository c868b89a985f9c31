"""The changes that a caller makes to a suite: names, seeds, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import yaml

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from sparsebench.suite.overrides import Overrides

Names = str | Sequence[str]
"""Names: a list, or one text with commas."""

_DOCUMENT_END = "\n...\n"
"""What YAML writes behind a value that is a whole document."""


def overrides(
    *,
    methods: Names | None = None,
    models: Names | None = None,
    tasks: Names | None = None,
    seeds: int | str | Sequence[int] | None = None,
    settings: Mapping[str, object] | Sequence[str] | None = None,
    budget: str | None = None,
    profile: Mapping[str, object] | None = None,
) -> Overrides:
    """Collect the changes to a suite. Names are a list, or one text with commas.

    Args:
        methods: Method labels.
        models: Backbones.
        tasks: Tasks.
        seeds: Seeds.
        settings: Changed settings by key, or texts such as ``"lora.r=16"``.
        budget: The budget of every run.
        profile: Settings of the section ``profile``, by key.

    Raises:
        UserError: A list is empty, or a seed is no whole number.
    """
    from sparsebench.suite.overrides import Overrides

    return Overrides(
        methods=names("--methods", methods),
        models=names("--models", models),
        tasks=names("--tasks", tasks),
        seeds=_seeds(seeds),
        sets=_sets(settings),
        budget=budget,
        profile=profile or {},
    )


def names(option: str, given: Names | None) -> tuple[str, ...] | None:
    """Read names, each once: a list, or one text with commas. None stays None.

    Raises:
        UserError: The list is empty.
    """
    if given is None:
        return None
    parts = given.split(",") if isinstance(given, str) else given
    found = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    if not found:
        raise UserError(f"{option}: name at least one, or leave the option out")
    return found


def _seeds(given: int | str | Sequence[int] | None) -> tuple[int, ...] | None:
    if given is None:
        return None
    texts = names("--seeds", given if isinstance(given, str) else _texts(given))
    for text in texts or ():
        if not text.isdecimal():
            raise UserError(f"--seeds: {text!r} is no whole number; write them as 1,2,3")
    return tuple(map(int, texts or ()))


def _texts(given: int | Sequence[int]) -> list[str]:
    return [str(seed) for seed in ([given] if isinstance(given, int) else given)]


def _sets(given: Mapping[str, object] | Sequence[str] | None) -> tuple[str, ...]:
    """Return settings as texts ``key=value``, the value in YAML."""
    if not isinstance(given, Mapping):
        return tuple(given or ())
    texts = {key: yaml.safe_dump(value, default_flow_style=True) for key, value in given.items()}
    return tuple(f"{key}={text.removesuffix(_DOCUMENT_END)}" for key, text in texts.items())
