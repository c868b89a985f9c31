"""Equal tuning: the same number of search trials for every method, scored on held-out examples.

A search trial is an ordinary run under ``protocol: held-out``: it trains on a part of the training
set, and the settings are chosen by its best score on the rest. Trials are stored like any other
results, so a search that was stopped resumes.
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
from sparsebench.suite.teachers import teacher_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sparsebench.results.records import RunResult
    from sparsebench.suite import Tuning

Settings = dict[str, Any]

_FEWEST = 2
"""The values of a search that can be continued."""


def trial_settings(suite: Suite) -> dict[str, list[Settings]]:
    """Return the settings of every search trial, by the label of the method.

    Raises:
        UserError: The suite, or one of its methods, has no search or too small a one.
    """
    tuning = _tuning(suite)
    return {label: _trials(label, tuning) for label in suite.methods}


def trial_suite(suite: Suite) -> Suite:
    """Return the suite whose runs are the search trials, each with a label of its own.

    Raises:
        UserError: As for ``trial_settings``.
    """
    tuning, methods = _tuning(suite), {}
    for label, trials in trial_settings(suite).items():
        entry = suite.methods[label]
        for number, settings in enumerate(trials):
            content = {**entry.settings, **settings, "method": entry.method or label}
            methods[trial_label(label, number)] = MethodEntry.model_validate(content)
    waiting = list(methods)
    while waiting:  # teachers are rows as they are in the suite, whatever their own search finds
        label = waiting.pop()
        entry = methods[label]
        name = teacher_name(label, {**entry.settings, "method": entry.method})
        if name in suite.methods and name not in methods:
            methods[name] = suite.methods[name]
            waiting.append(name)
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
    """Return the label of the runs of a search trial."""
    return f"{label}.trial-{number + 1}"


def held_out_score(result: RunResult) -> float | None:
    """Return the best held-out score among the eligible checkpoints."""
    if result.score is None or result.training is None:
        return None
    scores = [each.score for each in result.training.evaluations if each.eligible]
    return max((score for score in scores if math.isfinite(score)), default=None)


def extended(suite: Suite, found: Mapping[str, TuningRecord]) -> Suite:
    """Return the suite with one more value to try for every method whose best one is at an edge.

    The new value continues the series: 1e-3, 2e-3 and 4e-3 are followed by 8e-3. The suite is the
    same if no method needs one.

    Args:
        suite: The suite to tune.
        found: The choices so far.
    """
    tuning, search = _tuning(suite), {}
    for label, values in tuning.search.items():
        new = None if label not in found else _next_value(values, found[label].best_settings)
        search[label] = values if new is None else {key: (*values[key], new[key]) for key in new}
    return suite.model_copy(update={"tuning": tuning.model_copy(update={"search": search})})


def _next_value(search: Mapping[str, Sequence[Any]], best: Settings) -> Settings | None:
    """Return the value beyond the edge of a search on which the best one lies, or None."""
    if len(search) != 1:
        return None
    ((key, values),) = search.items()
    if len(values) < _FEWEST or not all(isinstance(value, (int, float)) for value in values):
        return None
    ordered = sorted(values)
    beyond = {
        ordered[0]: ordered[0] ** 2 / ordered[1],
        ordered[-1]: ordered[-1] ** 2 / ordered[-2],
    }
    new = beyond.get(best[key])
    return None if new is None else {key: float(f"{new:.3g}")}


def choose(suite: Suite, results: Iterable[RunResult]) -> dict[str, TuningRecord]:
    """Choose the best settings of every method, by the label of the method.

    Args:
        suite: The suite to tune.
        results: The results of its search trials.

    Raises:
        UserError: All search trials of a method failed.
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
            raise UserError(f"{label}: none of its {len(trials)} search trials has a score")
        best = max(scored, key=lambda at: _merit(trials[at]))  # the first one of equals
        found[label] = TuningRecord(tasks=tuning.tasks, trials=trials, chosen=best)
    return found


def tuned_suite(suite: Suite, found: Mapping[str, TuningRecord]) -> str:
    """Return the suite as YAML, with the chosen settings and the record of the search."""
    content = suite.model_dump(mode="json", exclude_defaults=True, exclude={"tuned"})
    for label, tuned in found.items():
        entry = content["methods"].setdefault(label, {})
        entry.update(tuned.trials[tuned.chosen].model_dump(mode="json")["settings"])
    content["tuned"] = {label: tuned.model_dump(mode="json") for label, tuned in found.items()}
    head = (
        f"# {suite.name} with the settings that 'sparsebench tune' chose; the trials are below.\n"
    )
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _tuning(suite: Suite) -> Tuning:
    if suite.tuning is None:
        raise UserError(f"{suite.name}: add a section 'tuning' that says what to search")
    if len(suite.models) != 1:
        raise UserError(f"{suite.name}: tune for one backbone at a time, with --models")
    return suite.tuning


def _trials(label: str, tuning: Tuning) -> list[Settings]:
    search = tuning.search.get(label)
    if not search:
        raise UserError(
            f"tuning.search: add values to search for {label}, as tuning is equal for all methods"
        )
    grid = [
        dict(zip(search, values, strict=True)) for values in itertools.product(*search.values())
    ]
    if any(settings in grid[:at] for at, settings in enumerate(grid)):
        raise UserError(f"tuning.search.{label}: a value appears twice, which gives equal trials")
    if len(grid) < tuning.trials:
        raise UserError(
            f"tuning.search.{label}: {len(grid)} combinations for {tuning.trials} trials: add "
            "values, or lower tuning.trials"
        )
    if len(grid) == tuning.trials:
        return grid
    if tuning.extensions:
        if len(grid) > tuning.trials + tuning.extensions:
            raise UserError(
                f"tuning.search.{label}: {len(grid)} combinations for {tuning.trials} trials: with "
                "tuning.extensions every one is tried, so give as many values as trials"
            )
        return grid
    generator = random.Random(f"{tuning.seed} {label}")  # noqa: S311 - a reproducible draw
    return [grid[at] for at in sorted(generator.sample(range(len(grid)), tuning.trials))]


def _merit(trial: SearchTrial) -> tuple[float, float]:
    """Return the sort key of a search trial: its score, then its training loss for ties.

    With a small budget, a method may predict only the larger class under all of its settings.
    """
    return trial.score or 0.0, -math.inf if trial.loss is None else -trial.loss


def _trial(
    settings: Settings,
    label: str,
    tasks: Iterable[str],
    runs: Mapping[tuple[str, str], RunResult],
) -> SearchTrial:
    done = [run for task in tasks if (run := runs.get((label, task)))]
    scores = [held_out_score(run) for run in done]
    known = [score for score in scores if score is not None]
    complete = len(known) == len(list(tasks))
    return SearchTrial(
        settings=settings,
        score=statistics.fmean(known) if complete else None,
        loss=_last_loss(done) if complete else None,
        keys=tuple(run.key for run in done),
    )


def _last_loss(runs: Iterable[RunResult]) -> float | None:
    """Return the mean training loss over the last quarter of the steps of all runs."""
    last = []
    for run in runs:
        losses = [point.loss for point in run.training.loss] if run.training else []
        last += losses[-math.ceil(len(losses) / 4) :] if losses else []
    return statistics.fmean(last) if last else None
