"""The anatomy of a model: its blocks in order, and the role of every matrix in them.

Methods and costs work on an anatomy, so that they treat all families alike. An anatomy is read from
a live model and therefore also describes models with removed parts. Parts are named by their path
in the model and hold no tensor: pass the model to a part to get its module or weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import nn


class Family(str):
    """The name of a family of backbones: the ``model_type`` of its transformers configuration.

    It equals its text, ``family == "t5"``. The families of the package have a constant each;
    ``sparsebench.models.FAMILIES`` lists all that are registered.
    """

    __slots__ = ()

    BERT: ClassVar[Family]
    ROBERTA: ClassVar[Family]
    GPT2: ClassVar[Family]
    T5: ClassVar[Family]


Family.BERT = Family("bert")
Family.ROBERTA = Family("roberta")
Family.GPT2 = Family("gpt2")
Family.T5 = Family("t5")

BUILT_IN_FAMILIES = (Family.BERT, Family.ROBERTA, Family.GPT2, Family.T5)
"""The families of the package."""


class Role(StrEnum):
    """The function of a matrix in its block."""

    QUERY = "query"
    KEY = "key"
    VALUE = "value"
    OUTPUT = "output"
    """Joins the heads and writes to the residual stream."""

    FFN_IN = "ffn_in"
    """From the residual stream to the inner units; in a gated network, the linear factor."""

    FFN_GATE = "ffn_gate"
    """In a gated feed-forward network, the factor that the activation function is applied to."""

    FFN_OUT = "ffn_out"
    """From the inner units back to the residual stream."""


@dataclass(frozen=True)
class Matrix:
    """One weight matrix, seen as ``[out, in]`` whatever the layout of its module.

    Attributes:
        role: Its function in the block.
        path: The module that holds it, from the root of the model.
        rows: The output rows that belong to this matrix, where a module fuses several (GPT-2's
            query, key and value); None for all.
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
        """A name that is unique in the model; fused matrices differ by their role."""
        return f"{self.path}.{self.role}" if self.rows else self.path

    def module(self, model: nn.Module) -> nn.Module:
        """Return the module that holds the matrix."""
        return model.get_submodule(self.path)

    def view(self, weight: torch.Tensor) -> torch.Tensor:
        """Return this matrix ``[out, in]`` as a view of a tensor with the shape of the weight.

        Args:
            weight: The weight of the module, or a tensor of the same shape, such as its gradient.
        """
        oriented = weight.T if self.transposed else weight
        return oriented if self.rows is None else oriented[self.rows]

    def weight(self, model: nn.Module) -> torch.Tensor:
        """Return the matrix ``[out, in]`` as a view: a write to it changes the model."""
        return self.view(self.module(model).weight)  # type: ignore[arg-type]

    def bias(self, model: nn.Module) -> torch.Tensor | None:
        """Return the bias of the matrix ``[out]`` as a view, or None if it has none."""
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
        stack: The stack that contains it.
        index: Its place in the stack, from 0.
        path: Its module, from the root of the model.
        attentions: Self-attention, then cross-attention if there is one.
        ffn: The feed-forward network, or None if it was removed.
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
        """Yield the matrices of all blocks in order.

        Args:
            *roles: The roles to include; none for all.
        """
        for block in self.blocks:
            for matrix in block.matrices:
                if not roles or matrix.role in roles:
                    yield matrix
