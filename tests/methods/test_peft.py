"""The bridge to PEFT: every tuner it has works on a family, or is refused with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from method_steps import largest_difference, predict, round_trip, snapshot, train_steps
from sparsebench_methods.peft import PEFT, PEFTConfig
from sparsebench_methods.peft_tuners import tuners
from tiny_models import tiny_backbone, tiny_batch

from sparsebench import Backbone, Family, Form, UserError, load
from sparsebench.training.checkpoints import load_state, save_state

if TYPE_CHECKING:
    from pathlib import Path

FORMS = {
    "bert": Form.CLASSIFICATION,
    "roberta": Form.CLASSIFICATION,
    "gpt2": Form.CLASSIFICATION,
    "t5": Form.TEXT_TO_TEXT,
}
ALL = frozenset(FORMS)
NOT_GPT2 = ALL - {"gpt2"}
ENCODERS = frozenset({"bert", "roberta"})
NONE: frozenset[str] = frozenset()

TABLE: dict[str, tuple[frozenset[str], dict[str, Any]]] = {
    "adalora": (ALL, {}),
    "adamss": (NOT_GPT2, {}),
    "adaption_prompt": (NONE, {}),
    "beft": (ENCODERS, {}),
    "boft": (NOT_GPT2, {}),
    "c3a": (NOT_GPT2, {"block_size": 16}),
    "cartridge": (ALL, {}),
    "cpt": (NONE, {}),
    "deft": (ALL, {}),
    "delora": (NOT_GPT2, {}),
    "fourierft": (ALL, {"scaling": 1.0}),
    "frod": (ALL, {}),
    "glora": (NOT_GPT2, {}),
    "gralora": (ALL, {}),
    "hira": (ALL, {}),
    "hra": (NOT_GPT2, {}),
    "ia3": (ALL, {}),
    "lily": (NOT_GPT2, {}),
    "ln_tuning": (ALL, {}),
    "loha": (NOT_GPT2, {}),
    "lokr": (NOT_GPT2, {}),
    "lora": (ALL, {}),
    "miss": (NOT_GPT2, {"r": 4}),
    "multitask_prompt_tuning": (NONE, {}),
    "oft": (NOT_GPT2, {}),
    "osf": (NOT_GPT2, {}),
    "p_tuning": (NOT_GPT2, {"encoder_hidden_size": 16}),
    "peanut": (NOT_GPT2, {}),
    "poly": (NONE, {}),
    "prefix_tuning": (ALL, {}),
    "prompt_tuning": (NOT_GPT2, {}),
    "psoft": (NOT_GPT2, {}),
    "pvera": (ALL, {}),
    "randlora": (ALL, {}),
    "road": (NOT_GPT2, {"group_size": 8}),
    "shadow": (NONE, {}),
    "shira": (NOT_GPT2, {"r": 4}),
    "supertuning": (NOT_GPT2, {}),
    "tinylora": (ALL, {}),
    "trainable_tokens": (ALL, {"token_indices": [3, 4, 5]}),
    "unilora": (ALL, {}),
    "vblora": (ALL, {"vector_length": 16, "num_vectors": 8}),
    "vera": (ALL, {}),
    "waveft": (ALL, {"n_frequency": 50}),
    "xlora": (NONE, {}),
}
"""Tuner -> the families it is expected to work on, and settings that fit models this small."""

UNMERGED = {"cartridge", "lily", "p_tuning", "prefix_tuning", "prompt_tuning"}
"""Tuners that are deployed as a model with an adapter."""

WORKING = [(t, k) for t, (kinds, _) in TABLE.items() for k in sorted(kinds)]
REFUSED = [(t, k) for t, (kinds, _) in TABLE.items() for k in sorted(ALL - kinds)]


def make(tuner: str, kind: str) -> tuple[PEFT, Backbone]:
    if tuner not in tuners():
        pytest.skip(f"this version of PEFT has no {tuner}")
    method = PEFT(PEFTConfig(tuner=tuner, settings=TABLE[tuner][1]))
    return method, tiny_backbone(kind, form=FORMS[kind])


def test_every_tuner_of_the_library_is_in_the_table() -> None:
    assert not set(tuners()) - set(TABLE)


@pytest.mark.parametrize(("tuner", "kind"), WORKING)
def test_trains_ships_and_predicts_the_same(tuner: str, kind: str, tmp_path: Path) -> None:
    method, backbone = make(tuner, kind)
    batch = tiny_batch(backbone)
    head = {name: backbone.model.get_parameter(name) for name in backbone.head}
    plain = [name for name, _ in backbone.model.named_parameters()]
    assert method.refuses(backbone.family, backbone.form) is None

    view = method.prepare(backbone)
    free = {n for n, p in view.named_parameters(remove_duplicate=False) if p.requires_grad}
    in_view = {id(parameter) for parameter in view.parameters()}
    assert all(id(parameter) in in_view for parameter in head.values()), "the head was replaced"
    assert all(parameter.requires_grad for parameter in head.values())
    assert len(free) > len(head)
    before = snapshot(view)
    loss = train_steps(method, view, batch)
    after = snapshot(view)
    assert torch.isfinite(torch.tensor(loss))
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved <= free
    assert len(moved) > len(head)

    save_state(view, tmp_path / "state.safetensors")
    load_state(view, tmp_path / "state.safetensors")
    in_training = predict(view, batch, backbone.form)
    deployed = method.deploy(view)
    logits = predict(deployed, batch, backbone.form)
    assert largest_difference(in_training[:1], logits[:1]) < 1e-4
    loaded = round_trip(deployed, backbone, tmp_path / "deployed")
    assert largest_difference(predict(loaded, batch, backbone.form), logits) < 1e-5
    if tuner not in UNMERGED:
        assert type(loaded) is type(backbone.model)
        assert [name for name, _ in deployed.named_parameters()] == plain
        assert not [m for m in deployed.modules() if "peft" in type(m).__module__]
        assert not [m for m in deployed.modules() if m._forward_hooks or m._forward_pre_hooks]
    else:
        assert (tmp_path / "deployed" / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(("tuner", "kind"), REFUSED)
def test_is_refused_with_a_reason(tuner: str, kind: str) -> None:
    method, backbone = make(tuner, kind)
    reason = method.refuses(backbone.family, backbone.form)
    assert reason
    assert tuner in reason
    with pytest.raises(UserError, match=tuner):
        method.prepare(backbone)


LINEAR_ONLY = [t for t, k in REFUSED if k == "gpt2" and TABLE[t][0] and t not in UNMERGED]


@pytest.mark.parametrize("tuner", LINEAR_ONLY)
def test_what_is_refused_for_gpt2_would_fail(tuner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method, backbone = make(tuner, "gpt2")
    monkeypatch.setattr(method, "refuses", lambda *_: None)
    with pytest.raises(UserError, match=tuner):
        method.prepare(backbone)


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2"])
@pytest.mark.parametrize("tuner", ["ia3", "prefix_tuning"])
def test_answers_with_spans(tuner: str, kind: str, tmp_path: Path) -> None:
    backbone = tiny_backbone(kind, form=Form.SPAN)
    check_round_trip(PEFT(PEFTConfig(tuner=tuner)), backbone, tmp_path)


@pytest.mark.parametrize("tuner", ["ia3", "prefix_tuning", "cartridge"])
def test_continues_text(tuner: str, tmp_path: Path) -> None:
    backbone = tiny_backbone("gpt2", form=Form.LANGUAGE_MODEL)
    check_round_trip(PEFT(PEFTConfig(tuner=tuner)), backbone, tmp_path)


def check_round_trip(method: PEFT, backbone: Backbone, folder: Path) -> None:
    batch = tiny_batch(backbone)
    before = predict(backbone.model.eval(), batch, backbone.form)[0]
    view = method.prepare(backbone)
    train_steps(method, view, batch)
    deployed = method.deploy(view)
    expected = predict(deployed, batch, backbone.form)
    assert largest_difference(expected[:1], (before,)) > 1e-3
    loaded = round_trip(deployed, backbone, folder / "deployed")
    assert largest_difference(predict(loaded, batch, backbone.form), expected) < 1e-5


@pytest.mark.parametrize("tuner", ["prompt_tuning", "p_tuning"])
def test_virtual_tokens_are_refused_for_spans(tuner: str) -> None:
    method = PEFT(PEFTConfig(tuner=tuner))
    assert "shift the positions" in (method.refuses(Family.BERT, Form.SPAN) or "")


PROMPTS = [(tuner, kind) for tuner, kind in WORKING if tuner in UNMERGED - {"lily"}]


@pytest.mark.parametrize(("tuner", "kind"), PROMPTS)
def test_padding_does_not_change_the_answer(tuner: str, kind: str) -> None:
    method, backbone = make(tuner, kind)
    view = method.prepare(backbone)
    train_steps(method, view, tiny_batch(backbone))
    batch = tiny_batch(backbone, rows=2, length=8)
    batch["input_ids"], batch["attention_mask"] = batch["input_ids"][:1], torch.ones(1, 8).long()
    batch["labels"] = batch["labels"][:1]
    padded = dict(batch)
    for name in ("input_ids", "attention_mask"):
        padded[name] = torch.nn.functional.pad(batch[name], (0, 3))
    a, b = (predict(view, inputs, backbone.form) for inputs in (batch, padded))
    assert largest_difference(a, b) < 1e-5


def test_a_prompt_has_20_virtual_tokens_unless_set() -> None:
    for settings, tokens in (({}, 20), ({"num_virtual_tokens": 5}, 5)):
        backbone = tiny_backbone("bert")
        view = PEFT(PEFTConfig(tuner="prompt_tuning", settings=settings)).prepare(backbone)
        counts = [p.numel() for n, p in view.named_parameters() if "prompt_encoder" in n]
        assert counts == [tokens * 32]


def test_a_loaded_prompt_holds_the_head_once(tmp_path: Path) -> None:
    method, backbone = make("prefix_tuning", "bert")
    view = method.prepare(backbone)
    train_steps(method, view, tiny_batch(backbone))
    loaded = round_trip(method.deploy(view), backbone, tmp_path / "deployed")
    heads = [name for name, _ in loaded.named_parameters() if "classifier" in name]
    assert heads == ["base_model.classifier.weight", "base_model.classifier.bias"]


def test_an_adapter_that_does_not_fit_is_a_user_error(tmp_path: Path) -> None:
    folder = tmp_path / "deployed"
    method, backbone = make("prefix_tuning", "bert")
    round_trip(method.deploy(method.prepare(backbone)), backbone, folder)
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="adapter"):
        load(folder)
    (folder / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(UserError, match="adapter"):
        load(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tuner": "lorra"}, r"unknown PEFT tuner 'lorra'; did you mean 'lora'\?"),
        (
            {"tuner": "ia3", "settings": {"target_module": ["key"]}},
            r"unknown setting of the PEFT tuner 'ia3' 'target_module'; did you mean",
        ),
        ({"settings": {"modules_to_save": ["classifier"]}}, "modules_to_save"),
        ({"settings": {"inference_mode": True}}, "inference_mode"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PEFTConfig(**settings)


def test_what_peft_refuses_is_a_user_error_with_its_reason() -> None:
    backbone = tiny_backbone("bert")
    with pytest.raises(UserError, match=r"'c3a' does not fit this bert model.*block size"):
        PEFT(PEFTConfig(tuner="c3a")).prepare(backbone)
    with pytest.raises(UserError, match="not found in the base model"):
        PEFT(PEFTConfig(tuner="lora", settings={"target_modules": ["nowhere"]})).prepare(backbone)


def test_what_to_adapt_can_be_set() -> None:
    backbone = tiny_backbone("bert")
    settings = {"target_modules": ["key"], "r": 2}
    view = PEFT(PEFTConfig(tuner="lora", settings=settings)).prepare(backbone)
    adapted = {n.partition(".lora_")[0] for n, _ in view.named_parameters() if ".lora_" in n}
    assert {name.rpartition(".")[2] for name in adapted} == {"key"}
    assert len(adapted) == 3
