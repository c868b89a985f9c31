"""METEOR, ROUGE-L and CIDEr, which the E2E challenge took from the COCO caption evaluation.

They need the extra ``e2e`` (the package pycocoevalcap) and Java. Texts are split into words by the
PTB tokenizer, in lower case, without lone punctuation marks. A missing text counts as an empty one.

The two Java programs inside pycocoevalcap, the PTB tokenizer and METEOR 1.5, are started from here
and not by that package: its wrappers write into the folder of installed packages, and use the
default encoding of the machine.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.metrics.base import TextMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    Groups = Sequence[Sequence[str]]

_TOKENIZER = "tokenizer/stanford-corenlp-3.4.1.jar"
_METEOR = "meteor/meteor-1.5.jar"
_UTF8 = "-Dfile.encoding=UTF-8"
_DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""Tokens that the COCO caption evaluation drops. Brackets read ``-lrb-`` and stay."""


class Meteor(TextMetric):
    """METEOR 1.5 for English of the whole corpus, as a share of 1."""

    summary = "The alignment of words, stems, synonyms and paraphrases with the best reference."
    paper = "Denkowski and Lavie 2014, WMT"

    def values(self, predictions: Sequence[str | None], references: Groups) -> dict[str, float]:
        """Compute METEOR."""
        return {"meteor": meteor(*_tokenised(predictions, references))}


class RougeL(TextMetric):
    """ROUGE-L as in the COCO caption evaluation: the mean over examples, as a share of 1.

    An F-score of the longest common subsequence, in which recall has 1.2 squared times the weight
    of precision. Precision and recall are each the best over the references.
    """

    summary = "The longest common subsequence of words with the references."
    paper = "Lin 2004, ACL workshop; as in Chen et al. 2015, arXiv:1504.00325"

    def values(self, predictions: Sequence[str | None], references: Groups) -> dict[str, float]:
        """Compute ROUGE-L."""
        from pycocoevalcap.rouge.rouge import Rouge

        value, _ = Rouge().compute_score(*_numbered(*_tokenised(predictions, references)))
        return {"rouge_l": float(value)}


class Cider(TextMetric):
    """CIDEr-D: the mean over examples, from 0 to 10.

    N-grams weigh less the more examples have them in their references. A single example therefore
    always scores 0, as its n-grams are in all examples.
    """

    summary = "The similarity of 1- to 4-grams with the references, weighted by their rarity."
    paper = "Vedantam et al. 2015, arXiv:1411.5726"

    def values(self, predictions: Sequence[str | None], references: Groups) -> dict[str, float]:
        """Compute CIDEr."""
        from pycocoevalcap.cider.cider import Cider as Scorer

        value, _ = Scorer().compute_score(*_numbered(*_tokenised(predictions, references)))
        return {"cider": float(value)}


def absence() -> str | None:
    """Return why the Java programs cannot run here, or None if they can."""
    if importlib.util.find_spec("pycocoevalcap") is None:
        return "needs the extra e2e: pip install 'sparsebench[e2e]'"
    if shutil.which("java") is None:
        return "needs Java: install a Java runtime (8 or newer) and put it on the PATH"
    return None


@lru_cache(maxsize=4)
def tokenise(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Split texts into PTB tokens, joined by blanks, in lower case, without lone punctuation.

    Raises:
        UserError: The program is absent or fails.
    """
    main = "edu.stanford.nlp.process.PTBTokenizer"
    command = ["-cp", str(_program(_TOKENIZER)), main, "-preserveLines", "-lowerCase"]
    lines = _run([*command, "-encoding", "utf-8"], [" ".join(text.split()) for text in texts])
    if len(lines) != len(texts):
        raise UserError(f"the PTB tokenizer returned {len(lines)} lines for {len(texts)} texts")
    return tuple(" ".join(w for w in line.split() if w not in _DROPPED) for line in lines)


def meteor(predictions: Sequence[str], references: Groups) -> float:
    """Compute METEOR of a corpus of tokenised texts.

    Raises:
        UserError: The program is absent or fails.
    """
    options = ["-Xmx2G", "-jar", str(_program(_METEOR))]
    command = ["java", _UTF8, *options, "-", "-", "-stdio", "-l", "en", "-norm"]
    pairs = zip(predictions, references, strict=True)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as program:
        counts = [_request(program, " ||| ".join(["SCORE", *group, text])) for text, group in pairs]
        value = _request(program, " ||| ".join(["EVAL", *counts]), lines=len(counts) + 1)
        program.terminate()
    return float(value)


def _request(program: subprocess.Popen[str], line: str, *, lines: int = 1) -> str:
    """Write a line to a program, and return the last line of its response."""
    if program.stdin is None or program.stdout is None:
        raise ValueError("the program has no pipes")
    program.stdin.write(f"{line}\n")
    program.stdin.flush()
    *_, last = (program.stdout.readline() for _ in range(lines))
    if not last:
        raise UserError(f"METEOR ended without a response to: {line[:200]}")
    return last.strip()


def _program(name: str) -> Path:
    if reason := absence():
        raise UserError(f"METEOR, ROUGE-L and CIDEr: {reason}")
    spec = importlib.util.find_spec("pycocoevalcap")
    folders = spec.submodule_search_locations if spec else None
    return Path(next(iter(folders or ["."]))) / name


def _run(arguments: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Run a program that writes one line for each line that it reads."""
    done = subprocess.run(
        ["java", _UTF8, *arguments],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it printed no error"])[-1]
        raise UserError(f"java {' '.join(arguments)} failed: {reason}")
    return done.stdout.splitlines()


def _tokenised(
    predictions: Sequence[str | None], references: Groups
) -> tuple[list[str], list[list[str]]]:
    """Tokenise predictions and references in a single run of the tokenizer."""
    flat = [text or "" for text in predictions]
    flat += [text for group in references for text in group]
    done = iter(tokenise(tuple(flat)))
    texts = [next(done) for _ in predictions]
    return texts, [[next(done) for _ in group] for group in references]


def _numbered(
    predictions: Sequence[str], references: Groups
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Return references and predictions in the format of pycocoevalcap."""
    groups = {place: list(group) for place, group in enumerate(references)}
    return groups, {place: [text] for place, text in enumerate(predictions)}
