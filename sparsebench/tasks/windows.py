"""Overlapping windows of long texts, and the answers inside them.

A window contains the question and as much of the context as fits. Neighbouring windows share
``OVERLAP`` tokens of the context, so that an answer of no more tokens is completely in one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    Numbers = np.ndarray[Any, Any]

OVERLAP = 128
"""Tokens that neighbouring windows share; at most half of the context that fits."""

LONGEST_QUESTION = 64
"""Tokens of a question that are kept; at most half of a window."""


def windows(
    questions: Sequence[str],
    contexts: Sequence[str],
    *,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> dict[str, list[Any]]:
    """Encode questions with their contexts in windows.

    Args:
        questions: The questions; the end of one over ``LONGEST_QUESTION`` tokens is cut.
        contexts: The text that each question is about.
        tokenizer: A fast tokenizer. If it marks no boundary between two texts (GPT-2), its
            separator or a line break is put between them. If it has no token for a whole text
            (also GPT-2), its end token is appended: the only one that attends to all tokens, and
            therefore the one that stands for "no answer".
        max_length: The most tokens of a window.

    Returns:
        Columns with one row per window: the inputs of the model; ``example``, the place of the
        question; ``starts`` and ``ends``, the characters of the context that each token covers
        (both 0 for special tokens and those of the question); and ``nothing``, the place of the
        token that stands for "no answer".
    """
    ended = tokenizer.cls_token_id is None
    kept = min(LONGEST_QUESTION, max_length // 2)
    questions = _cut(questions, tokenizer=tokenizer, tokens=kept)
    if not tokenizer.num_special_tokens_to_add(pair=True):
        questions = [f"{text}{tokenizer.sep_token or chr(10)}" for text in questions]
    columns: dict[str, list[Any]] = {}
    for place, pair in enumerate(zip(questions, contexts, strict=True)):
        rows = _encode(*pair, tokenizer=tokenizer, max_length=max_length, ended=ended)
        count = len(rows["input_ids"])
        for name, values in {**rows, "example": [place] * count}.items():
            columns.setdefault(name, []).extend(values)
    return columns


def place_answers(
    columns: Mapping[str, list[Any]], answers: Sequence[tuple[int, int]]
) -> list[int]:
    """Add the first and last token of the answer in each window; ``nothing`` if it is not in it.

    Characters at the ends of an answer that no token covers, such as control characters that the
    tokenizer drops, are disregarded.

    Args:
        columns: The result of ``windows``; ``start_positions`` and ``end_positions`` are added.
        answers: The characters of each question's answer, first and one past the last; two equal
            numbers if it has none.

    Returns:
        The places of the questions that have an answer which no window contains completely.
    """
    answers = _covered(columns, answers)
    found: set[int] = set()
    spans: list[tuple[int, int]] = []
    for example, starts, ends, nothing in zip(
        *(columns[name] for name in ("example", "starts", "ends", "nothing")), strict=True
    ):
        span = span_of(np.asarray(starts), np.asarray(ends), *answers[example])
        if span:
            found.add(example)
        spans.append(span or (nothing, nothing))
    columns["start_positions"] = [first for first, _ in spans]  # type: ignore[index]
    columns["end_positions"] = [last for _, last in spans]  # type: ignore[index]
    return [n for n, (first, last) in enumerate(answers) if first < last and n not in found]


def _covered(
    columns: Mapping[str, list[Any]], answers: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Shorten answers to the characters that a token of some window covers.

    An answer that no token overlaps stays as it is.
    """
    limits: dict[int, tuple[int, int]] = {}
    for example, starts, ends in zip(
        *(columns[name] for name in ("example", "starts", "ends")), strict=True
    ):
        first, last = answers[example]
        begins, finishes = np.asarray(starts), np.asarray(ends)
        inside = (finishes > first) & (begins < last) & (finishes > begins)
        if inside.any():
            low, high = int(begins[inside].min()), int(finishes[inside].max())
            before = limits.get(example, (low, high))
            limits[example] = (min(before[0], low), max(before[1], high))
    shortened = list(answers)
    for example, (low, high) in limits.items():
        first, last = answers[example]
        if first < last:
            shortened[example] = (max(first, low), min(last, high))
    return shortened


def span_of(starts: Numbers, ends: Numbers, first: int, last: int) -> tuple[int, int] | None:
    """Return the first and last token that cover the characters from ``first`` up to ``last``.

    They cover a little more if the tokenizer does not split at the ends. None if the window does
    not contain all of the characters, or there are none.
    """
    inside = np.flatnonzero((ends > first) & (starts < last) & (ends > 0))
    if first >= last or not len(inside):
        return None
    begins, finishes = int(inside[0]), int(inside[-1])
    whole = starts[begins] <= first and ends[finishes] >= last
    return (begins, finishes) if whole else None


@dataclass(frozen=True)
class SpanCandidate:
    """A candidate for an answer.

    Attributes:
        first: Its first character in the context.
        last: One past its last character.
        score: The sum of its start and end logit.
    """

    first: int
    last: int
    score: float


def best_spans(
    logits: Numbers, starts: Numbers, ends: Numbers, *, longest: int, count: int
) -> list[SpanCandidate]:
    """Find the best valid spans of a window: in the context, not reversed, not too long.

    All pairs of tokens are compared; the well-known scripts compare the best 20 starts and the best
    20 ends.

    Args:
        logits: Of start and end, ``[2, tokens]`` or padded to more.
        starts: The first character of each token.
        ends: One past its last character; 0 for a token outside the context.
        longest: The most tokens of an answer.
        count: The number of spans to return.
    """
    tokens = np.flatnonzero(ends > 0)
    if not len(tokens):
        return []
    begin, finish = logits[0, tokens], logits[1, tokens]
    width = min(longest, len(tokens))
    # Row: the first token; column: how many tokens further the last one is.
    padded = np.concatenate([finish, np.full(width, -np.inf, finish.dtype)])
    scores = begin[:, None] + np.lib.stride_tricks.sliding_window_view(padded, width)[: len(tokens)]
    flat = scores.ravel()
    chosen = np.argsort(-flat, kind="stable")[:count]
    return [
        SpanCandidate(int(starts[tokens[a]]), int(ends[tokens[a + b]]), float(scores[a, b]))
        for a, b in zip(*np.unravel_index(chosen, scores.shape), strict=True)
        if np.isfinite(scores[a, b])
    ]


def by_example(features: Dataset, outputs: Sequence[Numbers]) -> Iterator[list[dict[str, Any]]]:
    """Yield the windows of each question in turn, each with its ``logits``."""
    group: list[dict[str, Any]] = []
    columns = features.select_columns(["example", "starts", "ends", "nothing"])
    for row, logits in zip(columns.with_format("numpy"), outputs, strict=True):
        if group and group[0]["example"] != row["example"]:
            yield group
            group = []
        group.append({**row, "logits": logits})
    if group:
        yield group


def _cut(texts: Sequence[str], *, tokenizer: PreTrainedTokenizerBase, tokens: int) -> Sequence[str]:
    """Cut texts that have more tokens."""
    found = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    places = found["offset_mapping"]
    return [
        text[: offsets[tokens - 1][1]] if len(offsets) > tokens else text
        for text, offsets in zip(texts, places, strict=True)
    ]


def _encode(
    question: str,
    context: str,
    *,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    ended: bool,
) -> dict[str, list[Any]]:
    """Encode one question in as many windows as its context needs."""
    room = max_length - ended
    taken = len(tokenizer(question, "")["input_ids"])
    found = tokenizer(
        question,
        context,
        truncation="only_second",
        max_length=room,
        stride=min(OVERLAP, (room - taken) // 2),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    rows: dict[str, list[Any]] = {
        name: list(found[name]) for name in tokenizer.model_input_names if name in found
    }
    rows |= {"starts": [], "ends": [], "nothing": []}
    for window, offsets in enumerate(found["offset_mapping"]):
        owner = found.sequence_ids(window)
        shown = [pair if of == 1 else (0, 0) for pair, of in zip(offsets, owner, strict=True)]
        rows["starts"].append([first for first, _ in shown])
        rows["ends"].append([last for _, last in shown])
        rows["nothing"].append(len(shown) if ended else 0)
    if ended:
        _append_end(rows, tokenizer)
    return rows


def _append_end(rows: dict[str, list[Any]], tokenizer: PreTrainedTokenizerBase) -> None:
    added = {"input_ids": tokenizer.eos_token_id, "attention_mask": 1}
    for name in ("input_ids", "attention_mask", "token_type_ids", "starts", "ends"):
        if name in rows:
            rows[name] = [[*row, added.get(name, 0)] for row in rows[name]]
