"""NIST over several references, as the E2E challenge computed it.

Each n-gram of the answer that stands in a reference counts by its information: how much rarer it is
in all references than the n-gram without its last word. The tokenisation is that of mteval-v13a.

Implementations differ in the reference length of the penalty for short answers where examples have
different numbers of references. Common ports in Python add up, over the examples, the mean length
of an example's references; so does NLTK. Here all words of all references are divided by the mean
number of references of an example. It is what gives the published 8.6094 for the challenge's
baseline, where the ports give 8.5923 and no penalty at all gives 8.6095.
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
"""The longest n-grams that count."""

_BETA = math.log(0.5) / math.log(1.5) ** 2
"""Makes the penalty one half where the answers are two thirds as long as the references."""


class Nist(TextMetric):
    """NIST of the whole corpus; it is no share, and a missing text counts as an empty one."""

    summary = "The precision of 1- to 5-grams, each weighted by its information."
    paper = "Doddington 2002, HLT; as in Dušek et al. 2020, arXiv:1901.07931"

    def values(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Computes NIST."""
        from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

        tokenizer = Tokenizer13a()

        def words(text: str | None) -> list[str]:
            return str(tokenizer((text or "").lower())).split()

        answers = [words(text) for text in predictions]
        return {"nist": nist(answers, [list(map(words, texts)) for texts in references])}


def nist(answers: Sequence[list[str]], references: Sequence[Sequence[list[str]]]) -> float:
    """Computes NIST of texts that are split into words, one list of references an answer."""
    texts = [text for group in references for text in group]
    counts = Counter(ngram for text in texts for ngram in _ngrams(text))
    total = sum(map(len, texts))
    gained, made = [0.0] * LONGEST, [0] * LONGEST
    for answer, group in zip(answers, references, strict=True):
        most: Counter[Ngram] = Counter()
        for text in group:
            most |= Counter(_ngrams(text))
        for ngram, count in Counter(_ngrams(answer)).items():
            made[len(ngram) - 1] += count
            if ngram in most:
                rarer = counts[ngram[:-1]] if len(ngram) > 1 else total
                information = math.log2(rarer / counts[ngram])
                gained[len(ngram) - 1] += information * min(count, most[ngram])
    precision = sum(g / max(m, 1) for g, m in zip(gained, made, strict=True))
    length = total * len(references) / max(len(texts), 1)
    return precision * _penalty(made[0], length)


def _penalty(words: int, expected: float) -> float:
    if not words or not expected:
        return 0.0
    ratio = min(words / expected, 1.0)
    return math.exp(_BETA * math.log(ratio) ** 2)


def _ngrams(words: Sequence[str]) -> Iterator[Ngram]:
    for length in range(1, LONGEST + 1):
        for start in range(len(words) - length + 1):
            yield tuple(words[start : start + length])
