"""The settings for measuring costs: shapes, devices, runtimes, durations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sparsebench.schema.base import FrozenModel


class CostSettings(FrozenModel):
    """The shapes and the duration for measuring the costs of a trained model."""

    batch_size: int = Field(default=8, ge=1)
    """Sequences per forward pass for latency and memory; FLOPs are always per sequence."""

    length: int = Field(default=128, ge=1)
    """Input tokens per sequence."""

    target_length: int = Field(default=8, ge=1)
    """Decoder tokens per sequence, for text to text."""

    seconds: float = Field(default=1.0, ge=0)
    """The minimum time of the latency measurement of each run."""


class ProfileSettings(FrozenModel):
    """The measurements that ``sparsebench profile`` takes of untrained models."""

    batch_sizes: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(default=None, min_length=1)
    """Sequences per forward pass; null for the value in ``costs``."""

    lengths: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(default=None, min_length=1)
    """Input tokens per sequence; null for the value in ``costs``."""

    target_length: int | None = Field(default=None, ge=1)
    """Decoder tokens per sequence, for text to text; null for the value in ``costs``."""

    devices: tuple[str, ...] = Field(default=("auto",), min_length=1)
    """``cpu``, ``cuda``, ``cuda:N``, or ``meta`` for counts without weights; ``auto`` is a GPU if
    there is one."""

    dtypes: tuple[Literal["float32", "bfloat16", "float16"], ...] = Field(
        default=("float32",), min_length=1
    )
    """Data types of the weights."""

    attention: Literal["sdpa", "eager"] = "sdpa"
    """The attention implementation of untrained backbones."""

    form: Literal["classification", "span", "text-to-text", "language-model"] | None = None
    """The form of the output; null for text to text with encoder-decoders, else classification."""

    runtimes: tuple[str, ...] = ("csr", "2:4", "compact", "gathered")
    """Runtimes to measure in addition to ``dense``."""

    generate: int = Field(default=0, ge=0)
    """New tokens of the generation measurement; 0 to skip it."""

    density: bool = True
    """Whether the activation density is measured."""

    fresh_memory: bool = True
    """Whether the peak memory of inference on a CPU is measured in a separate process."""

    training_memory: bool = False
    """Whether the peak memory of one training step is measured, in a separate process."""

    energy: bool = True
    """Whether the energy counter of a GPU is read."""

    break_even: bool = False
    """Whether the break-even sparsity of every runtime is measured."""

    threads: int | None = Field(default=None, ge=1)
    """Threads of one operator on a CPU; null for the default of torch."""

    rounds: int = Field(default=20, ge=3)
    """The minimum number of timing rounds, unless ``limit`` ends them."""

    seconds: float = Field(default=2.0, ge=0)
    """The minimum time of the latency measurement of each condition."""

    limit: float = Field(default=60.0, ge=0)
    """Seconds after which no timing round starts."""
