"""The logits under every runtime equal those of the deployed model, or a reason is recorded."""

from __future__ import annotations

import re

import pytest
import torch
from tiny_models import KINDS, tiny_backbone
from torch import nn

from sparsebench.models import Form, anatomy_of
from sparsebench.profiling import TimingBudget, dummy_inputs
from sparsebench.profiling.break_even import break_even, crossing
from sparsebench.profiling.inference import inference, largest_difference, output_logits
from sparsebench.profiling.runtime_costs import measure_runtimes
from sparsebench.profiling.runtimes import RUNTIMES
from sparsebench.profiling.runtimes.csr import CSRLinear
from sparsebench.profiling.runtimes.gathered import GatheredLinear
from sparsebench.profiling.runtimes.two_of_four import TwoOfFour
from sparsebench.sparsity.masks import two_of_four
from sparsebench.sparsity.removal import remove_heads

CPU = torch.device("cpu")
SHORT = TimingBudget(warmup=0, rounds=3, seconds=0)


def sparse(kind: str, *, share: float = 0.7, **config: object) -> nn.Module:
    """Returns a model in whose blocks a share of the weights is zero."""
    model = tiny_backbone(kind, **config).model.eval()
    for matrix in anatomy_of(model).matrices():
        weight = matrix.weight(model).data
        weight[torch.rand(weight.shape) < share] = 0
    return model


def silenced(kind: str) -> nn.Module:
    """Returns a model in which a head and 20 neurons of each block reach nothing."""
    model = tiny_backbone(kind).model.eval()
    for block in anatomy_of(model).blocks:
        for part in block.attentions:
            part.output.weight(model).data[:, : part.head_size] = 0
        block.ffn.down.weight(model).data[:, 5:25] = 0
    return model


def difference(name: str, model: nn.Module) -> float:
    runtime = RUNTIMES.get(name)()
    inputs = dummy_inputs(model.config, batch_size=2, length=7, target_length=3)
    assert runtime.refuses(model, device=CPU, dtype=torch.float32) is None
    with torch.no_grad(), inference(model):
        converted = runtime.convert(model)
        return largest_difference(
            output_logits(model(**inputs)), output_logits(converted(**inputs))
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["dense", "csr"])
def test_zeros_may_be_left_out(name: str, kind: str) -> None:
    model = sparse(kind)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert difference(name, model) < 1e-5
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_csr_stores_what_is_sparse_enough(kind: str) -> None:
    model = sparse(kind)
    anatomy_of(model).blocks[0].ffn.down.weight(model).data.fill_(1.0)
    converted = RUNTIMES.get("csr")().convert(model)
    stored = [module for module in converted.modules() if isinstance(module, CSRLinear)]
    paths = {matrix.path for matrix in anatomy_of(model).matrices()}
    assert len(stored) == len(paths) - 1


@pytest.mark.parametrize("kind", KINDS)
def test_dead_parts_are_taken_out(kind: str) -> None:
    model = silenced(kind)
    assert difference("compact", model) < 1e-5
    small = anatomy_of(RUNTIMES.get("compact")().convert(model))
    for block, whole in zip(small.blocks, anatomy_of(model).blocks, strict=True):
        assert block.ffn.neurons == whole.ffn.neurons - 20
        assert all(part.heads == 3 for part in block.attentions)


def test_one_unit_of_a_layer_stays_though_all_are_dead() -> None:
    model = tiny_backbone("bert").model.eval()
    for block in anatomy_of(model).blocks:
        block.ffn.down.weight(model).data.zero_()
        block.attentions[0].output.weight(model).data.zero_()
    assert difference("compact", model) < 1e-5


@pytest.mark.parametrize("tokens", [(1, 1), (2, 7)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_a_gathered_product_is_the_dense_one(tokens: tuple[int, int], share: float) -> None:
    linear = nn.Linear(48, 32)
    inputs = torch.randn(*tokens, 48) * (torch.rand(48) >= share)
    gathered = GatheredLinear(linear.weight, linear.bias)
    torch.testing.assert_close(gathered(inputs), linear(inputs))


def test_networks_with_relu_gather() -> None:
    assert difference("gathered", tiny_backbone("t5").model.eval()) < 1e-5
    assert difference("gathered", tiny_backbone("bert", hidden_act="relu").model.eval()) < 1e-5


REASONS = [
    ("csr", "bert", "cuda", torch.float32, "CPU only"),
    ("csr", "bert", "cpu", torch.bfloat16, "bfloat16"),
    ("csr", "bert", "cpu", torch.float32, "at least half zero"),
    ("2:4", "bert", "cpu", torch.bfloat16, "CUDA device of the Ampere generation"),
    ("compact", "gpt2", "cpu", torch.float32, "no head or neuron was removed"),
    ("gathered", "bert", "cpu", torch.float32, "GELU.* is not zero below zero"),
]


@pytest.mark.parametrize(("name", "kind", "device", "dtype", "reason"), REASONS)
def test_a_runtime_says_why_it_cannot(
    name: str, kind: str, device: str, dtype: torch.dtype, reason: str
) -> None:
    model = tiny_backbone(kind).model
    refused = RUNTIMES.get(name)().refuses(model, device=torch.device(device), dtype=dtype)
    assert refused is not None
    assert re.search(reason, refused)


def test_what_cannot_run_is_a_row_and_the_rest_is_measured() -> None:
    model = sparse("gpt2", form=Form.CLASSIFICATION)
    remove_heads(model, anatomy_of(model).blocks[0].attentions[0], [0])
    costs = measure_runtimes(
        model,
        dummy_inputs(model.config, length=5),
        runtimes={name: RUNTIMES.get(name)() for name in RUNTIMES},
        reference=tiny_backbone("gpt2", form=Form.CLASSIFICATION).model,
        timing=SHORT,
        theoretical={"dense": 2.0},
    )
    by_name = {cost.name: cost for cost in costs}
    assert set(by_name) == set(RUNTIMES)
    assert "CUDA" in by_name["2:4"].reason
    assert "zero below zero" in by_name["gathered"].reason
    for name in ("dense", "csr", "compact"):
        assert by_name[name].reason is None
        assert by_name[name].equal
    dense = by_name["dense"]
    assert dense.difference == 0
    assert dense.speedup == pytest.approx(1 / dense.latency.ratio)
    assert dense.efficiency == pytest.approx(dense.speedup / 2)
    assert by_name["2:4"].efficiency is None


def test_a_runtime_with_other_logits_is_caught() -> None:
    class Wrong(type(RUNTIMES.get("dense")())):  # type: ignore[misc]
        def convert(self, model: nn.Module) -> nn.Module:
            return tiny_backbone("bert").model.eval()

    torch.manual_seed(1)
    model = sparse("bert")
    cost = measure_runtimes(
        model,
        dummy_inputs(model.config, length=5),
        runtimes={"wrong": Wrong()},
        reference=None,
        timing=SHORT,
    )[0]
    assert cost.equal is False


def test_the_pattern_is_recognised() -> None:
    from sparsebench.profiling.runtimes import two_of_four as module

    weight = torch.randn(64, 128)
    assert not module._fits(weight)
    assert module._fits(weight * two_of_four(weight.abs()))
    assert not module._fits(torch.zeros(64, 100))
    assert TwoOfFour.shares == (0.5,)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ({0.5: 2.0, 0.7: 1.5, 0.9: 0.5}, 0.8),
        ({0.5: 0.9, 0.9: 0.5}, 0.5),
        ({0.5: 2.0, 0.9: 1.1}, None),
        ({0.5: 0.9, 0.7: 1.2, 0.9: 0.8}, 0.8),
    ],
)
def test_break_even_is_where_the_line_crosses(
    ratios: dict[float, float], expected: float | None
) -> None:
    found = crossing(ratios)
    assert found == (expected if expected is None else pytest.approx(expected))


def test_break_even_of_every_shape_of_matrix() -> None:
    model = tiny_backbone("t5").model
    runtimes = {name: RUNTIMES.get(name)() for name in RUNTIMES}
    found = list(break_even(model, runtimes=runtimes, tokens=4, device=CPU, dtype=torch.float32))
    shapes = {(even.runtime, even.rows, even.columns) for even in found}
    every = {(32, 32), (48, 32), (32, 48)}
    assert shapes == {
        *(("csr", *shape) for shape in every),
        *(("compact", *shape) for shape in every),
        ("gathered", 32, 48),
    }
    assert all(len(even.ratios) >= 5 for even in found)
