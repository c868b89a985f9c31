"""Exact match and F1 of answers to questions, as the official scripts of SQuAD compute them.

Texts are normalised first: lower case, no punctuation, none of the articles a, an and the, single
blanks. Each prediction is scored against its nearest reference. The scripts of 1.1 and 2.0 differ
in one rule: if both texts are empty after normalisation, F1 is 0 in 1.1 and 1 in 2.0.

A missing prediction is wrong. The script of 1.1 has the same rule; that of 2.0 skips the question.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from sparsebench.metrics.base import TextMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Squad(TextMetric):
    """Exact match and F1 of SQuAD 1.1, as shares of 1; every question has an answer."""

    summary = "The share of exact answers, and the mean overlap of words with the answers."
    paper = "Rajpurkar et al. 2016, SQuAD, arXiv:1606.05250"

    def values(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Compute both."""
        pairs = list(zip(predictions, references, strict=True))
        return {
            "exact_match": fmean(exact_match(*pair) for pair in pairs),
            "f1": fmean(f1(*pair, of_nothing=0.0) for pair in pairs),
        }


class Squad2(TextMetric):
    """Exact match and F1 of SQuAD 2.0: of all questions, and of those with and without an answer.

    A question without an answer has no reference, and the right prediction is an empty text. The
    values of a kind of question are left out if there is no such question.
    """

    summary = "As for SQuAD 1.1, with questions that have no answer."
    paper = "Rajpurkar et al. 2018, SQuAD 2.0, arXiv:1806.03822"

    def values(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Compute both."""
        rows = [
            (bool(golds), *squad2_scores(text, golds))
            for text, golds in zip(predictions, references, strict=True)
        ]
        parts = {
            "": rows,
            "has_answer_": [row for row in rows if row[0]],
            "no_answer_": [row for row in rows if not row[0]],
        }
        return {
            f"{part}{name}": fmean(row[place] for row in chosen)
            for part, chosen in parts.items()
            for place, name in ((1, "exact_match"), (2, "f1"))
            if chosen
        }


def squad2_scores(prediction: str | None, golds: Sequence[str]) -> tuple[float, float]:
    """Return exact match and F1 of one prediction, by the rules of 2.0.

    Args:
        prediction: The predicted text; None if it is missing.
        golds: The references; none if the question has no answer.
    """
    kept = [gold for gold in golds if normalised(gold)] or [""]
    return exact_match(prediction, kept), f1(prediction, kept, of_nothing=1.0)


def best_thresholds(
    predictions: Sequence[str], no_answer: Sequence[float], references: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Find the thresholds for "no answer" with the best scores, as the script of SQuAD 2.0 does.

    They are chosen on the predictions that are scored: the result is an upper bound, not a score.

    Args:
        predictions: The best text for each question.
        no_answer: The score of "no answer"; above the threshold, it replaces the text.
        references: The right answers; none if there is no answer.

    Returns:
        ``best_exact_match`` and ``best_f1`` with their thresholds, shares of 1.
    """
    given = np.array([squad2_scores(*pair) for pair in zip(predictions, references, strict=True)])
    silent = np.array([float(not golds) for golds in references])
    order = np.argsort(no_answer, kind="stable")
    levels = np.asarray(no_answer, dtype=np.float64)[order]
    ends = np.append(np.flatnonzero(np.diff(levels)), len(levels) - 1)
    found: dict[str, float] = {}
    for place, name in enumerate(("exact_match", "f1")):
        gains = np.cumsum((given[:, place] - silent)[order])[ends]
        totals = silent.sum() + np.concatenate([[0.0], gains])
        best = int(totals.argmax())
        found[f"best_{name}"] = float(totals[best] / len(predictions))
        # Below the lowest level every prediction is "no answer".
        level = levels[ends[best - 1]] if best else np.nextafter(levels[0], -np.inf)
        found[f"best_{name}_threshold"] = float(level)
    return found


def normalised(text: str) -> str:
    """Return a text in lower case, without punctuation, articles and extra blanks."""
    words = _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()
    return " ".join(words)


def exact_match(prediction: str | None, golds: Sequence[str]) -> float:
    """Return 1 if a prediction equals a reference after normalisation, else 0."""
    return float(prediction is not None and normalised(prediction) in map(normalised, golds))


def f1(prediction: str | None, golds: Sequence[str], *, of_nothing: float) -> float:
    """Return the best harmonic mean of precision and recall of words, over the references.

    Args:
        prediction: The predicted text; None, if it is missing, has an F1 of 0.
        golds: The references.
        of_nothing: The F1 if prediction and reference are both empty after normalisation.
    """
    if prediction is None:
        return 0.0
    words = normalised(prediction).split()
    return max(_overlap(words, normalised(gold).split(), of_nothing=of_nothing) for gold in golds)


def _overlap(words: list[str], gold: list[str], *, of_nothing: float) -> float:
    if not words and not gold:
        return of_nothing
    common = (Counter(words) & Counter(gold)).total()
    return 2 * common / (len(words) + len(gold))
