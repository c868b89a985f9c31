"""The hidden states of a forward pass: what the blocks of a model return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from sparsebench.models import anatomy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn


class HiddenStates:
    """The outputs of the blocks of a model in its last forward pass, noted by hooks.

    Those of a training view are noted only while gradients are: an evaluation keeps nothing.

    Args:
        model: A transformers model.
        teaches: Whether it is a teacher, which computes without gradients.
    """

    def __init__(self, model: nn.Module, *, teaches: bool = False) -> None:
        self._teaches = teaches
        self._states: dict[str, list[Tensor]] = {}
        self._handles = [
            model.get_submodule(block.path).register_forward_hook(self._note(block.stack))
            for block in anatomy_of(model).blocks
        ]

    def _note(self, stack: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(_: nn.Module, __: Any, output: Any) -> None:
            if self._teaches or torch.is_grad_enabled():
                state = output if isinstance(output, torch.Tensor) else output[0]
                self._states.setdefault(stack, []).append(state)

        return note

    def take(self) -> dict[str, list[Tensor]]:
        """Return the states ``[batch, tokens, width]`` of the blocks by stack, and forget them."""
        states, self._states = self._states, {}
        return states

    def remove(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()


def hidden_loss(
    student: Mapping[str, list[Tensor]],
    teacher: Mapping[str, list[Tensor]],
    *,
    real: Mapping[str, Tensor],
) -> Tensor:
    """Return the mean squared difference of hidden states over real tokens, a scalar.

    The blocks of the student are spread evenly over those of the teacher: block i of n learns from
    block ``i * m // n`` of m, both counted from 1. All blocks of all stacks weigh the same.

    Args:
        student: The states of the training view, by stack.
        teacher: The states of the teacher, by stack.
        real: Which tokens count ``[batch, tokens]``, by stack.
    """
    losses = []
    for stack, own in student.items():
        given = teacher[stack]
        for block, state in enumerate(own, start=1):
            other = given[max(1, block * len(given) // len(own)) - 1]
            counted = real[stack]
            state_of_input = state[:, -other.shape[1] :]  # without virtual tokens before the input
            difference = functional.mse_loss(
                state_of_input[counted].float(), other[counted].float(), reduction="sum"
            )
            losses.append(difference / max(1, int(counted.sum()) * state.shape[-1]))
    return torch.stack(losses).mean()
