"""Where in memory the weights of a model lie: a product may be faster at one place than at another.

A process that measures once sees one placement. To move the weights between blocks of rounds is to
see several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn


def move_to_fresh_memory(models: Iterable[nn.Module]) -> None:
    """Gives every dense parameter of some models memory of its own that it did not have before."""
    seen: set[int] = set()
    for model in models:
        for parameter in model.parameters():
            plain = parameter.layout == torch.strided and type(parameter.data) is torch.Tensor
            if plain and id(parameter) not in seen:
                seen.add(id(parameter))
                parameter.data = parameter.data.clone(memory_format=torch.preserve_format)
