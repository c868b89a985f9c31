"""The two Java programs inside pycocoevalcap: the PTB tokenizer and METEOR 1.5.

They are run here rather than by that package's own wrappers, which write into the folder of
installed packages and read texts in whatever encoding the machine has.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKENIZER = "tokenizer/stanford-corenlp-3.4.1.jar"
_METEOR = "meteor/meteor-1.5.jar"
_UTF8 = "-Dfile.encoding=UTF-8"
_DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""Tokens that the COCO caption evaluation leaves out; not brackets, which read ``-lrb-``."""


def absence() -> str | None:
    """Returns why the programs cannot be run, or None if they can."""
    if importlib.util.find_spec("pycocoevalcap") is None:
        return "needs the extra e2e: pip install 'sparsebench[e2e]'"
    if shutil.which("java") is None:
        return "needs Java: install a Java runtime (8 or newer) and put it on the PATH"
    return None


@lru_cache(maxsize=4)
def tokenise(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Splits texts into words joined by blanks: PTB tokens, lower case, no lone punctuation.

    Raises:
        UserError: The program is not there, or fails.
    """
    main = "edu.stanford.nlp.process.PTBTokenizer"
    command = ["-cp", str(_program(_TOKENIZER)), main, "-preserveLines", "-lowerCase"]
    lines = _run([*command, "-encoding", "utf-8"], [" ".join(text.split()) for text in texts])
    if len(lines) != len(texts):
        raise UserError(f"the PTB tokenizer gave {len(lines)} lines for {len(texts)} texts")
    return tuple(" ".join(w for w in line.split() if w not in _DROPPED) for line in lines)


def meteor(answers: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Computes METEOR of a corpus of tokenised texts.

    Raises:
        UserError: The program is not there, or fails.
    """
    options = ["-Xmx2G", "-jar", str(_program(_METEOR))]
    command = ["java", _UTF8, *options, "-", "-", "-stdio", "-l", "en", "-norm"]
    pairs = zip(answers, references, strict=True)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as program:
        counts = [_ask(program, " ||| ".join(["SCORE", *group, answer])) for answer, group in pairs]
        value = _ask(program, " ||| ".join(["EVAL", *counts]), lines=len(counts) + 1)
        program.terminate()
    return float(value)


def _ask(program: subprocess.Popen[str], line: str, *, lines: int = 1) -> str:
    """Says a line, and returns the last line of the answer."""
    if program.stdin is None or program.stdout is None:
        raise ValueError("the program has no pipes")
    program.stdin.write(f"{line}\n")
    program.stdin.flush()
    *_, last = (program.stdout.readline() for _ in range(lines))
    if not last:
        raise UserError(f"METEOR ended without an answer to: {line[:200]}")
    return last.strip()


def _program(name: str) -> Path:
    if reason := absence():
        raise UserError(f"METEOR, ROUGE-L and CIDEr: {reason}")
    spec = importlib.util.find_spec("pycocoevalcap")
    folders = spec.submodule_search_locations if spec else None
    return Path(next(iter(folders or ["."]))) / name


def _run(arguments: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Runs a program that answers lines with lines."""
    done = subprocess.run(
        ["java", _UTF8, *arguments],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"java {' '.join(arguments)} failed: {reason}")
    return done.stdout.splitlines()
