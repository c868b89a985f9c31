"""Modules that replace a part that was removed from a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from transformers.models.t5.modeling_t5 import T5Attention

if TYPE_CHECKING:
    from torch import Tensor


class NormOnly(nn.Module):
    """Replaces the output layer of a removed FFN in BERT and RoBERTa.

    There the norm follows the sum of the residual stream and the output of the FFN. Without the
    FFN the sum is the residual stream alone, and the norm stays: the block approaches this as the
    output of the FFN approaches zero.

    Args:
        norm: The norm after the sum.
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.LayerNorm = norm

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:  # noqa: ARG002
        """Return the norm of the residual stream ``input_tensor``, whatever the first input."""
        normed: Tensor = self.LayerNorm(input_tensor)
        return normed


class ZeroOutput(nn.Module):
    """Replaces a removed FFN in GPT-2, which adds its output to the residual stream."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return a single zero, which adds nothing and needs no memory."""
        return hidden_states.new_zeros(())


class FewerHeads(T5Attention):  # type: ignore[misc]
    """T5's self-attention without some of its heads.

    All blocks of a stack share one position bias, which the first block computes for every head of
    the whole model. A reduced block uses the rows of its remaining heads, and passes the whole bias
    on.

    A module of a model gets this behaviour by a change of its class, so that its paths, parameters
    and hooks stay as they are.
    """

    kept_heads: Tensor
    """The remaining heads ``[heads]``, by their number in the whole model; a buffer."""

    _whole_bias: Tensor | None

    def compute_bias(self, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the bias of every head, and return the rows of the remaining heads."""
        whole: Tensor = super().compute_bias(*args, **kwargs)
        self._whole_bias = whole
        return whole.index_select(1, self.kept_heads)

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Attend with the remaining heads; return the bias of all heads for the next block."""
        whole = position_bias
        if whole is not None:
            position_bias = whole.index_select(1, self.kept_heads)
        output, _, *rest = super().forward(
            hidden_states,
            mask=mask,
            key_value_states=key_value_states,
            position_bias=position_bias,
            **kwargs,
        )
        if whole is None:
            whole, self._whole_bias = self._whole_bias, None
        return output, whole, *rest


class AnyHeads(T5Attention):  # type: ignore[misc]
    """T5's cross-attention in a stack whose blocks differ in their number of heads.

    Cross-attention has no position bias, but its blocks pass on zeros of the first block's shape. A
    single row of zeros fits any number of heads.
    """

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Attend without a bias; return a single row of zeros for the next block."""
        output, zeros, *rest = super().forward(
            hidden_states,
            mask=mask,
            key_value_states=key_value_states,
            position_bias=position_bias,
            **kwargs,
        )
        return output, zeros[:, :1], *rest
