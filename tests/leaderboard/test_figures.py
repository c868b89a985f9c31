"""The costs of a row follow from those of its runs."""

from __future__ import annotations

from typing import Any

import pytest
from factories import make_costs, make_densities, make_result

from sparsebench.leaderboard.figures import figures_of
from sparsebench.leaderboard.table import Figures
from sparsebench.results.costs import RuntimeCost


def figures(*costs: dict[str, Any]) -> Figures:
    return figures_of(make_result(seed=n, costs=make_costs(**cost)) for n, cost in enumerate(costs))


def test_the_trainable_share_leaves_the_head_out_on_both_sides() -> None:
    assert figures({"trainable": 1_000_000}).trainable_share == 1.0
    assert figures({"trainable": 5_000}).trainable_share == pytest.approx(0.005)
    assert figures({"trainable": 0}).trainable_share == 0.0


def test_the_share_is_of_the_backbone_even_where_less_of_it_ships() -> None:
    assert figures({"trainable": 5_000, "total": 500_000}).trainable_share == pytest.approx(0.005)


def test_a_count_is_one_that_was_counted() -> None:
    assert figures({"trainable": 10}, {"trainable": 20}).trainable == 10
    assert figures({"gmacs": 1.0}, {"gmacs": 3.0}, {"gmacs": 4.0}).macs == 3_000_000_000


def test_ratios_are_medians() -> None:
    assert figures({"ratio": 1.0}, {"ratio": 2.0}, {"ratio": 9.0}).latency_ratio == 2.0


def test_one_doubtful_count_makes_the_row_doubtful() -> None:
    assert figures({}, {"uncounted": ("aten::b", "aten::a")}).unverified == ("aten::a", "aten::b")
    assert figures({}, {"closed_form": 3.0}).unverified == ("33.3% away from the closed form",)
    assert figures({}, {}).unverified == ()


def test_a_row_is_noisy_where_half_of_its_runs_are() -> None:
    assert figures({"noisy": True}, {}).noisy
    assert not figures({"noisy": True}, {}, {}).noisy


def test_memory_is_what_was_measured() -> None:
    known = figures({"training_bytes": 7})

    assert (known.training_bytes, known.inference_bytes) == (7, 100 * 2**20)


def test_the_realised_share_is_that_of_the_model_as_it_ships() -> None:
    halved = make_costs(ratio=0.5).latency
    shipped = RuntimeCost(name="dense", latency=halved, theoretical=4.0)
    other = RuntimeCost(name="csr", latency=halved, theoretical=2.0)

    assert figures({"runtimes": (shipped, other)}).realised == pytest.approx(0.5)
    assert figures({}).realised is None


def test_the_density_is_the_mean_over_layers() -> None:
    assert figures({"density": make_densities(0.1, 0.3)}).density == pytest.approx(0.2)


def test_layers_have_a_density_each_in_the_order_of_the_model() -> None:
    whole, shorter = make_densities(*(n / 20 for n in range(12))), make_densities(*(0.0,) * 11)
    known = figures({"density": whole}, {"density": shorter}).layer_densities

    assert list(known) == [f"encoder {number}" for number in range(12)]
    assert known["encoder 10"] == pytest.approx(0.25)
    assert known["encoder 11"] == pytest.approx(0.55)  # the network is gone from the other run


def test_without_costs_nothing_is_known() -> None:
    assert figures_of([make_result()]) == Figures()
    assert figures({"trainable": None}).trainable is None
