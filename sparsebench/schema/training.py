"""The terms of training: budget, batches, checkpoint selection, generation."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from sparsebench.schema.base import FrozenModel


class Protocol(StrEnum):
    """The rule for selecting the weights that are reported."""

    LAST = "last"
    """The weights after the last step; nothing is selected."""

    HELD_OUT = "held-out"
    """The best checkpoint on a fixed, stratified share of the training set, not trained on."""

    PAPER = "paper"
    """The best checkpoint on the reported split, as in many papers; flagged in every table."""


class Budget(FrozenModel):
    """The length of training, the same for every method of a suite."""

    amount: float = Field(gt=0)
    unit: Literal["steps", "epochs"]

    def __str__(self) -> str:
        """Return the exact notation of a suite: ``3 epochs``."""
        return f"{Decimal(repr(self.amount)).normalize():f} {self.unit}"

    def steps(self, *, examples: int, batch_size: int) -> int:
        """Return the number of optimizer steps, at least 1."""
        if self.unit == "steps":
            return max(1, round(self.amount))
        return max(1, round(self.amount * -(-examples // batch_size)))


def _read_budget(value: object) -> object:
    if isinstance(value, Budget | dict):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(step|epoch)s?\s*", str(value))
    if not match:
        raise ValueError(f"{value!r} is not a budget: write '230 steps' or '3 epochs'")
    return {"amount": float(match[1]), "unit": f"{match[2]}s"}


WrittenBudget = Annotated[Budget, BeforeValidator(_read_budget), PlainSerializer(str)]
"""A budget in the notation of a suite: ``230 steps`` or ``3 epochs``."""


class Training(FrozenModel):
    """The terms of training that every method of a suite shares."""

    budget: WrittenBudget = Budget(amount=3, unit="epochs")
    """The budget of a run, all stages together, such as ``230 steps`` or ``3 epochs``."""

    batch_size: int = Field(default=32, ge=1)
    """Examples per optimizer step."""

    micro_batch_size: int | None = Field(default=None, ge=1)
    """Examples per forward pass, to save memory; gradients accumulate to ``batch_size``."""

    max_length: int = Field(default=128, ge=8)
    """The maximum number of input tokens; longer inputs are truncated."""

    pad_to_max_length: bool = False
    """Whether training examples are padded to ``max_length``, not to the longest of their batch."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of each target that is spread evenly over all classes or tokens; a regression and
    spans have no classes, and are trained as without it."""

    schedule: Literal["linear", "constant", "cosine"] = "linear"
    """The learning rate after the warm-up; ``linear`` and ``cosine`` end at 0."""

    warmup: float = Field(default=0.06, ge=0, lt=1)
    """The share of each stage in which the learning rate rises from 0."""

    dropout: float | None = Field(default=None, ge=0, lt=1)
    """The dropout of the backbone; null for that of its configuration. Adapters keep their own."""

    clip: float | None = Field(default=1.0, gt=0)
    """The maximum norm of the gradient; null for no clipping."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Mixed precision in training; ``auto`` is bf16 on a GPU that supports it, else fp32."""

    group_by_length: bool = True
    """Whether batches combine examples of similar length."""

    checkpoint_every: int | None = Field(default=None, ge=1)
    """Steps between checkpoints; null for no checkpoints."""

    calibration: Literal["counted", "free"] = "counted"
    """Whether training examples that a method looks at to decide something count: ``counted`` takes
    them off its budget, a step for each ``batch_size`` of them."""

    report_to: tuple[str, ...] = ()
    """Trackers that ``transformers.Trainer`` reports to, such as ``tensorboard``."""

    def micro_batch(self, devices: int = 1) -> int:
        """Return the number of examples per forward pass on each device.

        Raises:
            ValueError: The batch cannot be divided evenly.
        """
        share, rest = divmod(self.batch_size, devices)
        if rest:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of {devices} devices")
        micro = min(self.micro_batch_size or share, share)
        if share % micro:
            raise ValueError(
                f"batch_size {self.batch_size} gives each of {devices} devices {share} examples, "
                f"which is not a multiple of micro_batch_size {micro}"
            )
        return micro

    @model_validator(mode="after")
    def _micro_batches_fill_a_batch(self) -> Training:
        micro = self.micro_batch_size
        if micro and self.batch_size % micro:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of micro_batch_size {micro}"
            )
        return self


class HeldOut(FrozenModel):
    """How a checkpoint is selected, under the protocols that select one."""

    share: float = Field(default=0.1, gt=0, lt=1)
    """The share of the training set that is held out, under ``protocol: held-out``."""

    evaluations: int = Field(default=5, ge=1)
    """Evaluations of a run, evenly distributed over its budget."""

    seed: int = 0
    """The seed for drawing the held-out share, the same for every method and seed."""


class GenerationSettings(FrozenModel):
    """How text is generated; the default is greedy."""

    beams: int = Field(default=1, ge=1)
    """Beams of beam search; 1 is greedy."""

    length_penalty: float = 1.0
    """The exponent of the length by which beam search divides the log-likelihood of a text."""

    no_repeat_ngram: int = Field(default=0, ge=0)
    """The length of token sequences that must not be repeated in a text; 0 for no such rule."""
