"""Count the answers of SQuAD's development set that a span model can give at all.

    python scripts/squad_reach.py DATA MODEL [--max-length 384]

``DATA`` holds the official JSON files, ``MODEL`` is a folder or Hub id with a tokenizer. A question
counts by the best of its answers.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from sparsebench.models import Form
from sparsebench.tasks import DataSource
from sparsebench.tasks.questions import LONGEST_ANSWER
from sparsebench.tasks.squad import SQUAD
from sparsebench.tasks.windows import span_of

EXACT = "exactly the tokens of a span"
INSIDE = "in a span that begins or ends inside a word"
LONG = f"longer than {LONGEST_ANSWER} tokens"
NOWHERE = "in no window as a whole"
KINDS = (EXACT, INSIDE, LONG, NOWHERE)
"""From the best to the worst."""


def main() -> None:
    """Print how many questions have an answer of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--max-length", type=int, default=384)
    arguments = parser.parse_args()
    (rows,) = SQUAD.load_split(DataSource(arguments.data), "dev").values()
    features = SQUAD.encode_inputs(
        rows,
        tokenizer=AutoTokenizer.from_pretrained(arguments.model),
        form=Form.SPAN,
        max_length=arguments.max_length,
    )
    best = [KINDS.index(NOWHERE)] * len(rows)
    texts, starts = rows["texts"], rows["starts"]
    for window in features.with_format("numpy"):
        question = int(window["example"])
        found = (
            KINDS.index(_kind(window, start, start + len(text)))
            for text, start in zip(texts[question], starts[question], strict=True)
        )
        best[question] = min(best[question], *found)
    counts = Counter(KINDS[kind] for kind in best)
    print(f"{len(rows)} questions in {len(features)} windows of {arguments.max_length} tokens")
    for kind in KINDS:
        print(f"{counts[kind]:6}  {kind}")


def _kind(window: Any, first: int, last: int) -> str:
    span = span_of(window["starts"], window["ends"], first, last)
    if span is None:
        return NOWHERE
    begins, finishes = span
    if finishes - begins >= LONGEST_ANSWER:
        return LONG
    exact = window["starts"][begins] == first and window["ends"][finishes] == last
    return EXACT if exact else INSIDE


if __name__ == "__main__":
    main()
