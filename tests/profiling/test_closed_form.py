"""The closed form says what the published architectures come to, and keeps quiet about others."""

from __future__ import annotations

import pytest
import torch
from tiny_models import tiny_backbone
from torch import nn

from sparsebench.models import Form
from sparsebench.profiling.closed_form import closed_form

WIDTH, INNER, BLOCKS, VOCABULARY = 32, 48, 3, 50


def by_hand(tokens: int, *, keys: int) -> int:
    """Returns what one block of BERT or GPT-2 of the tiny size takes."""
    return tokens * (4 * WIDTH**2 + 2 * WIDTH * INNER) + 2 * tokens * keys * WIDTH


def test_encoder_with_a_pooled_head() -> None:
    model = tiny_backbone("bert").model
    expected = BLOCKS * by_hand(20, keys=20) + WIDTH**2 + 2 * WIDTH
    assert closed_form(model, {"input_ids": (3, 20)}) == 3 * expected


def test_decoder_with_a_head_on_every_token() -> None:
    model = tiny_backbone("gpt2", n_inner=INNER).model
    expected = BLOCKS * by_hand(20, keys=20) + 20 * WIDTH * VOCABULARY
    assert closed_form(model, {"input_ids": (2, 20)}) == 2 * expected


def test_encoder_and_decoder_of_different_lengths() -> None:
    model = tiny_backbone("t5").model
    across = 7 * 2 * WIDTH**2 + 20 * 2 * WIDTH**2 + 2 * 7 * 20 * WIDTH
    blocks = BLOCKS * (by_hand(20, keys=20) + by_hand(7, keys=7) + across)
    shapes = {"input_ids": (2, 20), "decoder_input_ids": (2, 7)}
    assert closed_form(model, shapes) == 2 * (blocks + 7 * WIDTH * VOCABULARY)


def test_gated_network_has_a_third_matrix() -> None:
    shapes = {"input_ids": (1, 10), "decoder_input_ids": (1, 10)}
    plain, gated = (
        closed_form(tiny_backbone(kind, tie_word_embeddings=True).model, shapes)
        for kind in ("t5", "flan-t5")
    )
    assert plain is not None
    assert gated == plain + 2 * BLOCKS * 10 * WIDTH * INNER


@pytest.mark.parametrize("shapes", [{"input_ids": (1, 4)}, {"x": (1, 4)}])
def test_no_formula_for_other_architectures(shapes: dict[str, tuple[int, ...]]) -> None:
    assert closed_form(nn.Linear(4, 4), shapes) is None


def test_a_sparse_weight_counts_what_it_stores() -> None:
    model = tiny_backbone("bert", form=Form.SPAN).model
    shapes = {"input_ids": (1, 10)}
    dense = closed_form(model, shapes)
    layer = model.bert.encoder.layer[0].intermediate.dense
    weight = layer.weight.detach().clone()
    weight[:40] = 0
    layer.weight = nn.Parameter(weight.to_sparse_csr(), requires_grad=False)
    assert dense is not None
    assert closed_form(model, shapes) == dense - 10 * 40 * WIDTH
    assert torch.count_nonzero(weight) == 8 * WIDTH
