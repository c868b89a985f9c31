"""What makes four families look alike: the blocks in order, and the role of every matrix in them.

An anatomy is read off a live model, so it tells the truth about models with removed parts too.
Parts are named by their path in the model and hold no tensor: ask a part for its module or weight
and hand it the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from sparsebench.errors import UserError
from sparsebench.models.families import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import nn


class Role(StrEnum):
    """What a matrix does in its block."""

    QUERY = "query"
    KEY = "key"
    VALUE = "value"
    OUTPUT = "output"
    """Joins the heads and writes to the residual stream."""

    FFN_IN = "ffn_in"
    """The first product of the feed-forward network; of a gated one, the linear factor."""

    FFN_GATE = "ffn_gate"
    """In a gated feed-forward network, the factor that goes through the activation function."""

    FFN_OUT = "ffn_out"
    """The second product of the feed-forward network."""


@dataclass(frozen=True)
class Matrix:
    """One weight matrix, seen as ``[out, in]`` whatever the layout of the module that holds it.

    Attributes:
        role: What it does.
        path: The module that holds it, from the root of the model.
        rows: The output rows that are this matrix, where a module fuses several (GPT-2's query,
            key and value); None for all.
        transposed: Whether the module stores ``[in, out]`` (GPT-2's ``Conv1D``).
    """

    role: Role
    path: str
    rows: slice | None = None
    transposed: bool = False

    def __hash__(self) -> int:
        return hash(self.name)  # a slice has no hash before Python 3.12

    @property
    def name(self) -> str:
        """A name that is unique in the model, fused matrices told apart by their role."""
        return f"{self.path}.{self.role}" if self.rows else self.path

    def module(self, model: nn.Module) -> nn.Module:
        """Returns the module that holds the matrix."""
        return model.get_submodule(self.path)

    def view(self, weight: torch.Tensor) -> torch.Tensor:
        """Returns this matrix ``[out, in]`` as a view of its module's weight, or of its like."""
        oriented = weight.T if self.transposed else weight
        return oriented if self.rows is None else oriented[self.rows]

    def weight(self, model: nn.Module) -> torch.Tensor:
        """Returns the matrix ``[out, in]`` as a view: what is written to it reaches the model."""
        return self.view(self.module(model).weight)  # type: ignore[arg-type]

    def bias(self, model: nn.Module) -> torch.Tensor | None:
        """Returns the matrix's share of the bias ``[out]`` as a view, or None where it has none."""
        bias: torch.Tensor | None = getattr(self.module(model), "bias", None)
        return bias if bias is None or self.rows is None else bias[self.rows]


@dataclass(frozen=True)
class Attention:
    """One attention: ``heads`` heads of ``head_size`` rows each in query, key and value.

    Attributes:
        path: The module that computes the attention, from the root of the model.
        cross: Whether it attends to another stack (T5's decoder to its encoder).
    """

    path: str
    heads: int
    head_size: int
    query: Matrix
    key: Matrix
    value: Matrix
    output: Matrix
    cross: bool = False

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """Query, key, value and output."""
        return self.query, self.key, self.value, self.output


@dataclass(frozen=True)
class FeedForward:
    """One feed-forward network of ``neurons`` inner units.

    Attributes:
        path: The sub-layer that adds the network's output to the residual stream.
        activation: The path of its activation function, a module, on whose outputs activation
            density is measured.
        up: From the residual stream to the inner units.
        down: From the inner units back to the residual stream.
        gate: The activated factor of a gated network, else None.
    """

    path: str
    activation: str
    neurons: int
    up: Matrix
    down: Matrix
    gate: Matrix | None = None

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The matrices in the order they are applied."""
        return (self.gate, self.up, self.down) if self.gate else (self.up, self.down)


@dataclass(frozen=True)
class Block:
    """One transformer block.

    Attributes:
        stack: The stack that it stands in.
        index: Its place in the stack, from 0.
        path: Its module, from the root of the model.
        attentions: Self-attention, and cross-attention where there is one.
        ffn: The feed-forward network, or None where it was removed.
    """

    stack: Literal["encoder", "decoder"]
    index: int
    path: str
    attentions: tuple[Attention, ...]
    ffn: FeedForward | None

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """Every matrix of the block, in the order they are applied."""
        attended = [matrix for attention in self.attentions for matrix in attention.matrices]
        return (*attended, *(self.ffn.matrices if self.ffn else ()))


@dataclass(frozen=True)
class Anatomy:
    """The blocks of a model, encoder first."""

    family: Family
    blocks: tuple[Block, ...]

    def matrices(self, *roles: Role) -> Iterator[Matrix]:
        """Yields the matrices of all blocks in order: those of the given roles, or all."""
        for block in self.blocks:
            for matrix in block.matrices:
                if not roles or matrix.role in roles:
                    yield matrix


def anatomy_of(model: nn.Module) -> Anatomy:
    """Reads the anatomy of a plain transformers model of one of the four families.

    Raises:
        UserError: The model is of no family that we know.
    """
    from sparsebench.models import bert, gpt2, t5

    readers = {
        Family.BERT: bert.blocks,
        Family.ROBERTA: bert.blocks,
        Family.GPT2: gpt2.blocks,
        Family.T5: t5.blocks,
    }
    return Anatomy(family=(family := family_of(model.config)), blocks=tuple(readers[family](model)))


def family_of(config: object) -> Family:
    """Returns the family of a transformers configuration.

    Raises:
        UserError: It is of no family that we know.
    """
    kind = getattr(config, "model_type", None)
    try:
        return Family(str(kind))
    except ValueError:
        families = ", ".join(Family)
        raise UserError(f"no anatomy for models of type {kind!r}; known: {families}") from None
