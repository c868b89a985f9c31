"""Where to draw the line between an answer and none, for questions that may have no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparsebench.metrics.squad import squad2_scores

if TYPE_CHECKING:
    from collections.abc import Sequence


def best_thresholds(
    answers: Sequence[str], no_answer: Sequence[float], references: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Finds the thresholds that would have scored best, as the script of SQuAD 2.0 does.

    They are found on the answers that are scored: what they give is a bound, not a score.

    Args:
        answers: What each question is answered if it is answered at all.
        no_answer: How sure it is that there is no answer; above the threshold, none is given.
        references: The right answers; none where there is none.

    Returns:
        ``best_exact_match`` and ``best_f1`` with their thresholds, shares of 1.
    """
    given = np.array([squad2_scores(*pair) for pair in zip(answers, references, strict=True)])
    silent = np.array([float(not golds) for golds in references])
    order = np.argsort(no_answer, kind="stable")
    levels = np.asarray(no_answer, dtype=np.float64)[order]
    ends = np.append(np.flatnonzero(np.diff(levels)), len(levels) - 1)
    found: dict[str, float] = {}
    for place, name in enumerate(("exact_match", "f1")):
        gains = np.cumsum((given[:, place] - silent)[order])[ends]
        totals = silent.sum() + np.concatenate([[0.0], gains])
        best = int(totals.argmax())
        found[f"best_{name}"] = float(totals[best] / len(answers))
        # Below the lowest level nothing is answered.
        level = levels[ends[best - 1]] if best else np.nextafter(levels[0], -np.inf)
        found[f"best_{name}_threshold"] = float(level)
    return found
