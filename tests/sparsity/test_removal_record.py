"""A record brings a freshly built model into the shapes of the one it was taken from."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench import UserError
from sparsebench.models import anatomy_of
from sparsebench.sparsity.removal import (
    apply_record,
    removal_record,
    remove_ffn,
    remove_heads,
    remove_neurons,
)


def reduce(model: Any) -> None:
    blocks = anatomy_of(model).blocks
    remove_heads(model, blocks[0].attentions[0], [1, 2])
    remove_heads(model, blocks[-1].attentions[-1], [0])
    remove_neurons(model, blocks[0].ffn, range(5))
    remove_ffn(model, blocks[-2])


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind: str) -> None:
    backbone = tiny_backbone(kind)
    assert removal_record(backbone.model) == {}
    reduce(backbone.model)
    record = json.loads(json.dumps(removal_record(backbone.model)))
    fresh = tiny_backbone(kind, seed=1)
    apply_record(fresh.model, record)
    assert fresh.anatomy == backbone.anatomy
    fresh.model.load_state_dict(backbone.model.state_dict(), strict=True)
    batch = tiny_batch(backbone)
    with torch.no_grad():
        assert torch.equal(
            fresh.model.eval()(**batch).logits, backbone.model.eval()(**batch).logits
        )


def test_says_only_what_changed() -> None:
    backbone = tiny_backbone("bert")
    reduce(backbone.model)
    assert removal_record(backbone.model) == {
        "bert.encoder.layer.0": {"heads": [2], "neurons": 43},
        "bert.encoder.layer.1": {"heads": [4], "neurons": None},
        "bert.encoder.layer.2": {"heads": [3], "neurons": 48},
    }


def test_applies_on_the_meta_device() -> None:
    backbone = tiny_backbone("t5")
    reduce(backbone.model)
    with torch.device("meta"):
        fresh = type(backbone.model)(backbone.model.config)
        apply_record(fresh, removal_record(backbone.model))
    assert {k: v.shape for k, v in fresh.state_dict().items()} == {
        k: v.shape for k, v in backbone.model.state_dict().items()
    }


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([], "not a record"),
        ({"x": {"heads": 3}}, "not a record"),
        ({"bert.encoder.layer.9": {"heads": [1], "neurons": 1}}, "no block"),
        ({"bert.encoder.layer.0": {"heads": [0], "neurons": 1}}, "at least one head"),
        ({"bert.encoder.layer.0": {"heads": [1, 1], "neurons": 1}}, "do not fit"),
        ({"bert.encoder.layer.0": {"heads": [5], "neurons": 49}}, "do not fit"),
    ],
)
def test_refuses_what_does_not_fit(record: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        apply_record(tiny_backbone("bert").model, record)
