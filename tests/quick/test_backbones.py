"""The backbones of the quick suite: small, offline, and worth their pretraining."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open

from sparsebench.method_registry import configure
from sparsebench.models import Backbone, load_backbone, model_source
from sparsebench.models.sources import QUICK
from sparsebench.tasks import TASKS, DataSource
from sparsebench.training.prediction import collator_for, predict

FAMILIES = ("bert", "roberta", "gpt2", "t5")
MEGABYTE = 1_000_000


def load(family: str, task: str) -> Backbone:
    source = model_source(f"quick/{family}")
    chosen = TASKS.get(task)
    torch.manual_seed(0)
    form = chosen.form_for(source.family)
    return load_backbone(source, form=form, labels=chosen.labels)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_backbone_is_small_and_knows_every_word(family: str) -> None:
    assert (QUICK / family / "model.safetensors").stat().st_size < 2 * MEGABYTE
    with safe_open(QUICK / family / "model.safetensors", framework="pt") as file:
        assert file.keys()
    backbone = load(family, "toy-mrpc")
    assert {p.dtype for p in backbone.model.parameters()} == {torch.float32}
    for name in ("toy-cola", "toy-mrpc", "toy-sts"):
        task = TASKS.get(name)
        examples = task.load(DataSource()).evaluation["validation"]
        features = task.encode(
            examples, tokenizer=backbone.tokenizer, form=backbone.form, max_length=48
        )
        ids = {token for row in features["input_ids"] for token in row}
        assert backbone.tokenizer is not None
        assert backbone.tokenizer.unk_token_id not in ids
        assert max(len(row) for row in features["input_ids"]) < 48


@pytest.mark.parametrize("family", FAMILIES)
def test_a_backbone_can_be_loaded_with_another_dropout(family: str) -> None:
    source = model_source(f"quick/{family}")
    form = TASKS.get("toy-mrpc").form_for(source.family)
    for dropout, found in ((None, {0.0}), (0.3, {0.3})):
        model = load_backbone(source, form=form, labels=("no", "yes"), dropout=dropout).model
        assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == found
        attention = ("attention_probs_dropout_prob", "attn_pdrop", "dropout_rate")
        assert {getattr(model.config, name, *found) for name in attention} == found


@pytest.mark.parametrize(
    ("family", "task"),
    [("bert", "toy-cola"), ("roberta", "toy-cola"), ("gpt2", "toy-cola"), ("t5", "toy-mrpc")],
)
def test_pretraining_is_worth_more_than_random_weights(family: str, task: str) -> None:
    """With the backbone frozen, LoRA and the head learn from the pretrained weights only."""
    random = load(family, task)
    for parameter in random.model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.05)
    pretrained, untrained = _lora_score(load(family, task), task), _lora_score(random, task)
    assert pretrained > untrained + 0.2, (pretrained, untrained)


def _lora_score(backbone: Backbone, name: str, *, steps: int = 150) -> float:
    task = TASKS.get(name)
    data = task.load(DataSource())
    terms = {"tokenizer": backbone.tokenizer, "form": backbone.form, "max_length": 48}
    features = task.encode(data.train, **terms)
    collate = collator_for(backbone.tokenizer, backbone.form)  # type: ignore[arg-type]
    model = configure("lora", {}).prepare(backbone).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-3, weight_decay=0.0)
    for step in range(steps):
        rows = [features[(32 * step + place) % len(features)] for place in range(32)]
        model(**collate(rows)).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * (1 - step / steps)
        optimizer.step()
        optimizer.zero_grad()
    dev = data.evaluation["validation"]
    outputs = predict(
        model,
        task.encode(dev, **terms),
        tokenizer=backbone.tokenizer,  # type: ignore[arg-type]
        form=backbone.form,
        max_answer_tokens=3,
    )
    scores = task.score(task.decode(outputs, form=backbone.form), task.references(dev))
    return task.headline({"validation": scores})
