"""Finding and reading the published figures of a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.papers.schema import Paper
from sparsebench.suite.files import TABLES, suites_home

if TYPE_CHECKING:
    from pathlib import Path


def papers() -> dict[str, Path]:
    """Returns the papers whose figures come with the package, by name."""
    files = sorted(suites_home().glob(f"papers/*{TABLES}"))
    return {file.name.removesuffix(TABLES): file for file in files}


def load_paper(name: str) -> Paper:
    """Reads the published figures of a paper.

    Raises:
        UnknownNameError: No such paper.
        UserError: Its file is not what it should be.
    """
    known = papers()
    if name not in known:
        raise UnknownNameError("paper", name, known=known)
    try:
        content = yaml.safe_load(known[name].read_text(encoding="utf-8"))
        return Paper.model_validate(content)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise UserError(f"{known[name]}: {error}") from None
