"""T5 and Flan-T5: two stacks, cross-attention, plain or gated feed-forward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sparsebench.models.anatomy import Attention, Block, FeedForward, Matrix, Role
from sparsebench.models.families import FamilyDefinition, Form

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

_STACKS: tuple[Literal["encoder", "decoder"], ...] = ("encoder", "decoder")


def blocks(model: nn.Module) -> Iterator[Block]:
    """Yield the blocks of a T5 model, those of the encoder first."""
    for stack in _STACKS:
        layers: Any = model.get_submodule(f"{stack}.block")
        for index, block in enumerate(layers):
            path = f"{stack}.block.{index}"
            yield Block(
                stack=stack,
                index=index,
                path=path,
                attentions=tuple(_attentions(block.layer, path=path)),
                ffn=_feed_forward(block.layer[-1], path=f"{path}.layer.{len(block.layer) - 1}"),
            )


def _attentions(layers: Any, *, path: str) -> Iterator[Attention]:
    for place, layer in enumerate(layers[:-1]):
        name = "EncDecAttention" if hasattr(layer, "EncDecAttention") else "SelfAttention"
        inner = f"{path}.layer.{place}.{name}"
        module = getattr(layer, name)
        yield Attention(
            path=inner,
            heads=module.n_heads,
            head_size=module.key_value_proj_dim,
            query=Matrix(Role.QUERY, f"{inner}.q"),
            key=Matrix(Role.KEY, f"{inner}.k"),
            value=Matrix(Role.VALUE, f"{inner}.v"),
            output=Matrix(Role.OUTPUT, f"{inner}.o"),
            cross=name == "EncDecAttention",
        )


def _feed_forward(layer: Any, *, path: str) -> FeedForward | None:
    dense = getattr(layer, "DenseReluDense", None)
    if dense is None:
        return None
    inner = f"{path}.DenseReluDense"
    gated = hasattr(dense, "wi_0")
    return FeedForward(
        path=path,
        activation=f"{inner}.act",
        neurons=dense.wo.weight.shape[1],
        up=Matrix(Role.FFN_IN, f"{inner}.{'wi_1' if gated else 'wi'}"),
        gate=Matrix(Role.FFN_GATE, f"{inner}.wi_0") if gated else None,
        down=Matrix(Role.FFN_OUT, f"{inner}.wo"),
    )


T5 = FamilyDefinition(
    forms=(Form.TEXT_TO_TEXT,),
    blocks=blocks,
    dropouts=("dropout_rate", "classifier_dropout"),
    positions=lambda config: None,  # noqa: ARG005 - relative positions have no limit
    head_counts=("n_heads", "inner_dim"),
)
