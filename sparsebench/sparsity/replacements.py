"""What stands in a model where a part of it was removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from transformers.models.t5.modeling_t5 import T5Attention

if TYPE_CHECKING:
    from torch import Tensor


class NormOnly(nn.Module):
    """Stands for the output layer of a removed feed-forward network in BERT and RoBERTa.

    There the norm follows the sum of the residual stream and the network's output. Without the
    network the sum is the residual stream alone, and its norm stays: this is what the block tends
    to as the network's output goes to zero.

    Args:
        norm: The norm after the sum.
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.LayerNorm = norm

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:  # noqa: ARG002
        """Returns the norm of the residual stream ``input_tensor``, whatever the first input."""
        normed: Tensor = self.LayerNorm(input_tensor)
        return normed


class Nothing(nn.Module):
    """Stands for a removed feed-forward network whose output is added to its input's stream."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Returns a single zero, which adds nothing and costs no memory."""
        return hidden_states.new_zeros(())


class FewerHeads(T5Attention):  # type: ignore[misc]
    """T5's self-attention without some of its heads.

    All blocks of a stack share one position bias, which the first computes for every head that the
    model had. A block without some heads takes the rows of those it kept, and hands the whole on.

    A live module becomes one of these by a change of its class: its paths, parameters and hooks
    stay as they are.
    """

    kept_heads: Tensor
    """The heads that are left ``[heads]``, by their number in the whole model; a buffer."""

    _whole_bias: Tensor | None

    def compute_bias(self, *args: Any, **kwargs: Any) -> Tensor:
        """Computes the bias of every head, and returns the rows of those that are left."""
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
        """Attends with the kept heads' bias; returns the bias of all heads for the next block."""
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

    Cross-attention has no position bias, but its blocks hand on zeros of the first one's shape. A
    single row of zeros does for any number of heads.
    """

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Attends without a bias; returns a single row of zeros for the next block."""
        output, zeros, *rest = super().forward(
            hidden_states,
            mask=mask,
            key_value_states=key_value_states,
            position_bias=position_bias,
            **kwargs,
        )
        return output, zeros[:, :1], *rest
