"""The costs of a row follow from those of its runs."""

from __future__ import annotations

from typing import Any

import pytest
from factories import make_costs, make_densities, make_result

from sparsebench.leaderboard.board import CostSummary
from sparsebench.leaderboard.build.cost_summary import summarize_costs
from sparsebench.results.costs import RuntimeCost


def summary(*costs: dict[str, Any]) -> CostSummary:
    return summarize_costs(
        make_result(seed=n, costs=make_costs(**cost)) for n, cost in enumerate(costs)
    )


def test_the_trainable_share_leaves_the_head_out_on_both_sides() -> None:
    assert summary({"trainable": 1_000_000}).trainable_share == 1.0
    assert summary({"trainable": 5_000}).trainable_share == pytest.approx(0.005)
    assert summary({"trainable": 0}).trainable_share == 0.0


def test_the_share_is_of_the_backbone_even_where_less_of_it_ships() -> None:
    assert summary({"trainable": 5_000, "total": 500_000}).trainable_share == pytest.approx(0.005)


def test_a_count_is_one_that_was_counted() -> None:
    assert summary({"trainable": 10}, {"trainable": 20}).trainable == 10
    assert summary({"gmacs": 1.0}, {"gmacs": 3.0}, {"gmacs": 4.0}).macs == 3_000_000_000


def test_ratios_are_medians() -> None:
    assert summary({"ratio": 1.0}, {"ratio": 2.0}, {"ratio": 9.0}).latency_ratio == 2.0


def test_one_doubtful_count_makes_the_row_doubtful() -> None:
    assert summary({}, {"uncounted": ("aten::b", "aten::a")}).unverified == ("aten::a", "aten::b")
    assert summary({}, {"closed_form": 3.0}).unverified == ("33.3% away from the closed form",)
    assert summary({}, {}).unverified == ()


def test_a_row_is_noisy_where_half_of_its_runs_are() -> None:
    assert summary({"noisy": True}, {}).noisy
    assert not summary({"noisy": True}, {}, {}).noisy


def test_memory_is_what_was_measured() -> None:
    known = summary({"training_bytes": 7})

    assert (known.training_bytes, known.inference_bytes) == (7, 100 * 2**20)


def test_efficiency_is_that_of_the_deployed_model_as_it_is() -> None:
    halved = make_costs(ratio=0.5).latency
    shipped = RuntimeCost(name="dense", latency=halved, theoretical=4.0)
    other = RuntimeCost(name="csr", latency=halved, theoretical=2.0)

    assert summary({"runtimes": (shipped, other)}).efficiency == pytest.approx(0.5)
    assert summary({}).efficiency is None


def test_the_activation_density_is_the_mean_over_layers() -> None:
    assert summary({"density": make_densities(0.1, 0.3)}).activation_density == pytest.approx(0.2)


def test_layers_have_a_density_each_in_the_order_of_the_model() -> None:
    whole, shorter = make_densities(*(n / 20 for n in range(12))), make_densities(*(0.0,) * 11)
    known = summary({"density": whole}, {"density": shorter}).layer_activation_densities

    assert list(known) == [f"encoder {number}" for number in range(12)]
    assert known["encoder 10"] == pytest.approx(0.25)
    assert known["encoder 11"] == pytest.approx(0.55)  # the network is gone from the other run


def test_without_costs_nothing_is_known() -> None:
    assert summarize_costs([make_result()]) == CostSummary()
    assert summary({"trainable": None}).trainable is None
