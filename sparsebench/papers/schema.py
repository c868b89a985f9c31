"""The published figures of one paper, as ``suites/papers/<name>.tables.yaml`` holds them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from sparsebench.schema.base import FrozenModel


class Measure(StrEnum):
    """Something that can be counted without training."""

    TRAINABLE = "trainable"
    """Parameters that train, those of the head apart."""

    NON_EMBEDDING = "non-embedding"
    """All parameters but those of the embedding matrices, as ``transformers`` counts them."""

    FLOATING_POINT_OPS = "floating-point-ops"
    """6 x tokens x parameters without embeddings: ``transformers``' estimate of training."""

    MACS_SAVED = "macs-saved"
    """The share of the backbone's multiply-adds that the deployed model does not run."""


class ExactFigure(FrozenModel):
    """A published number that must come out the same, here and now."""

    what: str
    """What is counted, for people."""

    model: str
    """The backbone: ``random:<architecture>``."""

    labels: int = 2
    """Outputs of the task head."""

    method: str | None = None
    """The method; None for the backbone by itself."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the method."""

    stage: int = 0
    """The stage of the method that has begun: 1 is after pruning, where a method prunes once."""

    measure: Measure
    tokens: int = 5752 * 128
    """Of ``floating-point-ops``; the default is an epoch of STS-B at 128 tokens, with its rest."""

    value: float
    """The published value."""

    digits: int | None = None
    """The significant digits that are published; None for all."""

    source: str
    recalled: bool = False
    """Whether the value was recalled rather than read in a file."""


class PublishedTable(FrozenModel):
    """A table of scores that takes training."""

    name: str
    model: str
    split: str
    settings: str
    """The published settings, in words."""

    source: str
    suite: str | None = None
    """The suite that would reproduce it; None where there is none."""

    waits_for: str = "the backbone's weights, and a GPU for hours"
    """What it takes to run the suite."""

    metrics: dict[str, str]
    """Task -> the metric that the paper shows."""

    splits: dict[str, str] = Field(default_factory=dict)
    """Task -> the reported split, where a task has several."""

    rows: dict[str, dict[str, float]] = Field(min_length=1)
    """Label of a method in the suite -> task -> the published score, x 100."""

    recalled: bool = False
    """Whether the values were recalled rather than read in a file."""


class Claim(FrozenModel):
    """A published statement that is no table: told, not checked."""

    what: str
    value: str
    source: str
    recalled: bool = False


class Paper(FrozenModel):
    """What one paper publishes."""

    name: str
    title: str
    source: str
    exact: tuple[ExactFigure, ...] = ()
    tables: tuple[PublishedTable, ...] = ()
    claims: tuple[Claim, ...] = ()
