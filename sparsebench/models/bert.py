"""BERT and RoBERTa, whose blocks have the same structure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparsebench.models.anatomy import Attention, Block, FeedForward, Matrix, Role
from sparsebench.models.families import FamilyDefinition, Form

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn


def blocks(model: nn.Module) -> Iterator[Block]:
    """Yield the encoder blocks of a BERT or RoBERTa model, with or without a head."""
    prefix = getattr(model, "base_model_prefix", "")
    root = f"{prefix}." if hasattr(model, prefix) else ""
    layers: Any = model.get_submodule(f"{root}encoder.layer")
    for index, layer in enumerate(layers):
        path = f"{root}encoder.layer.{index}"
        yield Block(
            stack="encoder",
            index=index,
            path=path,
            attentions=(_attention(layer.attention.self, path=f"{path}.attention"),),
            ffn=_feed_forward(layer, path=path),
        )


def _attention(module: Any, *, path: str) -> Attention:
    return Attention(
        path=f"{path}.self",
        heads=module.num_attention_heads,
        head_size=module.attention_head_size,
        query=Matrix(Role.QUERY, f"{path}.self.query"),
        key=Matrix(Role.KEY, f"{path}.self.key"),
        value=Matrix(Role.VALUE, f"{path}.self.value"),
        output=Matrix(Role.OUTPUT, f"{path}.output.dense"),
    )


def _feed_forward(layer: Any, *, path: str) -> FeedForward | None:
    if not hasattr(layer.intermediate, "dense"):
        return None
    return FeedForward(
        path=f"{path}.output",
        activation=f"{path}.intermediate.intermediate_act_fn",
        neurons=layer.intermediate.dense.weight.shape[0],
        up=Matrix(Role.FFN_IN, f"{path}.intermediate.dense"),
        down=Matrix(Role.FFN_OUT, f"{path}.output.dense"),
    )


def _positions(config: Mapping[str, Any]) -> int | None:
    """RoBERTa counts positions from behind its pad token, so that the first ones are never used."""
    positions: int | None = config.get("max_position_embeddings")
    pad = config.get("pad_token_id")
    return positions and positions - (1 if pad is None else pad) - 1


BERT = FamilyDefinition(
    forms=(Form.CLASSIFICATION, Form.SPAN),
    blocks=blocks,
    dropouts=("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    pooler="bert.pooler.",
)

ROBERTA = replace(BERT, positions=_positions, pooler="")
