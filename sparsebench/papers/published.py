"""The published figures of one paper, read from ``suites/papers/<name>.tables.yaml``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field, ValidationError

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.schema.base import FrozenModel
from sparsebench.suite.files import TABLES, suites_home

if TYPE_CHECKING:
    from pathlib import Path


class Measure(StrEnum):
    """A figure that can be counted without training."""

    TRAINABLE = "trainable"
    """Trainable parameters, without the head."""

    NON_EMBEDDING = "non-embedding"
    """Parameters without those of the embedding matrices, as ``transformers`` counts them."""

    FLOATING_POINT_OPS = "floating-point-ops"
    """6 x tokens x parameters without embeddings: the estimate of ``transformers`` for training."""

    MACS_SAVED = "macs-saved"
    """The share of the backbone's multiply-adds that the deployed model saves."""


class ExactFigure(FrozenModel):
    """A published number that counting must reproduce exactly."""

    what: str
    """The counted quantity, in words."""

    model: str
    """The backbone: ``random:<architecture>``."""

    labels: int = 2
    """The number of outputs of the task head."""

    method: str | None = None
    """The method; None for the untouched backbone."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the method."""

    stage: int = 0
    """The stage that has begun: 1 is after pruning for a method that prunes once."""

    measure: Measure
    tokens: int = 5752 * 128
    """Tokens of ``floating-point-ops``; the default is an epoch of STS-B at 128 tokens, with the
    last, smaller batch."""

    value: float
    """The published value."""

    digits: int | None = None
    """The published significant digits; None for all."""

    source: str
    recalled: bool = False
    """True if the value was recalled and not read from a file."""


class PublishedTable(FrozenModel):
    """A published table of scores, which require training."""

    name: str
    model: str
    split: str
    settings: str
    """The published settings, in words."""

    source: str
    suite: str | None = None
    """The suite that reproduces it; None if there is none."""

    waits_for: str = "the backbone's weights, and a GPU for hours"
    """The requirements of running the suite."""

    metrics: dict[str, str]
    """Task -> the metric in the paper."""

    splits: dict[str, str] = Field(default_factory=dict)
    """Task -> the reported split, if a task has several."""

    rows: dict[str, dict[str, float]] = Field(min_length=1)
    """Label of a method in the suite -> task -> the published score, x100."""

    recalled: bool = False
    """True if the values were recalled and not read from a file."""


class PublishedStatement(FrozenModel):
    """A published statement outside tables; it is listed and not checked."""

    what: str
    value: str
    source: str
    recalled: bool = False


class Paper(FrozenModel):
    """The published figures of one paper."""

    name: str
    title: str
    source: str
    exact: tuple[ExactFigure, ...] = ()
    tables: tuple[PublishedTable, ...] = ()
    claims: tuple[PublishedStatement, ...] = ()


def papers() -> dict[str, Path]:
    """Return the files of the papers that come with the package, by name."""
    files = sorted(suites_home().glob(f"papers/*{TABLES}"))
    return {file.name.removesuffix(TABLES): file for file in files}


def load_paper(name: str) -> Paper:
    """Load the published figures of a paper.

    Raises:
        UnknownNameError: There is no such paper.
        UserError: Its file cannot be read or is not valid.
    """
    known = papers()
    if name not in known:
        raise UnknownNameError("paper", name, known=known)
    try:
        content = yaml.safe_load(known[name].read_text(encoding="utf-8"))
        return Paper.model_validate(content)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise UserError(f"{known[name]}: {error}") from None
