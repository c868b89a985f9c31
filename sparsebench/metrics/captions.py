"""METEOR, ROUGE-L and CIDEr, as the E2E challenge took them from the COCO caption evaluation.

They need the extra ``e2e`` (the package pycocoevalcap, whose wheel holds all that it runs) and
Java. Texts are split into words by the PTB tokenizer, made lower case, and lose the punctuation
marks that stand alone. A missing text counts as an empty one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.metrics import java
from sparsebench.metrics.base import TextMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    Groups = Sequence[Sequence[str]]


class Meteor(TextMetric):
    """METEOR 1.5 for English of the whole corpus, as a share of 1."""

    summary = "The alignment of words, stems, synonyms and paraphrases with the best reference."
    paper = "Denkowski and Lavie 2014, WMT"

    def values(self, predictions: Sequence[str | None], references: Groups) -> dict[str, float]:
        """Computes METEOR."""
        answers, groups = _tokenised(predictions, references)
        return {"meteor": java.meteor(answers, groups)}


class RougeL(TextMetric):
    """ROUGE-L as in the COCO caption evaluation: the mean over examples, as a share of 1.

    The longest common subsequence, its recall weighing 1.2 squared times as much as its precision;
    both are the best over the references, which may be two.
    """

    summary = "The longest common subsequence of words with the references."
    paper = "Lin 2004, ACL workshop; as in Chen et al. 2015, arXiv:1504.00325"

    def values(self, predictions: Sequence[str | None], references: Groups) -> dict[str, float]:
        """Computes ROUGE-L."""
        from pycocoevalcap.rouge.rouge import Rouge

        value, _ = Rouge().compute_score(*_numbered(*_tokenised(predictions, references)))
        return {"rouge_l": float(value)}


class Cider(TextMetric):
    """CIDEr-D: the mean over examples, from 0 to 10.

    N-grams weigh less the more examples have them in their references; so a single example, whose
    n-grams are in all examples, always scores 0.
    """

    summary = "The likeness of 1- to 4-grams with the references, weighted by how rare they are."
    paper = "Vedantam et al. 2015, arXiv:1411.5726"

    def values(self, predictions: Sequence[str | None], references: Groups) -> dict[str, float]:
        """Computes CIDEr."""
        from pycocoevalcap.cider.cider import Cider as Scorer

        value, _ = Scorer().compute_score(*_numbered(*_tokenised(predictions, references)))
        return {"cider": float(value)}


def _tokenised(
    predictions: Sequence[str | None], references: Groups
) -> tuple[list[str], list[list[str]]]:
    """Tokenises answers and references, all in one run of the tokenizer."""
    flat = [text or "" for text in predictions]
    flat += [text for group in references for text in group]
    done = iter(java.tokenise(tuple(flat)))
    answers = [next(done) for _ in predictions]
    return answers, [[next(done) for _ in group] for group in references]


def _numbered(
    answers: Sequence[str], references: Groups
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Returns references and answers as pycocoevalcap takes them."""
    groups = {place: list(group) for place, group in enumerate(references)}
    return groups, {place: [answer] for place, answer in enumerate(answers)}
