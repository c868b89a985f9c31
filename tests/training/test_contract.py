"""What a method may bring of its own: looks at data, a loss, an optimizer, changed gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from tiny_models import tiny_backbone
from training_runs import NotesCalls, drive, same, state

from sparsebench import Stage, TrainingData, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

HALVES = (Stage("tune", 0.5), Stage("prune", 0.5))


class Looks(NotesCalls):
    """Freezes the matrices whose mean gradient over some examples is small, in each stage."""

    def __init__(self, *asked: tuple[int, int | None], stages: tuple[Stage, ...] = HALVES) -> None:
        super().__init__(stages)
        self.asked = asked
        self.seen: list[Tensor] = []

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
        super().begin_stage(model, stage, data)
        model.requires_grad_()
        for examples, size in self.asked:
            for batch in data.batches(examples, size):
                self.seen.append(batch["input_ids"])
                model(**batch).loss.backward()
        sizes = {name: p.grad.norm() for name, p in model.named_parameters() if p.grad is not None}
        model.zero_grad()
        for name in sorted(sizes, key=sizes.__getitem__)[: len(sizes) // 2]:
            model.get_parameter(name).requires_grad = False


class Sign(torch.optim.Optimizer):
    """Lion: the sign of an average of gradients (Chen et al. 2023)."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                average = self.state[p].setdefault("average", torch.zeros_like(p))
                p.sub_(torch.sign(0.9 * average + 0.1 * p.grad), alpha=group["lr"])
                average.mul_(0.99).add_(p.grad, alpha=0.01)


class OwnOptimizer(NotesCalls):
    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return Sign(self.parameter_groups(model), lr=1e-4)


def kill_at(step: int) -> Callable[..., None]:
    def on_step(done: int, *_: object) -> None:
        if done == step:
            raise KeyboardInterrupt

    return on_step


def test_examples_that_a_method_looks_at_are_steps_of_its_budget(tmp_path: Path) -> None:
    method = Looks((9, None), (4, 2))
    _, record = drive(method, tmp_path, budget="12 steps")  # 13 examples cost two steps of 8
    assert method.progress == pytest.approx([p / 12 for p in (2, 3, 4, 5, 8, 9, 10, 11, 12)])
    assert record.steps == 12
    assert (record.calibration, record.calibration_steps) == (26, 4)
    assert [len(ids) for ids in method.seen[:4]] == [8, 1, 2, 2]


def test_calibration_that_a_suite_gives_free_costs_nothing(tmp_path: Path) -> None:
    method = Looks((100, 50))
    _, record = drive(method, tmp_path, budget="4 steps", calibration="free")
    assert len(method.progress) == 5
    assert (record.calibration, record.calibration_steps) == (200, 0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (((17, None),), "17 examples cost 3 steps of the stage, which has 2 to spare"),
        (((16, None), (1, None)), "ask for at most 0 examples"),
        (((0, None),), "examples is 0"),
        (((4, 0),), "size is 0"),
    ],
)
def test_more_than_the_stage_can_pay_for_is_refused(
    asked: tuple[tuple[int, int | None], ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        drive(Looks(*asked), tmp_path, budget="6 steps")


def test_two_calls_at_a_time_cannot_take_more_than_the_stage_can_pay_for(tmp_path: Path) -> None:
    class Interleaves(NotesCalls):
        def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
            for _ in zip(data.batches(32, 8), data.batches(32, 8), strict=True):
                pass

    with pytest.raises(UserError, match="which has 5 to spare"):
        drive(Interleaves(), tmp_path, budget="6 steps")


def test_examples_cannot_be_had_once_the_stage_has_begun(tmp_path: Path) -> None:
    class Hoards(NotesCalls):
        def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
            self.data = data

        def before_step(self, model: nn.Module, progress: float) -> None:
            next(iter(self.data.batches(1)))

    with pytest.raises(UserError, match="in begin_stage only"):
        drive(Hoards(), tmp_path)


def test_a_batch_has_the_task_loss_and_no_dropout(tmp_path: Path) -> None:
    losses = []

    class Measures(NotesCalls):
        def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
            (batch,) = data.batches(8)
            losses.extend([model(**batch).loss.item() for _ in range(2)])

    drive(Measures(), tmp_path)
    assert losses[0] == losses[1] > 0


@pytest.mark.parametrize("killed_at", [6, 7])
def test_a_stage_draws_the_same_numbers_when_it_begins_again(
    killed_at: int, tmp_path: Path
) -> None:
    class Draws(NotesCalls):
        def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
            if stage.name == "prune":
                weight = model.get_parameter("classifier.weight")
                weight.data.add_(torch.randn_like(weight))

    terms: dict[str, Any] = {"budget": "12 steps", "checkpoint_every": 1}
    whole, _ = drive(Draws(HALVES), tmp_path / "a", **terms)
    with pytest.raises(KeyboardInterrupt):
        drive(Draws(HALVES), tmp_path / "b", on_step=kill_at(killed_at), **terms)
    resumed, _ = drive(Draws(HALVES), tmp_path / "b", **terms)
    assert same(state(whole), state(resumed))


@pytest.mark.parametrize("killed_at", [2, 9])
@pytest.mark.parametrize("make", [lambda: Looks((8, 4)), OwnOptimizer])
def test_a_run_that_was_killed_goes_on_to_the_same_losses(
    make: Callable[[], NotesCalls], killed_at: int, tmp_path: Path
) -> None:
    terms: dict[str, Any] = {"budget": "12 steps", "checkpoint_every": 1}
    whole, record = drive(make(), tmp_path / "a", **terms)
    with pytest.raises(KeyboardInterrupt):
        drive(make(), tmp_path / "b", on_step=kill_at(killed_at), **terms)
    resumed, again = drive(make(), tmp_path / "b", **terms)
    assert [p.loss for p in again.loss] == [p.loss for p in record.loss]
    assert same(state(whole), state(resumed))
    assert again.calibration == record.calibration


def test_an_optimizer_of_its_own_trains_at_the_rates_of_the_schedule(tmp_path: Path) -> None:
    halves = (Stage("tune", 0.5), Stage("slow", 0.5, learning_rate=0.1))
    method = OwnOptimizer(halves)
    _, record = drive(method, tmp_path, budget="4 steps", schedule="constant", warmup=0)
    assert [p.learning_rate for p in record.loss] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, r"optimizer\(\) returned None: return a torch.optim.Optimizer"),
        (Sign([torch.nn.Parameter(torch.ones(1))], lr="fast"), "a group without a number 'lr'"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_optimizer_is_one_message(returned: Any, message: str, tmp_path: Path) -> None:
    class Wrong(NotesCalls):
        def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
            return returned  # type: ignore[no-any-return]

    with pytest.raises(UserError, match=message):
        drive(Wrong(), tmp_path)


def test_gradients_can_be_changed_before_the_step(tmp_path: Path) -> None:
    norms = []

    class Keeps(NotesCalls):
        def after_backward(self, model: nn.Module, progress: float) -> None:
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            norms.append(torch.nn.utils.get_total_norm(gradients).item())
            model.get_parameter("classifier.weight").grad = None

    before = tiny_backbone("bert").model
    kept = before.get_parameter("classifier.weight").clone()
    after, _ = drive(Keeps(), tmp_path, model=before, clip=0.01, micro_batch_size=4)
    assert norms == pytest.approx([0.01] * 6, rel=1e-3)
    assert torch.equal(after.get_parameter("classifier.weight"), kept)


def test_a_loss_of_its_own_replaces_that_of_the_task(tmp_path: Path) -> None:
    class Quadruples(NotesCalls):
        def loss(
            self, model: nn.Module, batch: Mapping[str, Tensor], outputs: Any, task_loss: Tensor
        ) -> Tensor:
            assert task_loss == outputs.loss
            return 4 * torch.nn.functional.cross_entropy(outputs.logits, batch["labels"])

    _, plain = drive(NotesCalls(), tmp_path / "a")
    _, own = drive(Quadruples(), tmp_path / "b")
    assert own.loss[0].loss == pytest.approx(4 * plain.loss[0].loss, rel=1e-5)


@pytest.mark.parametrize("wrong", [None, 0.5, torch.ones(2)])
def test_a_loss_that_is_no_scalar_is_one_message(wrong: Any, tmp_path: Path) -> None:
    class Wrong(NotesCalls):
        def loss(self, *_: object) -> Tensor:
            return wrong  # type: ignore[no-any-return]

    with pytest.raises(UserError, match=r"loss\(\) returned .*: return a scalar tensor"):
        drive(Wrong(), tmp_path)
