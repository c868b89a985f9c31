"""Equal tuning: the same number of trials for every method, chosen on what nothing is reported on.

A trial is an ordinary run under ``protocol: held-out``: it trains on a part of the training set,
and its score on the rest, at the best of its evaluations, is what the settings are chosen by.
Trials are kept like any other results, so that a search that was stopped goes on where it was.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from typing import TYPE_CHECKING, Any

import yaml

from sparsebench.errors import UserError
from sparsebench.schema.spec import SearchTrial, TuningRecord
from sparsebench.schema.training import Protocol
from sparsebench.suite import MethodEntry, Suite, TaskEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sparsebench.results.records import RunResult
    from sparsebench.suite import Tuning

Settings = dict[str, Any]


def trial_settings(suite: Suite) -> dict[str, list[Settings]]:
    """Returns the settings of every trial, by the label of the method.

    Raises:
        UserError: The suite has no search, or a method has none or too small a one.
    """
    tuning = _tuning(suite)
    return {label: _trials(label, tuning) for label in suite.methods}


def trial_suite(suite: Suite) -> Suite:
    """Returns the suite whose runs are the trials: a label each, under ``protocol: held-out``.

    Raises:
        UserError: As ``trial_settings``.
    """
    tuning, methods = _tuning(suite), {}
    for label, trials in trial_settings(suite).items():
        entry = suite.methods[label]
        for number, settings in enumerate(trials):
            content = {**entry.settings, **settings, "method": entry.method or label}
            methods[trial_label(label, number)] = MethodEntry.model_validate(content)
    tasks = {name: suite.tasks.get(name, TaskEntry()) for name in tuning.tasks}
    if tuning.budget:
        budget = {"budget": tuning.budget}
        tasks = {name: entry.model_copy(update=budget) for name, entry in tasks.items()}
    changed = {
        "name": f"{suite.name}-tuning",
        "tasks": tasks,
        "methods": methods,
        "seeds": (tuning.seed,),
        "protocol": Protocol.HELD_OUT,
        "tuned": {},
    }
    return suite.model_copy(update=changed)


def trial_label(label: str, number: int) -> str:
    """Returns what the runs of a trial are labelled."""
    return f"{label}.trial-{number + 1}"


def held_out_score(result: RunResult) -> float | None:
    """Returns the best score on the held-out part among the checkpoints that may be selected."""
    if result.score is None or result.training is None:
        return None
    scores = [each.score for each in result.training.evaluations if each.eligible]
    return max((score for score in scores if math.isfinite(score)), default=None)


def choose(suite: Suite, results: Iterable[RunResult]) -> dict[str, TuningRecord]:
    """Returns what the trials have found, by the label of the method.

    Args:
        suite: The suite that is tuned.
        results: The results of its trials.

    Raises:
        UserError: All trials of a method failed.
    """
    tuning = _tuning(suite)
    runs = {(r.spec.method.label, r.spec.task): r for r in results}
    found = {}
    for label, settings in trial_settings(suite).items():
        trials = tuple(
            _trial(values, trial_label(label, number), tuning.tasks, runs)
            for number, values in enumerate(settings)
        )
        scored = [at for at, trial in enumerate(trials) if trial.score is not None]
        if not scored:
            raise UserError(f"{label}: none of its {len(trials)} trials has a score")
        best = max(scored, key=lambda at: _merit(trials[at]))  # the first one of equals
        found[label] = TuningRecord(tasks=tuning.tasks, trials=trials, chosen=best)
    return found


def tuned_suite(suite: Suite, found: Mapping[str, TuningRecord]) -> str:
    """Returns the suite as YAML, with what was chosen and the record of the search."""
    content = suite.model_dump(mode="json", exclude_defaults=True, exclude={"tuned"})
    for label, tuned in found.items():
        entry = content["methods"].setdefault(label, {})
        entry.update(tuned.trials[tuned.chosen].model_dump(mode="json")["settings"])
    content["tuned"] = {label: tuned.model_dump(mode="json") for label, tuned in found.items()}
    head = (
        f"# {suite.name} with the settings that 'sparsebench tune' chose; its trials are below.\n"
    )
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _tuning(suite: Suite) -> Tuning:
    if suite.tuning is None:
        raise UserError(f"{suite.name}: no section 'tuning' says what to search")
    if len(suite.models) != 1:
        raise UserError(f"{suite.name}: tune for one backbone at a time, with --models")
    return suite.tuning


def _trials(label: str, tuning: Tuning) -> list[Settings]:
    search = tuning.search.get(label)
    if not search:
        raise UserError(f"tuning.search: {label} has none, and tuning is equal for all")
    grid = [
        dict(zip(search, values, strict=True)) for values in itertools.product(*search.values())
    ]
    if any(settings in grid[:at] for at, settings in enumerate(grid)):
        raise UserError(f"tuning.search.{label}: a value is there twice, and would be two trials")
    if len(grid) < tuning.trials:
        raise UserError(
            f"tuning.search.{label}: {len(grid)} combinations for {tuning.trials} trials"
        )
    if len(grid) == tuning.trials:
        return grid
    generator = random.Random(f"{tuning.seed} {label}")  # noqa: S311 - a draw that can be repeated
    return [grid[at] for at in sorted(generator.sample(range(len(grid)), tuning.trials))]


def _merit(trial: SearchTrial) -> tuple[float, float]:
    """Returns what orders trials: the score, and among ties what was learned of the training set.

    A budget may be too small for a method to leave the larger class under any of its settings.
    """
    return trial.score or 0.0, -math.inf if trial.loss is None else -trial.loss


def _trial(
    settings: Settings,
    label: str,
    tasks: Iterable[str],
    runs: Mapping[tuple[str, str], RunResult],
) -> SearchTrial:
    made = [run for task in tasks if (run := runs.get((label, task)))]
    scores = [held_out_score(run) for run in made]
    known = [score for score in scores if score is not None]
    whole = len(known) == len(list(tasks))
    return SearchTrial(
        settings=settings,
        score=statistics.fmean(known) if whole else None,
        loss=_last_loss(made) if whole else None,
        keys=tuple(run.key for run in made),
    )


def _last_loss(runs: Iterable[RunResult]) -> float | None:
    """Returns the mean training loss over the last quarter of the steps of all runs."""
    last = []
    for run in runs:
        losses = [point.loss for point in run.training.loss] if run.training else []
        last += losses[-math.ceil(len(losses) / 4) :] if losses else []
    return statistics.fmean(last) if last else None
