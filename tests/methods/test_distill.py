"""Distillation wraps any method: its loss against closed forms, and everything else unchanged."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from method_steps import NO_DATA, train_steps
from pydantic import ValidationError
from sparsebench_methods.distill import Distill, DistillConfig, logits_loss
from sparsebench_methods.hidden_states import hidden_loss
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench import Form, Method, MethodConfig, UserError
from sparsebench.execution.teacher_model import frozen
from sparsebench.method_registry import configure

T = 2.0


def divergence(student: list[float], teacher: list[float], temperature: float = T) -> float:
    """``T^2 * KL(teacher || student)`` of two rows of logits, term by term."""
    own = [math.exp(x / temperature) for x in student]
    given = [math.exp(x / temperature) for x in teacher]
    pairs = [(g / sum(given), o / sum(own)) for g, o in zip(given, own, strict=True)]
    return temperature**2 * sum(p * math.log(p / q) for p, q in pairs)


def outputs(**tensors: Any) -> Any:
    return SimpleNamespace(**{name: torch.tensor(value) for name, value in tensors.items()})


class TestLogits:
    @pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
    def test_classes(self, temperature: float) -> None:
        student, teacher = [[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], [[0.2, 0.1, -1.0], [2.0, 2.0, 0.0]]
        found = logits_loss(
            outputs(logits=student),
            outputs(logits=teacher),
            batch={},
            form=Form.CLASSIFICATION,
            temperature=temperature,
        )
        rows = zip(student, teacher, strict=True)
        expected = sum(divergence(*row, temperature) for row in rows) / 2
        assert found.item() == pytest.approx(expected, rel=1e-5)

    def test_a_regression_is_the_squared_difference(self) -> None:
        found = logits_loss(
            outputs(logits=[[1.0], [3.0]]),
            outputs(logits=[[0.0], [5.0]]),
            batch={},
            form=Form.CLASSIFICATION,
            temperature=T,
        )
        assert found.item() == pytest.approx((1 + 4) / 2)

    def test_spans_leave_padding_out(self) -> None:
        start, end = [[1.0, 2.0, 9.0]], [[0.0, 1.0, -9.0]]
        given = [[0.5, 0.0, -7.0]], [[1.0, 0.0, 8.0]]
        found = logits_loss(
            outputs(start_logits=start, end_logits=end),
            outputs(start_logits=given[0], end_logits=given[1]),
            batch={"attention_mask": torch.tensor([[1, 1, 0]])},
            form=Form.SPAN,
            temperature=T,
        )
        ends = divergence([1.0, 2.0], [0.5, 0.0]), divergence([0.0, 1.0], [1.0, 0.0])
        assert found.item() == pytest.approx(sum(ends) / 2, rel=1e-5)

    @pytest.mark.parametrize("form", [Form.TEXT_TO_TEXT, Form.LANGUAGE_MODEL])
    def test_text_leaves_ignored_tokens_out(self, form: Form) -> None:
        student = [[[1.0, 0.0], [2.0, -1.0], [5.0, 5.0]]]
        teacher = [[[0.0, 1.0], [1.0, 1.0], [-3.0, 4.0]]]
        labels = [[1, 0, -100]]
        found = logits_loss(
            outputs(logits=student),
            outputs(logits=teacher),
            batch={"labels": torch.tensor(labels)},
            form=form,
            temperature=T,
        )
        shift = int(form is Form.LANGUAGE_MODEL)
        kept = [at - shift for at in range(shift, 3) if labels[0][at] != -100]
        expected = sum(divergence(student[0][at], teacher[0][at]) for at in kept) / len(kept)
        assert found.item() == pytest.approx(expected, rel=1e-5)

    def test_a_batch_without_targets_is_zero(self) -> None:
        found = logits_loss(
            outputs(logits=[[[1.0, 0.0]]]),
            outputs(logits=[[[0.0, 1.0]]]),
            batch={"labels": torch.tensor([[-100]])},
            form=Form.TEXT_TO_TEXT,
            temperature=T,
        )
        assert found.item() == 0


class TestHidden:
    def test_blocks_are_spread_evenly_and_padding_is_left_out(self) -> None:
        def states(*values: float) -> list[torch.Tensor]:
            return [torch.tensor([[[value], [100 * value]]]) for value in values]

        found = hidden_loss(
            {"encoder": states(1.0, 2.0)},
            {"encoder": states(10.0, 20.0, 30.0, 40.0)},
            real={"encoder": torch.tensor([[True, False]])},
        )
        assert found.item() == pytest.approx(((1 - 20) ** 2 + (2 - 40) ** 2) / 2)

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_teacher_itself_has_no_difference(self, kind: str) -> None:
        backbone = tiny_backbone(kind)
        batch = tiny_batch(backbone)
        method = Distill(DistillConfig(hidden=1.0, alpha=0.5))
        method.teacher = frozen(tiny_backbone(kind).model, device=torch.device("cpu"))
        view = method.prepare(backbone).eval()
        found = view(**batch)
        loss = method.loss(view, batch, found, found.loss)
        assert loss.item() == pytest.approx(0.5 * found.loss.item(), rel=1e-5)
        with torch.no_grad():
            weight = method.teacher.get_input_embeddings().weight
            weight.add_(torch.randn_like(weight))
        again = view(**batch)
        assert method.loss(view, batch, again, again.loss).item() > 1.01 * loss.item()

    def test_other_widths_are_refused(self) -> None:
        method = Distill(DistillConfig(hidden=1.0))
        method.teacher = tiny_backbone("bert", hidden_size=64).model
        with pytest.raises(UserError, match="set hidden to 0"):
            method.prepare(tiny_backbone("bert"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("student", ["full", "movement", "soft_movement", "lora", "magnitude"])
def test_without_weight_it_trains_as_its_student_does(kind: str, student: str) -> None:
    models = []
    for name, settings in ((student, {}), ("distill", {"student": student, "alpha": 0.0})):
        torch.manual_seed(0)
        backbone = tiny_backbone(kind)
        method = configure(name, {**settings, "learning_rate": 1e-2})
        method.teacher = frozen(tiny_backbone(kind, seed=3).model, device=torch.device("cpu"))
        torch.manual_seed(1)
        view = method.prepare(backbone)
        for stage in method.stages():
            method.begin_stage(view, stage, NO_DATA)
        torch.manual_seed(2)
        train_steps(method, view, tiny_batch(backbone), steps=3, rate=1e-2)
        models.append(method.deploy(view).state_dict())
    assert models[0].keys() == models[1].keys()
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


@pytest.mark.parametrize("kind", KINDS)
def test_it_brings_the_student_closer_to_the_teacher(kind: str) -> None:
    backbone = tiny_backbone(kind)
    batch = tiny_batch(backbone)
    method = Distill(DistillConfig(alpha=1.0, learning_rate=1e-3))
    method.teacher = frozen(tiny_backbone(kind, seed=3).model, device=torch.device("cpu"))
    view = method.prepare(backbone)

    def distance() -> float:
        view.eval()
        given = method.teacher(**batch)
        with torch.no_grad():
            found = view(**batch)
        form = backbone.form
        return logits_loss(found, given, batch=batch, form=form, temperature=T).item()

    before = distance()
    train_steps(method, view, batch, steps=20, rate=1e-3)
    assert distance() < 0.8 * before


class TestSettings:
    def test_the_settings_of_the_student_are_complete(self) -> None:
        config = DistillConfig(student="movement", settings={"sparsity": 0.5})
        assert config.settings["sparsity"] == 0.5
        assert config.settings["scope"] == "per_matrix"
        assert config.learning_rate == 3e-5
        assert not MethodConfig.model_fields.keys() & config.settings.keys()

    def test_rates_beside_the_student_are_its_rates(self) -> None:
        method = configure("distill", {"student": "movement", "learning_rate": 1e-3})
        assert isinstance(method, Distill)
        assert method.student.config.learning_rate == 1e-3

    def test_claims_are_those_of_the_student(self) -> None:
        method = configure("distill", {"student": "movement", "settings": {"sparsity": 0.7}})
        plain = configure("movement", {"sparsity": 0.7})
        for claim in ("target_sparsity", "starts_pretrained", "learns_sparsity"):
            assert getattr(method, claim) == getattr(plain, claim)
        assert method.version == f"1+{plain.version}"
        soft = configure("distill", {"student": "soft_movement"})
        assert soft.learns_sparsity
        dsee = configure("distill", {"student": "dsee"})
        assert dsee.profile_settings == {"settings": configure("dsee", {}).profile_settings}

    def test_every_call_of_the_contract_is_passed_on(self) -> None:
        kept = {"teacher_name", "Config", "config", "paper", "version", "teacher", "variants"}
        own = {name for name in vars(Method) if not name.startswith("_")} - kept
        below = Distill.mro()[: Distill.mro().index(Method)]
        assert own <= {name for kind in below for name in vars(kind)}

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"student": "movment"}, "did you mean 'movement'"),
            ({"student": "movement", "settings": {"sparsty": 0.5}}, "did you mean 'sparsity'"),
            ({"student": "distill"}, "cannot train itself"),
            ({"temperature": 0}, "temperature"),
            ({"alpha": 1.5}, "alpha"),
        ],
    )
    def test_mistakes_are_named(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            DistillConfig.model_validate(settings)
