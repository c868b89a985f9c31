"""Every method gets the same number of trials, and the best on the held-out part is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from factories import make_result

from sparsebench.errors import UserError
from sparsebench.execution.plan import plan
from sparsebench.execution.tuning import (
    choose,
    extended,
    held_out_score,
    trial_label,
    trial_settings,
    trial_suite,
    tuned_suite,
)
from sparsebench.results.records import (
    Evaluation,
    LossPoint,
    RunResult,
    Status,
    TrainingRecord,
)
from sparsebench.results.store import Store
from sparsebench.schema.training import Protocol
from sparsebench.suite import Suite
from sparsebench.suite.files import read_suite
from sparsebench.suite.overrides import Overrides
from sparsebench.tasks import DataSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RATES = [1e-4, 1e-3, 1e-2]


def suite(**changed: Any) -> Suite:
    search = {"full": {"learning_rate": RATES}, "lo": {"r": [2, 4, 8], "learning_rate": RATES}}
    content = {
        "name": "s",
        "tasks": ["mrpc", "rte"],
        "models": ["m"],
        "methods": {"full": {}, "lo": {"method": "lora", "alpha": 4.0}},
        "tuning": {"trials": 3, "tasks": ["cola"], "search": search, "budget": "5 steps"},
    }
    return Suite.model_validate({**content, **changed})


def trial(
    score: float, *, label: str, eligible: bool = True, losses: Sequence[float] = ()
) -> RunResult:
    """A run whose best held-out score is given; the reported score goes the other way."""
    points = [LossPoint(step=at, loss=loss, learning_rate=0) for at, loss in enumerate(losses)]
    evaluations = (
        Evaluation(step=1, score=score - 0.1, eligible=True),
        Evaluation(step=2, score=score, eligible=eligible),
    )
    record = TrainingRecord(
        steps=2, seconds=1, examples_per_second=1, loss=tuple(points), evaluations=evaluations
    )
    result = make_result(1 - score, method=label, task="cola")
    return result.model_copy(update={"training": record})


def test_every_method_has_as_many_trials() -> None:
    trials = trial_settings(suite())

    assert trials["full"] == [{"learning_rate": rate} for rate in RATES]
    assert len(trials["lo"]) == 3  # drawn among nine
    assert len({str(settings) for settings in trials["lo"]}) == 3
    assert trial_settings(suite()) == trials


def searched(scores: dict[float, float], **tuning: Any) -> Suite:
    """The suite with one more value after its trials had these scores, in their order."""
    search = {"full": {"learning_rate": list(scores)}}
    terms = {"trials": 3, "tasks": ["cola"], "search": search, "extensions": 2, **tuning}
    before = suite(methods={"full": {}}, tuning=terms)
    runs = [trial(s, label=trial_label("full", at)) for at, s in enumerate(scores.values())]
    return extended(before, choose(before, runs))


@pytest.mark.parametrize(
    ("scores", "values"),
    [
        ({1e-3: 0.5, 2e-3: 0.6, 4e-3: 0.7}, (1e-3, 2e-3, 4e-3, 8e-3)),
        ({1e-3: 0.7, 2e-3: 0.6, 4e-3: 0.5}, (1e-3, 2e-3, 4e-3, 5e-4)),
        ({4e-3: 0.5, 2e-3: 0.7, 1e-3: 0.6}, (4e-3, 2e-3, 1e-3)),
        ({1e-3: 0.5, 2e-3: 0.6, 4e-3: 0.7, 8e-3: 0.6}, (1e-3, 2e-3, 4e-3, 8e-3)),
    ],
)
def test_a_best_value_at_the_edge_is_followed_by_the_next(
    scores: dict[float, float], values: tuple[float, ...]
) -> None:
    longer = searched(scores)
    assert longer.tuning is not None
    assert longer.tuning.search["full"]["learning_rate"] == values
    assert len(trial_settings(longer)["full"]) == len(values)


def test_more_values_than_trials_and_extensions_are_a_mistake() -> None:
    search = {"full": {"learning_rate": [1e-4, 2e-4, 4e-4, 8e-4]}}
    terms = {"trials": 2, "tasks": ["cola"], "search": search, "extensions": 1}
    with pytest.raises(UserError, match=r"with tuning\.extensions every one is tried"):
        trial_settings(suite(methods={"full": {}}, tuning=terms))


def test_trials_are_runs_on_a_held_out_part() -> None:
    made = trial_suite(suite())

    assert made.protocol is Protocol.HELD_OUT
    assert list(made.tasks) == ["cola"]
    assert str(made.tasks["cola"].budget) == "5 steps"
    entry = made.methods[trial_label("lo", 0)]
    assert (entry.method, entry.settings["alpha"]) == ("lora", 4.0)
    assert len(made.methods) == 6


def test_the_best_held_out_score_decides_and_not_the_reported_one() -> None:
    scores = {"full": [0.5, 0.7, 0.6], "lo": [0.9, 0.1, 0.2]}
    results = [
        trial(score, label=trial_label(label, at))
        for label, row in scores.items()
        for at, score in enumerate(row)
    ]
    found = choose(suite(), results)

    assert {label: tuned.chosen for label, tuned in found.items()} == {"full": 1, "lo": 0}
    assert [each.score for each in found["full"].trials] == [0.5, 0.7, 0.6]
    assert all(len(each.keys) == 1 for each in found["full"].trials)


def test_the_training_loss_decides_where_scores_tie() -> None:
    losses = [(0.1, 0.2, 0.3, 0.7), (0.9, 0.9, 0.9, 0.5), (0.9, 0.9, 0.9, 0.6)]
    results = [
        trial(0.0, label=trial_label("full", at), losses=each) for at, each in enumerate(losses)
    ]
    results += [
        trial(score, label=trial_label("lo", at)) for at, score in enumerate((0.1, 0.2, 0.2))
    ]
    found = choose(suite(), results)

    assert {label: tuned.chosen for label, tuned in found.items()} == {"full": 1, "lo": 1}
    assert [each.loss for each in found["full"].trials] == [0.7, 0.5, 0.6]


def test_a_checkpoint_before_the_final_form_does_not_count() -> None:
    assert held_out_score(trial(0.9, label="x", eligible=False)) == pytest.approx(0.8)
    assert held_out_score(make_result(status=Status.OOM)) is None


def test_a_failed_trial_is_kept_and_not_chosen() -> None:
    results = [trial(0.1, label=trial_label(label, 2)) for label in ("full", "lo")]
    found = choose(suite(), results)

    assert found["full"].chosen == 2
    assert [each.score for each in found["full"].trials] == [None, None, 0.1]
    with pytest.raises(UserError, match="lo: none of its 3 search trials has a score"):
        choose(suite(), results[:1])


def test_the_tuned_suite_is_a_suite_with_the_record() -> None:
    results = [
        trial(0.1 * at, label=trial_label(label, at)) for label in ("full", "lo") for at in range(3)
    ]
    found = choose(suite(), results)
    again = Suite.model_validate(yaml.safe_load(tuned_suite(suite(), found)))

    assert again.methods["full"].settings == {"learning_rate": 1e-2}
    assert again.methods["lo"].settings["alpha"] == 4.0
    assert again.tuned == found
    assert again.tuning == suite().tuning


def test_the_record_is_of_the_settings_that_were_tried(tmp_path: Path) -> None:
    results = [
        trial(0.1 * at, label=trial_label(label, at)) for label in ("full", "lo") for at in range(3)
    ]
    tried = {"tasks": ["toy-cola"], "models": ["quick/bert"]}
    file = tmp_path / "tuned.yaml"
    file.write_text(tuned_suite(suite(**tried), choose(suite(), results)))

    def records(*sets: str) -> dict[str, bool]:
        read = read_suite(file, Overrides(sets=sets)).suite
        cells = plan(read, store=Store(tmp_path / "runs"), data=DataSource(None))
        return {cell.job.spec.method.label: cell.job.tuned is not None for cell in cells}

    assert records() == {"full": True, "lo": True}
    assert records("full.learning_rate=0.5") == {"full": False, "lo": True}
    assert records("lo.r=16") == {"full": True, "lo": False}
    file.write_text(file.read_text().replace("learning_rate: 0.01", "learning_rate: 0.02", 1))
    assert records() == {"full": False, "lo": True}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tuning": None}, "add a section 'tuning'"),
        ({"models": ["a", "b"]}, "one backbone at a time"),
        (
            {"methods": ["full", "head"]},
            "add values to search for head",
        ),
        (
            {"tuning": {"trials": 4, "tasks": ["cola"], "search": {"full": {"r": [1]}}}},
            "1 combinations for 4 trials",
        ),
        (
            {"tuning": {"trials": 2, "tasks": ["cola"], "search": {"full": {"r": [1, 1]}}}},
            "a value appears twice",
        ),
    ],
)
def test_unequal_searches_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        trial_suite(suite(**changed))
