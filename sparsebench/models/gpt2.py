"""GPT-2: fused query, key and value, and matrices stored transposed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.models.anatomy import Attention, Block, FeedForward, Matrix, Role
from sparsebench.models.families import FamilyDefinition, Form

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


def blocks(model: nn.Module) -> Iterator[Block]:
    """Yield the decoder blocks of a GPT-2 model, with or without a head."""
    root = "transformer." if hasattr(model, "transformer") else ""
    layers: Any = model.get_submodule(f"{root}h")
    for index, layer in enumerate(layers):
        path = f"{root}h.{index}"
        yield Block(
            stack="decoder",
            index=index,
            path=path,
            attentions=(_attention(layer.attn, path=f"{path}.attn"),),
            ffn=_feed_forward(layer, path=f"{path}.mlp"),
        )


def _attention(module: Any, *, path: str) -> Attention:
    width = module.split_size

    def part(role: Role, place: int) -> Matrix:
        rows = slice(place * width, (place + 1) * width)
        return Matrix(role, f"{path}.c_attn", rows=rows, transposed=True)

    return Attention(
        path=path,
        heads=module.num_heads,
        head_size=module.head_dim,
        query=part(Role.QUERY, 0),
        key=part(Role.KEY, 1),
        value=part(Role.VALUE, 2),
        output=Matrix(Role.OUTPUT, f"{path}.c_proj", transposed=True),
    )


def _feed_forward(layer: Any, *, path: str) -> FeedForward | None:
    if not hasattr(layer.mlp, "c_fc"):
        return None
    return FeedForward(
        path=path,
        activation=f"{path}.act",
        neurons=layer.mlp.c_fc.weight.shape[1],
        up=Matrix(Role.FFN_IN, f"{path}.c_fc", transposed=True),
        down=Matrix(Role.FFN_OUT, f"{path}.c_proj", transposed=True),
    )


GPT2 = FamilyDefinition(
    forms=(Form.CLASSIFICATION, Form.SPAN, Form.LANGUAGE_MODEL),
    blocks=blocks,
    dropouts=("resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_first_dropout"),
    positions=lambda config: config.get("n_positions"),
    head_counts=("num_heads", "split_size"),
)
