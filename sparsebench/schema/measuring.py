"""The shapes, devices and durations that costs are measured with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sparsebench.schema.base import FrozenModel


class CostSettings(FrozenModel):
    """The shapes and the time that costs are measured with."""

    batch_size: int = Field(default=8, ge=1)
    """Sequences a forward pass when latency and memory are measured; FLOPs are of one sequence."""

    length: int = Field(default=128, ge=1)
    """Input tokens a sequence."""

    target_length: int = Field(default=8, ge=1)
    """Decoder tokens a sequence, for text to text."""

    seconds: float = Field(default=1.0, ge=0)
    """The least time to spend on latency, for each run."""


class ProfileSettings(FrozenModel):
    """What ``sparsebench profile`` measures of every method on every backbone, untrained."""

    batch_sizes: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(default=None, min_length=1)
    """Sequences a forward pass; null for that of ``costs``."""

    lengths: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(default=None, min_length=1)
    """Input tokens a sequence; null for that of ``costs``."""

    target_length: int | None = Field(default=None, ge=1)
    """Decoder tokens a sequence, for text to text; null for that of ``costs``."""

    devices: tuple[str, ...] = Field(default=("auto",), min_length=1)
    """``cpu``, ``cuda``, ``cuda:N``, or ``meta`` for arithmetic alone, without weights; ``auto`` is
    a GPU where there is one."""

    dtypes: tuple[Literal["float32", "bfloat16", "float16"], ...] = Field(
        default=("float32",), min_length=1
    )
    """Types of the weights."""

    attention: Literal["sdpa", "eager"] = "sdpa"
    """The implementation of attention, of untrained backbones."""

    form: Literal["classification", "span", "text-to-text", "language-model"] | None = None
    """How the backbones answer; null for text to text where they have a decoder of their own, else
    classification."""

    runtimes: tuple[str, ...] = ("csr", "2:4", "compact", "gathered")
    """Runtimes besides ``dense``."""

    generate: int = Field(default=0, ge=0)
    """New tokens to measure generation for; 0 for no such figures."""

    density: bool = True
    """Whether the density of activations is measured."""

    fresh_memory: bool = True
    """On a CPU, whether the peak of inference is measured in a process of its own."""

    training_memory: bool = False
    """Whether the peak of one training step is measured, in a process of its own."""

    energy: bool = True
    """Whether a GPU's energy counter is read."""

    break_even: bool = False
    """Whether the break-even sparsity of every runtime is looked for."""

    threads: int | None = Field(default=None, ge=1)
    """Threads of one operator on a CPU; null for torch's default."""

    rounds: int = Field(default=20, ge=3)
    """The least rounds of timing, unless ``limit`` ends them."""

    seconds: float = Field(default=2.0, ge=0)
    """The least time to spend on latency, for each condition."""

    limit: float = Field(default=60.0, ge=0)
    """Seconds after which no round of timing is begun."""
