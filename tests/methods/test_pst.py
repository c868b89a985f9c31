"""PST against the formulas of the paper, written out here in float64."""

from __future__ import annotations

import masked_runs
import pytest
import torch
from contract_loop import Loop
from sparsebench_methods.pst import PST, PSTConfig, PSTWeight
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench import Form
from sparsebench.models import load_backbone, model_source
from sparsebench.sparsity import attached, keep_highest

FACTORS = ("U", "V", "A", "B", "R", "C")


def random_weight(config: PSTConfig, sparsity: float) -> tuple[torch.Tensor, PSTWeight]:
    """Returns a weight ``[20, 12]`` and its map, all factors random, the mask chosen."""
    weight = torch.randn(20, 12)
    change = PSTWeight(weight, config)
    with torch.no_grad():
        for name in FACTORS:
            torch.nn.init.normal_(getattr(change, name), std=0.5)
        change.mask.copy_(keep_highest([change.score(weight)], sparsity=sparsity)[0])
    return weight, change


def by_the_paper(
    weight: torch.Tensor, change: PSTWeight, x: torch.Tensor, upstream: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Returns mask, output and the gradient of every factor, as the paper has them."""
    config = change.config
    w0, x, upstream = weight.double(), x.double(), upstream.double()
    u, v, a, b, r, c = (getattr(change, name).detach().double() for name in FACTORS)
    dense = w0 + config.beta * u @ v
    score = dense.abs() + config.alpha1 * a @ b + config.alpha2 * (r[:, None] + c[None, :])
    pruned = int(weight.numel() * (~change.mask).double().mean().item() + 0.5)
    mask = torch.ones(weight.numel(), dtype=torch.float64)
    mask[score.flatten().argsort()[:pruned]] = 0
    mask = mask.view_as(weight)
    g = upstream.T @ x
    movement = g * dense
    to_dense = g * mask if config.detach_magnitude else g * (mask + dense.abs())
    return {
        "mask": mask,
        "output": x @ (mask * dense).T,
        "U": config.beta * to_dense @ v.T,
        "V": config.beta * u.T @ to_dense,
        "A": config.alpha1 * movement @ b.T,
        "B": config.alpha1 * a.T @ movement,
        "R": config.alpha2 * movement.sum(1),
        "C": config.alpha2 * movement.sum(0),
        "x": upstream @ (mask * dense),
    }


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("magnitude", ["passes", "detached"])
@pytest.mark.parametrize("scales", [(1.0, 1.0, 1.0), (0.3, 2.0, 0.7)])
def test_gradients_are_those_of_the_paper(
    sparsity: float, magnitude: str, scales: tuple[float, float, float]
) -> None:
    torch.manual_seed(0)
    beta, alpha1, alpha2 = scales
    config = PSTConfig(
        weight_rank=3,
        score_rank=2,
        beta=beta,
        alpha1=alpha1,
        alpha2=alpha2,
        detach_magnitude=magnitude == "detached",
    )
    weight, change = random_weight(config, sparsity)
    x, upstream = torch.randn(6, 12, requires_grad=True), torch.randn(6, 20)
    output = torch.nn.functional.linear(x, change(weight))
    output.backward(upstream)
    expected = by_the_paper(weight, change, x.detach(), upstream)
    assert int((~change.mask).sum()) == int(240 * sparsity)
    assert torch.equal(change.mask, expected["mask"].bool())
    found = {name: getattr(change, name).grad for name in FACTORS}
    for name, value in {**found, "output": output, "x": x.grad}.items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
def test_gradients_hold_inside_a_model(kind: str, sparsity: float) -> None:
    """The fused, transposed projection of GPT-2 included."""
    backbone = tiny_backbone(kind)
    method = PST(PSTConfig(sparsity=sparsity))
    model = method.prepare(backbone).eval()
    for _, change in attached(model, PSTWeight):
        for name in FACTORS:
            torch.nn.init.normal_(getattr(change, name), std=0.1)
    method.before_step(model, 1.0)
    model(**tiny_batch(backbone)).loss.backward()
    for weight, change in attached(model, PSTWeight):
        dense = weight + change.U @ change.V
        product = (dense * change.mask).detach().requires_grad_()
        change.reference = product  # type: ignore[assignment]
        change.forward = lambda _, product=product: product  # type: ignore[method-assign]
    model(**tiny_batch(backbone)).loss.backward()
    for weight, change in attached(model, PSTWeight):
        g, dense = change.reference.grad, weight + change.U @ change.V  # type: ignore[union-attr]
        torch.testing.assert_close(change.B.grad, change.A.T @ (g * dense), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(change.R.grad, (g * dense).sum(1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            change.V.grad, change.U.T @ (g * (change.mask + dense.abs())), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("kind", KINDS)
def test_starts_as_the_pretrained_model_with_plain_magnitude_scores(kind: str) -> None:
    backbone = tiny_backbone(kind)
    batch = tiny_batch(backbone)
    before = backbone.model.eval()(**batch).logits
    method = PST()
    model = method.prepare(backbone)
    method.before_step(model, 0.0)
    torch.testing.assert_close(model(**batch).logits, before, rtol=1e-5, atol=1e-5)
    for weight, change in attached(model, PSTWeight):
        assert torch.equal(change.score(weight), weight.abs())
        assert change.U.std() > 0.5
        assert change.A.std() > 0.5


@pytest.mark.parametrize(
    ("model", "values"), [("random:bert-base", 2_820_096), ("random:gpt2-medium", 7_520_256)]
)
def test_trains_as_many_values_as_the_paper_says(model: str, values: int) -> None:
    with torch.device("meta"):
        source = model_source(model)
        backbone = load_backbone(source, form=Form.CLASSIFICATION, labels=("a", "b"))
        head = {id(backbone.model.get_parameter(name)) for name in backbone.head}
        view = PST().prepare(backbone)
    trained = [p for p in view.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained if id(p) not in head) == values
    assert head <= {id(p) for p in trained}


def test_the_head_may_stay_as_the_authors_leave_it() -> None:
    backbone = tiny_backbone("bert")
    view = PST(PSTConfig(train_head=False)).prepare(backbone)
    assert {n.rpartition(".")[2] for n, p in view.named_parameters() if p.requires_grad} == set(
        FACTORS
    )


def test_sparsity_follows_the_schedule_of_the_paper() -> None:
    backbone = tiny_backbone("bert")
    method = PST(PSTConfig(sparsity=0.8))
    view = method.prepare(backbone)
    found = []

    def look(step: int) -> None:
        _, change = next(attached(view, PSTWeight))
        found.append(int((~change.mask).sum()))

    Loop(method, view, masked_runs.batches(backbone), 20, after_step=look).train()
    size = 32 * 32
    for step in range(20):
        share = min(max((step / 20 - 0.1) / 0.6, 0.0), 1.0)
        assert found[step] == pytest.approx(size * 0.8 * (1 - (1 - share) ** 3), abs=1)
    assert found[2] == 0
    assert found[14] == int(size * 0.8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
def test_ships_a_plain_model_with_exactly_the_asked_zeros(kind: str, sparsity: float) -> None:
    masked_runs.assert_trains_and_deploys(
        PST(PSTConfig(sparsity=sparsity, learning_rate=1e-2)),
        kind,
        zeros=lambda size: int(size * sparsity),
    )


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_pruned_weights_stay_zero(kind: str) -> None:
    config = PSTConfig(sparsity=0.7, learning_rate=1e-2, weight_decay=0.1)
    masked_runs.assert_pruned_weights_stay_zero(PST(config), kind)


def test_a_pruned_weight_may_come_back() -> None:
    backbone = tiny_backbone("bert")
    method = PST(PSTConfig(sparsity=0.5, start=0, end=0, learning_rate=0.1))
    view = method.prepare(backbone)
    method.before_step(view, 0.0)
    first = [change.mask.clone() for _, change in attached(view, PSTWeight)]
    Loop(method, view, masked_runs.batches(backbone), 5).train()
    last = [change.mask for _, change in attached(view, PSTWeight)]
    assert any((b & ~a).any() for a, b in zip(first, last, strict=True))


@pytest.mark.parametrize("at", [1, 6, 11])
def test_resumes_in_the_middle(at: int) -> None:
    masked_runs.assert_resumes(lambda: PST(PSTConfig(learning_rate=1e-2)), "bert", at=at)


def test_nothing_but_factors_and_head_moves() -> None:
    backbone = tiny_backbone("bert")
    method = PST(PSTConfig(learning_rate=1e-2))
    view = method.prepare(backbone)
    before = {n: p.detach().clone() for n, p in view.named_parameters()}
    Loop(method, view, masked_runs.batches(backbone), 6).train()
    for name, parameter in view.named_parameters():
        moved = not torch.equal(parameter, before[name])
        assert moved == parameter.requires_grad, name
        assert parameter.requires_grad == (
            name in backbone.head or name.rpartition(".")[2] in FACTORS
        )
