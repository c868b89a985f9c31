"""The words that we write in: phrases that may not stand in README, docs, help and docstrings."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sparsebench

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(sparsebench.__file__).parents[1]

PHRASES = {
    r"(is|are|be|was|were) told\b|\btells of\b": "report, log, print",
    r"\bmak(e|es|ing) (a|the|every|one|its|each|these|all) runs?\b": "run",
    r"\bruns? (is|are|be) made\b": "run",
    r"\bmade (again|anew)\b|\bmak(e|es|ing) .{0,30} again\b": "repeat, recompute, rerun",
    r"\bruns? (that )?(are )?to make\b|\bmakes? runs\b": "run",
    r"\b(go|goes|going|gone) on\b": "continue, resume",
    r"\b(is|are|was|were) (there already|already there)\b": "cached, exists",
    r"\b(go|goes|went|gone) wrong\b": "fail, error",
    r"\btakes? (a|an|the) (Chromium|GPU|Java|network)\b": "requires, needs",
    r"\bwhat it began with\b": "pretrained model, backbone",
    r"\b(what|that|which) ships\b|\bwhat is shipped\b": "deployed model",
    r"\bwhat an interrupted run left\b": "checkpoint, state",
    r"\bpromised\b|\brealised\b": "theoretical, measured, efficiency",
    r"\bnobody\b|\b(cannot be|not|are|is) separated\b": "significantly different",
    r"\bseparated from\b": "significantly different from",
    r"\bcould (have been|be) shown\b|\bcould show\b": "minimum detectable difference",
    r"\bsureness\b": "confidence interval",
    r"\bevidence\b": "verified",
    r"\bholds? .{0,30} to the contract\b|\bheld to the contract\b": "checks that ... keeps",
    r"\bfor work on it\b": "for development",
    r"\bmultiply-adds matter\b": "theoretical speed-up",
    r"\bfrom which share of zeros\b|\bgains from\b": "the sparsity above which",
    r"\banswered so\b": "allowed by this encoding",
    r"\bno influence is known\b": "without an influence function",
    r"\bwho had the run\b": "the previous owner",
}
"""Phrase -> what to write instead."""


def _pages() -> list[Path]:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "results" / "README.md"]
    return [*pages, *sorted((ROOT / "docs").rglob("*.md"))]


def _sources() -> list[Path]:
    folders = (ROOT / "sparsebench", ROOT / "methods")
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


def _prose_of_page(file: Path) -> Iterator[tuple[int, str]]:
    """Yields paragraphs with their line, without code."""
    text = re.sub(
        r"```.*?```", lambda code: "\n" * code[0].count("\n"), file.read_text(), flags=re.DOTALL
    )
    line = 1
    for paragraph in text.split("\n\n"):
        yield line, re.sub(r"`[^`]*`", "", paragraph)
        line += paragraph.count("\n") + 2


def _prose_of_source(file: Path) -> Iterator[tuple[int, str]]:
    """Yields comments, and texts of several words: docstrings, messages, help."""
    source = file.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, re.sub(r"``[^`]*``|\"\w+\":", "", node.value)


def _found(file: Path) -> list[str]:
    prose = _prose_of_page(file) if file.suffix == ".md" else _prose_of_source(file)
    found = []
    for line, text in prose:
        words = " ".join(text.split())
        for phrase, instead in PHRASES.items():
            match = re.search(phrase, words, re.IGNORECASE)
            if match:
                found.append(f"{_name(file)}:{line}: {match[0]!r}: write: {instead}")
    return found


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", [*_pages(), *_sources()], ids=_name)
def test_no_banned_phrase(file: Path) -> None:
    assert _found(file) == []


@pytest.mark.parametrize("file", _sources(), ids=_name)
def test_docstrings_begin_with_what_a_thing_does_or_is(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    wrong = [
        f"{getattr(node, 'lineno', 1)}: {docstring.splitlines()[0]}"
        for node in ast.walk(tree)
        if isinstance(node, kinds) and (docstring := ast.get_docstring(node))
        if re.match(r"(Returns|What|Makes|Reads|Writes|Says|Tells|Is told)\b", docstring)
    ]
    assert wrong == []
