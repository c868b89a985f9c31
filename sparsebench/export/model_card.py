"""The evaluation block of a Hugging Face model card: the front matter of its README."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from sparsebench.errors import UserError
from sparsebench.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sparsebench.results.schema import RunResult

_HUB_TASKS = {"squad": "question-answering", "e2e": "text-generation"}
"""Group of tasks -> what the Hub calls such a task; for others, text classification."""


def model_card(results: Iterable[RunResult], *, name: str) -> str:
    """Returns the block ``model-index`` as YAML, between the lines of a front matter.

    Every metric of every reported split is a value of its own, of one run: a card describes one
    model, and a mean over seeds is of none.

    Args:
        results: The runs of one model: a method with one backbone and one seed, on any tasks.
        name: What the card calls the model.

    Raises:
        UserError: The runs are of several models, or none has a score.
    """
    from huggingface_hub.repocard_data import eval_results_to_model_index

    scored = sorted((r for r in results if r.score is not None), key=lambda r: r.key)
    models = {(r.spec.model, r.spec.method.label, r.spec.seed) for r in scored}
    if not scored:
        raise UserError("no run has a score")
    if len(models) > 1:
        raise UserError(
            f"a model card is of one model, and these runs are of {len(models)}: "
            "name one with --methods, --seeds and, if need be, --models"
        )
    values = [value for result in scored for value in _values(result)]
    content = {
        "base_model": scored[0].spec.model,
        "model-index": eval_results_to_model_index(name, values),
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---\n"


def _values(result: RunResult) -> Iterator[Any]:
    from huggingface_hub import EvalResult

    spec = result.spec
    group = TASKS.get(spec.task).group if spec.task in TASKS else ""
    for split, scores in sorted(result.scores.items()):
        for metric, value in sorted(scores.items()):
            yield EvalResult(
                task_type=_HUB_TASKS.get(group, "text-classification"),
                dataset_type=group or spec.task,
                dataset_config=spec.task,
                dataset_name=spec.task,
                dataset_split=split,
                metric_type=metric,
                metric_value=value,
            )
