"""Exact match and F1 of answers to questions, as the official scripts of SQuAD compute them.

A text is first made plain: lower case, without punctuation and the articles a, an and the, blanks
joined. Each answer counts by the reference that it is nearest to. The scripts of 1.1 and 2.0 differ
in one rule: where nothing is left of a text, 1.1 gives no F1 even if nothing is left of the
reference either, and 2.0 gives full F1 then.

A missing answer is wrong. The script of 1.1 does the same; that of 2.0 leaves the question out.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING

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
        """Computes both."""
        pairs = list(zip(predictions, references, strict=True))
        return {
            "exact_match": fmean(exact_match(*pair) for pair in pairs),
            "f1": fmean(f1(*pair, of_nothing=0.0) for pair in pairs),
        }


class Squad2(TextMetric):
    """Exact match and F1 of SQuAD 2.0, in all and of the questions with and without an answer.

    A question without an answer has no reference, and is answered by an empty text. The parts are
    left out where there is no such question.
    """

    summary = "As for SQuAD 1.1, with questions that have no answer."
    paper = "Rajpurkar et al. 2018, SQuAD 2.0, arXiv:1806.03822"

    def values(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Computes both."""
        rows = [
            (bool(golds), *squad2_scores(answer, golds))
            for answer, golds in zip(predictions, references, strict=True)
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


def squad2_scores(answer: str | None, golds: Sequence[str]) -> tuple[float, float]:
    """Returns exact match and F1 of one answer, by the rules of 2.0; no reference: no answer."""
    kept = [gold for gold in golds if plain(gold)] or [""]
    return exact_match(answer, kept), f1(answer, kept, of_nothing=1.0)


def plain(text: str) -> str:
    """Returns a text without what does not count: case, punctuation, articles, extra blanks."""
    words = _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()
    return " ".join(words)


def exact_match(answer: str | None, golds: Sequence[str]) -> float:
    """Returns 1 if an answer is one of the references, else 0."""
    return float(answer is not None and plain(answer) in map(plain, golds))


def f1(answer: str | None, golds: Sequence[str], *, of_nothing: float) -> float:
    """Returns the best harmonic mean of precision and recall of words, over the references.

    Args:
        answer: The answer; a missing one has an F1 of 0.
        golds: The references.
        of_nothing: The F1 where nothing is left of both the answer and the reference.
    """
    if answer is None:
        return 0.0
    words = plain(answer).split()
    return max(_overlap(words, plain(gold).split(), of_nothing=of_nothing) for gold in golds)


def _overlap(words: list[str], gold: list[str], *, of_nothing: float) -> float:
    if not words and not gold:
        return of_nothing
    common = (Counter(words) & Counter(gold)).total()
    return 2 * common / (len(words) + len(gold))
