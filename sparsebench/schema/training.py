"""The terms of training: budget, batches, checkpoint selection, generation."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from sparsebench.schema.base import FrozenModel


class Protocol(StrEnum):
    """Which weights are reported."""

    LAST = "last"
    """Those after the last step: nothing is selected."""

    HELD_OUT = "held-out"
    """The best on a fixed, stratified share of the training set, which is not trained on."""

    PAPER = "paper"
    """The best on the split that is reported, as many papers do; flagged wherever it is shown."""


class Budget(FrozenModel):
    """How long a run trains: the same for every method of a suite."""

    amount: float = Field(gt=0)
    unit: Literal["steps", "epochs"]

    def __str__(self) -> str:
        """As it is written in a suite, exactly: ``3 epochs``."""
        return f"{Decimal(repr(self.amount)).normalize():f} {self.unit}"

    def steps(self, *, examples: int, batch_size: int) -> int:
        """Returns the number of optimizer steps, at least 1."""
        if self.unit == "steps":
            return max(1, round(self.amount))
        return max(1, round(self.amount * -(-examples // batch_size)))


def _read_budget(value: object) -> object:
    if isinstance(value, Budget | dict):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(step|epoch)s?\s*", str(value))
    if not match:
        raise ValueError(f"{value!r} is no budget: write '230 steps' or '3 epochs'")
    return {"amount": float(match[1]), "unit": f"{match[2]}s"}


WrittenBudget = Annotated[Budget, BeforeValidator(_read_budget), PlainSerializer(str)]
"""A budget as it is written: ``230 steps`` or ``3 epochs``."""


class Training(FrozenModel):
    """How every method of the suite trains; what a method may choose is its learning rate."""

    budget: WrittenBudget = Budget(amount=3, unit="epochs")
    """The whole budget of a run, all stages together, such as ``230 steps`` or ``3 epochs``."""

    batch_size: int = Field(default=32, ge=1)
    """Examples an optimizer step."""

    micro_batch_size: int | None = Field(default=None, ge=1)
    """Examples a forward pass, where memory is short; gradients accumulate to ``batch_size``."""

    max_length: int = Field(default=128, ge=8)
    """The most tokens of an input; longer inputs are truncated."""

    schedule: Literal["linear", "constant", "cosine"] = "linear"
    """What becomes of the learning rate after the warm-up; ``linear`` and ``cosine`` end at 0."""

    warmup: float = Field(default=0.06, ge=0, lt=1)
    """The share of each stage over which the learning rate rises from 0."""

    dropout: float | None = Field(default=None, ge=0, lt=1)
    """The backbone's dropout; null for what its configuration says. An adapter's own stays."""

    clip: float | None = Field(default=1.0, gt=0)
    """The largest norm of a gradient; null for no clipping."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Mixed precision in training; ``auto`` is bf16 on a GPU that has it, else fp32."""

    group_by_length: bool = True
    """Whether batches are made of examples of like length."""

    checkpoint_every: int | None = Field(default=None, ge=1)
    """Steps between checkpoints, for long runs; null for none."""

    report_to: tuple[str, ...] = ()
    """Trackers that ``transformers.Trainer`` reports to, such as ``tensorboard``."""

    def micro_batch(self, devices: int = 1) -> int:
        """Returns the examples of a forward pass on each of the devices that share a batch.

        Raises:
            ValueError: The batch cannot be shared out evenly.
        """
        share, rest = divmod(self.batch_size, devices)
        if rest:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of {devices} devices")
        micro = min(self.micro_batch_size or share, share)
        if share % micro:
            raise ValueError(
                f"batch_size {self.batch_size} gives each of {devices} devices {share} examples, "
                f"which is no multiple of micro_batch_size {micro}"
            )
        return micro

    @model_validator(mode="after")
    def _micro_batches_fill_a_batch(self) -> Training:
        micro = self.micro_batch_size
        if micro and self.batch_size % micro:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of {micro}")
        return self


class HeldOut(FrozenModel):
    """How a checkpoint is selected, under the protocols that select."""

    share: float = Field(default=0.1, gt=0, lt=1)
    """The share of the training set that is held out, under ``protocol: held-out``."""

    evaluations: int = Field(default=5, ge=1)
    """How often a run is evaluated, evenly over its budget."""

    seed: int = 0
    """Draws the held-out share: the same for every method and every seed of a run."""


class GenerationSettings(FrozenModel):
    """How texts are generated; the defaults are greedy."""

    beams: int = Field(default=1, ge=1)
    """Texts that beam search keeps at a time; 1 is greedy."""

    length_penalty: float = 1.0
    """The exponent of the length that a text's log-likelihood is divided by, in beam search."""

    no_repeat_ngram: int = Field(default=0, ge=0)
    """Tokens in a row that may not come twice in a text; 0 for no such rule."""
