"""BLEU and NIST over several references, as the E2E challenge computed them.

Texts are tokenised like mteval-v13a.pl, the script of the challenge: punctuation is split off, and
letters are lower case. A missing text counts as an empty one.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from sparsebench.metrics.base import TextMetric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Ngram = tuple[str, ...]

LONGEST = 5
"""The longest n-grams that NIST counts."""

_BETA = math.log(0.5) / math.log(1.5) ** 2
"""Sets the penalty to one half where the predictions are two thirds as long as the references."""


class Bleu(TextMetric):
    """BLEU of the whole corpus by sacreBLEU, as a share of 1.

    The closest reference length decides the brevity penalty. Where no n-gram of a length matches,
    the precision is smoothed by halves ("exp" in sacreBLEU).
    """

    summary = "The precision of 1- to 4-grams over several references, with a brevity penalty."
    paper = "Papineni et al. 2002, ACL; Post 2018, sacreBLEU, arXiv:1804.08771"

    def values(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Compute BLEU."""
        from sacrebleu.metrics import BLEU

        most = max(map(len, references))
        streams = [[dict(enumerate(texts)).get(n) for texts in references] for n in range(most)]
        # "force" silences the warning that predictions look tokenised; their form is the method's.
        bleu = BLEU(tokenize="13a", lowercase=True, smooth_method="exp", force=True)
        texts = [text or "" for text in predictions]
        return {"bleu": float(bleu.corpus_score(texts, streams).score) / 100}


class Nist(TextMetric):
    """NIST of the whole corpus; a number that is not a share."""

    summary = "The precision of 1- to 5-grams, each weighted by its information."
    paper = "Doddington 2002, HLT; as in Dušek et al. 2020, arXiv:1901.07931"

    def values(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Compute NIST."""
        from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

        tokenizer = Tokenizer13a()

        def words(text: str | None) -> list[str]:
            return str(tokenizer((text or "").lower())).split()

        texts = [words(text) for text in predictions]
        return {"nist": nist(texts, [list(map(words, group)) for group in references])}


def nist(predictions: Sequence[list[str]], references: Sequence[Sequence[list[str]]]) -> float:
    """Compute NIST of texts that are split into words.

    Each n-gram of a prediction that is in a reference counts by its information: how much rarer it
    is in all references than the n-gram without its last word.

    Implementations differ in the reference length of the penalty for short predictions where
    examples have different numbers of references. Common ports in Python, and NLTK, sum the mean
    length of the references of each example. Here the number of words of all references is divided
    by the mean number of references of an example. This gives the published 8.6094 for the baseline
    of the challenge; the ports give 8.5923, and no penalty gives 8.6095.

    Args:
        predictions: The words of each prediction.
        references: The words of the references of each prediction.
    """
    texts = [text for group in references for text in group]
    counts = Counter(ngram for text in texts for ngram in _ngrams(text))
    total = sum(map(len, texts))
    gained, predicted = [0.0] * LONGEST, [0] * LONGEST
    for words, group in zip(predictions, references, strict=True):
        most: Counter[Ngram] = Counter()
        for text in group:
            most |= Counter(_ngrams(text))
        for ngram, count in Counter(_ngrams(words)).items():
            predicted[len(ngram) - 1] += count
            if ngram in most:
                rarer = counts[ngram[:-1]] if len(ngram) > 1 else total
                information = math.log2(rarer / counts[ngram])
                gained[len(ngram) - 1] += information * min(count, most[ngram])
    precision = sum(g / max(n, 1) for g, n in zip(gained, predicted, strict=True))
    length = total * len(references) / max(len(texts), 1)
    return precision * _penalty(predicted[0], length)


def _penalty(words: int, expected: float) -> float:
    if not words or not expected:
        return 0.0
    ratio = min(words / expected, 1.0)
    return math.exp(_BETA * math.log(ratio) ** 2)


def _ngrams(words: Sequence[str]) -> Iterator[Ngram]:
    for length in range(1, LONGEST + 1):
        for start in range(len(words) - length + 1):
            yield tuple(words[start : start + length])
