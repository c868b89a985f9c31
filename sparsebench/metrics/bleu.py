"""BLEU over several references, by sacreBLEU, with the tokenisation and case of mteval-v13a.

The script mteval-v13a.pl is what the E2E challenge scored with: punctuation is split off, letters
A to Z are made lower case, the closest reference length decides the brevity penalty, and where no
n-gram of a length matches, the precision is smoothed by halves ("exp" in sacreBLEU).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.metrics.base import TextMetric

if TYPE_CHECKING:
    from collections.abc import Sequence


class Bleu(TextMetric):
    """BLEU of the whole corpus, as a share of 1; a missing text counts as an empty one."""

    summary = "The precision of 1- to 4-grams over several references, with a brevity penalty."
    paper = "Papineni et al. 2002, ACL; Post 2018, sacreBLEU, arXiv:1804.08771"

    def values(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Computes BLEU."""
        from sacrebleu.metrics import BLEU

        most = max(map(len, references))
        streams = [[dict(enumerate(texts)).get(n) for texts in references] for n in range(most)]
        bleu = BLEU(tokenize="13a", lowercase=True, smooth_method="exp")
        texts = [text or "" for text in predictions]
        return {"bleu": float(bleu.corpus_score(texts, streams).score) / 100}
