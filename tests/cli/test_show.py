"""``show`` tells all about a name, or which name was meant."""

from __future__ import annotations

from enum import Enum
from io import StringIO
from typing import TYPE_CHECKING, Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

from sparsebench.cli.settings import describe_settings, type_text
from sparsebench.cli.show import show_on
from sparsebench.schema.training import Budget
from sparsebench.suite import files as suite_files
from sparsebench.suite.files import suites

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("lora", ["arXiv:2106.09685", "learning_rate", "0.0005", "The rank of every update."]),
        ("method:full", ["full (method)", "weight_decay"]),
        ("mrpc", ["MRPC", "text-to-text", "equivalent", "mean of accuracy and f1"]),
        ("mrpc", ["--data DIR  MRPC/train.tsv, MRPC/dev.tsv"]),
        ("squad2", ["train-v2.0.json, dev-v2.0.json"]),
        ("task:e2e", ["trainset.csv, devset.csv, testset_w_refs.csv"]),
        ("glue", ["name: glue\n", "budget: 10 epochs"]),
        ("random:t5-small", ["t5", "random", "d_model", "32,128"]),
        ("gpt2-medium", ["random:gpt2-medium", "1,024"]),
        ("local", ["local (executor)"]),
        ("csr", ["csr (runtime)", "as CSR"]),
        (
            "training",
            ["section of a suite", "checkpoint_every", "The maximum norm of the gradient"],
        ),
        ("costs", ["name: costs\n"]),
        ("section:costs", ["key ", "target_length", "Decoder tokens"]),
    ],
)
def test_a_name_is_told_all_about(cli: Callable[..., Said], name: str, shown: list[str]) -> None:
    said = cli("show", name)
    assert said.code == 0, said
    for text in shown:
        assert text in said.out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loar", "unknown name 'loar'; did you mean 'lora'?"),
        ("task:mrcp", "unknown task 'mrcp'; did you mean 'mrpc'?"),
        ("zzzzzz", "'sparsebench list methods'"),
        ("glu.yaml", "there is no file 'glu.yaml'"),
    ],
)
def test_an_unknown_name_says_the_nearest(
    cli: Callable[..., Said], name: str, message: str
) -> None:
    said = cli("show", name)
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err


def test_a_name_of_two_things_asks_which(
    cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = suites()
    monkeypatch.setattr(suite_files, "suites", lambda: {"lora": shipped["glue"]})
    said = cli("show", "lora")
    assert said.code == 2
    assert "'lora' is a method and a suite: write method:lora or suite:lora" in said.err
    assert "\nname: glue\n" in cli("show", "suite:lora").out


def test_a_suite_off_a_terminal_is_the_file_and_nothing_else(
    cli: Callable[..., Said], tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(cli("show", "quick").out, encoding="utf-8")
    assert (tmp_path / "mine.yaml").read_text() == suites()["quick"].read_text()
    assert cli("validate", "mine.yaml").code == 0


def test_a_suite_on_a_terminal_has_a_heading() -> None:
    console = Console(file=StringIO(), force_terminal=True, soft_wrap=True, highlight=False)
    show_on(console, "glue")
    assert isinstance(console.file, StringIO)
    for text in ("384 runs", "glue.yaml", "budget: 10 epochs"):
        assert text in console.file.getvalue()


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Base(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    rate: float = Field(default=1e-3, gt=0, le=1)
    """How ``fast``,
    in what."""


class Settings(Base):
    kind: Literal["a", "b"] | None = None
    """Which."""

    colours: tuple[Colour, ...] = (Colour.RED,)
    budget: Budget = Budget(amount=3, unit="epochs")
    inner: Base | None = Base()
    needed: int
    table: dict[str, float] = Field(default_factory=dict)


def test_settings_are_told_with_type_default_and_description() -> None:
    assert describe_settings(Settings) == [
        ("kind", '"a" | "b" | null', "null", "Which."),
        ("colours", 'tuple["red" | "blue", ...]', '["red"]', ""),
        ("budget", "text", "3 epochs", ""),
        ("inner", "mapping | null", "its defaults", ""),
        ("needed", "int", "must be set", ""),
        ("table", "dict[str, float]", "{}", ""),
        ("rate", "float > 0, ≤ 1", "0.001", "How fast, in what."),
    ]


def test_what_stands_beside_a_type_is_left_out() -> None:
    assert type_text(Annotated[int, "note"]) == "int"
