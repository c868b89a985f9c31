"""The evaluation block of a Hugging Face model card: the front matter of its README."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import yaml

from sparsebench.errors import UserError
from sparsebench.tasks import TASKS, Form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sparsebench.results.records import RunResult

_HUB_TASKS = {Form.SPAN: "question-answering", Form.CLASSIFICATION: "text-classification"}
"""Form of a task -> its name on the Hub; for other forms, text generation."""

_HUB_METRICS = {
    "matthews": "matthews_correlation",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
}
"""Metric -> its name on the Hub, if it differs."""


def model_card(results: Iterable[RunResult], *, name: str) -> str:
    """Return the block ``model-index`` as YAML, between the lines of a front matter.

    Every metric of every reported split is listed, of single runs: a card describes one model, and
    a mean over seeds describes none.

    Args:
        results: The runs of one model: a method with one backbone, one seed and one protocol, at
            most once on each task.
        name: The name of the model in the card.

    Raises:
        UserError: The runs are of several models, or none has a score.
    """
    from huggingface_hub.repocard_data import eval_results_to_model_index

    scored = sorted((r for r in results if r.score is not None), key=lambda r: r.key)
    if not scored:
        raise UserError("no run has a score")
    _refuse_several_models(scored)
    values = [value for result in scored for value in _values(result)]
    content = {
        "base_model": scored[0].spec.model,
        "model-index": eval_results_to_model_index(name, values),
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---\n"


def _refuse_several_models(scored: Sequence[RunResult]) -> None:
    models = {(r.spec.model, r.spec.method.label, r.spec.seed) for r in scored}
    if len(models) > 1:
        raise UserError(
            f"a model card is of one model, and these runs are of {len(models)}: "
            "name one with --methods, --seeds and, if need be, --models"
        )
    protocols = sorted({r.spec.protocol.value for r in scored})
    if len(protocols) > 1:
        raise UserError(
            f"a model card is of one protocol, and these runs are of {', '.join(protocols)}: "
            "keep each in a folder of its own"
        )
    task, runs = Counter(r.spec.task for r in scored).most_common(1)[0]
    if runs > 1:
        budgets = sorted({str(r.spec.training.budget) for r in scored if r.spec.task == task})
        raise UserError(
            f"a model card is of one model, and {runs} of these runs are on {task} "
            f"({', '.join(budgets)}): keep each in a folder of its own"
        )


def _values(result: RunResult) -> Iterator[Any]:
    from huggingface_hub import EvalResult

    spec = result.spec
    task = TASKS.get(spec.task) if spec.task in TASKS else None
    forms = task.forms if task else (Form.CLASSIFICATION,)
    kinds = (kind for form, kind in _HUB_TASKS.items() if form in forms)
    task_type = next(kinds, "text-generation")
    for split, scores in sorted(result.scores.items()):
        for metric, value in sorted(scores.items()):
            yield EvalResult(
                task_type=task_type,
                dataset_type=task.group if task else spec.task,
                dataset_config=spec.task,
                dataset_name=spec.task,
                dataset_split=split,
                metric_type=_HUB_METRICS.get(metric, metric),
                metric_value=value,
            )
