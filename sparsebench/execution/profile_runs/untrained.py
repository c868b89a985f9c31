"""A method in its final form without training: its masks and removals, on untrained weights.

What trains is first moved by a small random step, which stands for training: else scores that start
at zero would be ties, and updates that start at zero would leave zeros that training fills.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from sparsebench.method_registry import prepared
from sparsebench.sparsity.encoding import bit_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

    from sparsebench.method import Method
    from sparsebench.models import Backbone

STEP = 1e-4
"""Standard deviation of the random step."""


@dataclass(frozen=True)
class Finished:
    """What a method has made of an untrained backbone.

    Attributes:
        model: What would ship.
        trainable: Parameters that would train, the head apart.
        learned: Bytes of what would train, the head included, and of the masks; None without
            values (on the ``meta`` device), where what a mask leaves cannot be told.
    """

    model: nn.Module
    trainable: int
    learned: int | None


def finish(method: Method, backbone: Backbone, *, seed: int = 0) -> Finished:
    """Takes a method from prepare to deploy, every stage and schedule at its end.

    Args:
        method: The method.
        backbone: The backbone, on the CPU; its model is what the method makes of it afterwards.
        seed: Draws the random step.
    """
    model = backbone.model
    original = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    own = {**dict(model.named_buffers()), **model.state_dict(keep_vars=True)}
    names = {id(tensor): name for name, tensor in own.items()}
    head = {id(model.get_parameter(name)) for name in backbone.head}
    view = prepared(method, backbone)
    _step(view, seed)
    trainable = sum(p.numel() for p in view.parameters() if p.requires_grad and id(p) not in head)
    for stage in method.stages():
        method.begin_stage(view, stage)
    method.before_step(view, 1.0)
    values = not any(tensor.is_meta for tensor in original.values())
    learned = sum(_learned(view, names, original)) if values else None
    view.eval()
    with torch.no_grad():
        return Finished(method.deploy(view), trainable, learned)


@torch.no_grad()
def _step(view: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in view.parameters():
        if parameter.requires_grad:
            noise = torch.empty(parameter.shape).normal_(0.0, STEP, generator=generator)
            parameter.add_(noise.to(parameter.device, parameter.dtype))


def _learned(
    view: nn.Module, names: Mapping[int, str], original: Mapping[str, Tensor]
) -> Iterator[int]:
    """Yields the bytes of each tensor that the backbone alone does not give."""
    for parameter in view.parameters():
        if parameter.requires_grad:
            yield parameter.nbytes
            continue
        name = names.get(id(parameter))
        before = original.get(name or "")
        if before is None:  # what was removed of it is told by a bit for each row and column
            yield bit_bytes(sum(parameter.shape))
        elif not torch.equal(before, parameter.detach()):
            yield bit_bytes(parameter.numel())
    for buffer in view.buffers():
        if id(buffer) not in names:
            yield bit_bytes(buffer.numel()) if buffer.dtype == torch.bool else buffer.nbytes
