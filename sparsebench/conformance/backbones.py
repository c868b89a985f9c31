"""Tiny random backbones of every kind, and examples for them, without download or file."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.models import Backbone, Family, Form
from sparsebench.models.backbone import auto_class
from sparsebench.models.families import HEADS, IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasets import Dataset

_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": (
        "bert",
        {
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": 40,
        },
    ),
    "gpt2": (
        "gpt2",
        {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 40, "bos_token_id": 1},
    ),
    "t5": (
        "t5",
        {
            "d_model": 32,
            "d_ff": 48,
            "d_kv": 8,
            "num_layers": 3,
            "num_heads": 4,
            "decoder_start_token_id": 0,
            "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 12,
        },
    ),
}
_KINDS["roberta"] = ("roberta", _KINDS["bert"][1])
_KINDS["flan-t5"] = (
    "t5",
    {**_KINDS["t5"][1], "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
)

KINDS = tuple(_KINDS)
"""The four families, and T5 with a gated feed-forward network."""

_FORM = {
    Family.BERT: Form.CLASSIFICATION,
    Family.ROBERTA: Form.CLASSIFICATION,
    Family.GPT2: Form.LANGUAGE_MODEL,
    Family.T5: Form.TEXT_TO_TEXT,
}
VOCABULARY = 50


def tiny_backbone(
    kind: str, *, form: Form | None = None, seed: int = 0, attention: str = "sdpa", **config: Any
) -> Backbone:
    """Return a random backbone of 3 blocks (T5: 3 and 3), in training mode, biases not zero.

    Args:
        kind: One of ``KINDS``.
        form: Its form; by default the one in which the family differs most from the others.
        seed: Seeds torch's global generator, which draws the weights.
        attention: The implementation of attention.
        **config: Overrides of its transformers configuration.
    """
    from transformers import AutoConfig

    family, settings = _KINDS[kind]
    form = form or _FORM[Family(family)]
    torch.manual_seed(seed)
    arguments = {"vocab_size": VOCABULARY, "pad_token_id": 0, "num_labels": 2, **settings, **config}
    transformers_config = AutoConfig.for_model(family, **arguments)
    model = auto_class(form).from_config(transformers_config, attn_implementation=attention).train()
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1 or "relative_attention_bias" in name:
            torch.nn.init.normal_(parameter, mean=float("norm" in name.lower()), std=0.3)
        elif family != "t5" or "block" in name:
            torch.nn.init.normal_(parameter, std=0.15)
    head = frozenset(name for name, _ in model.named_parameters() if name.startswith(HEADS))
    return Backbone(model=model, tokenizer=None, form=form, head=head)


def tiny_batch(
    backbone: Backbone, *, rows: int = 3, length: int = 10, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Return a batch with labels, its last row padded by four tokens."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (rows, length), generator=generator)
    mask = torch.ones_like(ids)
    ids[-1, -4:], mask[-1, -4:] = 0, 0
    batch = {"input_ids": ids, "attention_mask": mask}
    if backbone.form is Form.CLASSIFICATION:
        return {**batch, "labels": torch.arange(rows) % 2}
    if backbone.form is Form.SPAN:
        places = torch.arange(rows) % 5
        return {**batch, "start_positions": places, "end_positions": places + 1}
    if backbone.form is Form.TEXT_TO_TEXT:
        return {**batch, "labels": torch.randint(3, VOCABULARY, (rows, 6), generator=generator)}
    return {**batch, "labels": ids.masked_fill(mask == 0, IGNORED)}


@cache
def tiny_features(form: Form, *, rows: int = 24) -> Dataset:
    """Return random examples of 5 to 9 tokens, encoded as a task of this form does."""
    from datasets import Dataset

    generator = torch.Generator().manual_seed(3)

    def tokens(count: int) -> list[int]:
        drawn: list[int] = torch.randint(3, VOCABULARY, (count,), generator=generator).tolist()
        return drawn

    def answer(place: int, ids: list[int]) -> dict[str, Any]:
        if form is Form.CLASSIFICATION:
            return {"labels": place % 2}
        if form is Form.SPAN:
            return {"start_positions": place % 3, "end_positions": place % 3 + 1}
        return {"labels": tokens(2 + place % 3) if form is Form.TEXT_TO_TEXT else ids}

    examples = [(place, tokens(5 + place % 5)) for place in range(rows)]
    return Dataset.from_list(
        [
            {
                "input_ids": ids,
                "attention_mask": [1] * len(ids),
                **answer(place, ids),
                "length": len(ids),
            }
            for place, ids in examples
        ]
    )


def tiny_collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Collate features to a batch, every column padded to its longest value."""
    batch = {}
    for name in (name for name in rows[0] if name != "length"):
        values = [torch.tensor(row[name]) for row in rows]
        padding = float(IGNORED if name == "labels" else 0)
        batch[name] = (
            torch.nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=padding)
            if values[0].ndim
            else torch.stack(values)
        )
    return batch
