"""A suite is compared with the installed plugins and the files on disk, in one pass."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from plugins import METHOD, install
from pupils import install_pupils

from sparsebench import method_registry
from sparsebench.errors.problems import Severity
from sparsebench.models import sources
from sparsebench.registry import Registry
from sparsebench.suite import validation
from sparsebench.suite.files import read_suite, suites
from sparsebench.suite.overrides import Overrides
from sparsebench.suite.validation import problems
from sparsebench.tasks import DataSource

if TYPE_CHECKING:
    from collections.abc import Callable

SUITE = """\
name: sample
tasks: [rte]
models: [./bert]
methods:
  full:
  bitfit:
"""
CONFIGS = {
    "bert": {"model_type": "bert", "max_position_embeddings": 512},
    "roberta": {"model_type": "roberta", "max_position_embeddings": 66, "pad_token_id": 1},
    "gpt2": {"model_type": "gpt2", "n_positions": 32},
    "t5": {"model_type": "t5", "n_positions": 8},
    "llama": {"model_type": "llama"},
}
RTE = "index\tsentence1\tsentence2\tlabel\n0\tA dog runs.\tA dog moves.\tentailment\n"


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own working directory with a folder for each model, and no Hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name, config in CONFIGS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub that does not answer, at once."""
    import huggingface_hub

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)


def check(text: str, *, data: Path | None = None) -> tuple[list[str], list[str]]:
    """Returns the errors and the notes of a suite."""
    path = Path("s.yaml")
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    found = problems(read_suite(path), data=DataSource(folder=data) if data else None)
    errors = [str(p) for p in found if p.severity is Severity.ERROR]
    return errors, [str(p) for p in found if p.severity is Severity.NOTE]


def test_a_sound_suite_has_no_problem() -> None:
    assert check(SUITE) == ([], [])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  full:",
            "  fulll:",
            "s.yaml:5: methods.fulll: unknown method 'fulll'; did you mean 'full'?",
        ),
        (
            "  full:",
            "  mine: {method: fulll}",
            "s.yaml:5: methods.mine: unknown method 'fulll'; did you mean 'full'?",
        ),
        (
            "  full:",
            "  mine:\n    metod: full",
            "s.yaml:6: unknown key 'metod'; did you mean 'method'?",
        ),
        (
            "  full:",
            "  full:\n    learning_rat: 1",
            "s.yaml:6: methods.full.learning_rat: unknown key; did you mean 'learning_rate'?",
        ),
        (
            "  full:",
            "  full:\n    learning_rate: -1",
            "s.yaml:6: methods.full.learning_rate: should be greater than 0, not -1",
        ),
        (
            "  full:",
            "  full:\n    weight_decay: 0\n    epochs: 9",
            "s.yaml:7: methods.full.epochs: not a setting of a method: the suite sets",
        ),
        ("[rte]", "[rte, mrcp]", "s.yaml:2: tasks: unknown task 'mrcp'; did you mean 'mrpc'?"),
        ("./bert", "random:bert-bsae", "s.yaml:3: unknown architecture 'bert-bsae'; did you mean"),
        (
            "./bert",
            "./brt",
            "s.yaml:3: model './brt': no folder with a config.json at this path",
        ),
        (
            "./bert",
            "./llama",
            "s.yaml:3: model './llama': no definition of the model family 'llama'",
        ),
        ("[./bert]", "[./bert, ./bert]", "s.yaml:3: models: './bert' is repeated"),
        ("methods:", "seeds: [1, 2, 1]\nmethods:", "s.yaml:4: seeds: 1 is repeated"),
        ("[./bert]", "[./t5]", "s.yaml:6: bitfit: supports no backbone of the suite"),
        (
            "[./bert]",
            "['random:gpt2']",
            "s.yaml:2: rte: no backbone of the suite supports this task",
        ),
        (
            "methods:",
            "costs: {length: 513}\nmethods:",
            "s.yaml:4: costs.length: ./bert accepts at most 512 tokens, not 513",
        ),
        (
            "./bert",
            "quick/bert",
            "s.yaml:1: costs.length: quick/bert accepts at most 66 tokens, not 128, the default",
        ),
    ],
)
def test_a_mistake_has_its_line_and_the_nearest_name(old: str, new: str, message: str) -> None:
    assert old in SUITE
    errors, _ = check(SUITE.replace(old, new))
    assert len(errors) == 1, errors
    assert errors[0].startswith(message)


def test_all_mistakes_are_found_in_one_pass() -> None:
    errors, _ = check(
        """\
        name: sample
        tasks: [rte, mrcp]
        models: [./bert, ./nothing]
        methods:
          full: {learning_rat: 1, weight_decay: -1}
          lorra: {}
        seeds: [1, x]
        training:
          bugdet: 3 epochs
          schedule: lineer
        """
    )
    assert [error.split(":")[1] for error in errors] == ["2", "3", "5", "5", "6", "7", "9", "10"]


def test_what_will_be_skipped_is_a_note() -> None:
    errors, notes = check(SUITE.replace("[./bert]", "[./bert, ./t5, 'random:t5-base']"))
    assert errors == []
    random, refused = notes
    assert random == "s.yaml:3: random:t5-base is for costs only: its runs are skipped"
    assert refused.startswith("s.yaml:6: bitfit does not support t5 for text-to-text: ")
    assert refused.endswith("; such runs are skipped")


@pytest.mark.usefixtures("no_hub")
def test_a_hub_that_does_not_answer_is_a_note() -> None:
    errors, notes = check(SUITE.replace("[./bert]", "[google-bert/bert-base-uncased]"))
    assert errors == []
    assert notes[0].startswith("s.yaml:3: not checked: model 'google-bert/")


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("spec", ["quikc/bert", "quick/brt"])
def test_a_misspelt_quick_backbone_is_no_hub_id(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "QUICK", Path.cwd())
    errors, _ = check(SUITE.replace("./bert", spec))
    assert errors[0].startswith("s.yaml:3: ")
    assert errors[0].endswith("did you mean 'quick/bert'?")


@pytest.mark.parametrize(
    ("model", "length", "fits"),
    [("roberta", 64, True), ("roberta", 65, False), ("gpt2", 33, False), ("t5", 4096, True)],
)
def test_inputs_fit_the_positions_of_every_backbone(model: str, length: int, *, fits: bool) -> None:
    text = SUITE.replace("./bert", f"./{model}").replace("  bitfit:\n", "")
    lengths = f"costs: {{length: 8}}\ntraining: {{max_length: {length}}}\n"
    errors, notes = check(text + lengths)
    assert errors == []
    assert bool(notes) is not fits
    errors, _ = check(text + f"costs: {{length: {length}}}\ntraining: {{max_length: 8}}\n")
    assert bool(errors) is not fits


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("name", sorted(suites()))
def test_a_shipped_suite_names_only_what_is_there(name: str) -> None:
    found = problems(read_suite(suites()[name]))
    assert [str(p) for p in found if p.severity is Severity.ERROR] == []


class TestData:
    def test_present(self) -> None:
        folder = Path("data/RTE")
        folder.mkdir(parents=True)
        for name in ("train.tsv", "dev.tsv"):
            (folder / name).write_text(RTE, encoding="utf-8")
        assert check(SUITE, data=Path("data")) == ([], [])

    def test_absent(self) -> None:
        errors, _ = check(SUITE.replace("[rte]", "[rte, mrpc]"), data=Path("data"))
        assert len(errors) == 2
        assert errors[0].startswith("s.yaml:2: ")
        assert "train.tsv" in errors[0]

    def test_malformed(self) -> None:
        folder = Path("data/RTE")
        folder.mkdir(parents=True)
        for name in ("train.tsv", "dev.tsv"):
            (folder / name).write_text(RTE.replace("entailment", "maybe"), encoding="utf-8")
        errors, _ = check(SUITE, data=Path("data"))
        assert len(errors) == 1
        assert "maybe" in errors[0]


class TestPlugins:
    @pytest.fixture
    def register(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Registers the source of a method as ``turn``, beside the built-in methods."""

        def register(source: str) -> None:
            site = tmp_path / "site"
            group, module = method_registry.METHODS.group, f"turn_{abs(hash(source))}"
            points = {"turn": f"{module}:Turn"}
            install(site, "turn-plugin", group=group, points=points, **{module: source})
            monkeypatch.syspath_prepend(site)
            fresh = Registry(group, kind="method", check=method_registry._check)
            monkeypatch.setattr(validation, "METHODS", fresh)

        return register

    def test_its_settings_are_checked(self, register: Callable[[str], None]) -> None:
        register(METHOD)
        assert check(SUITE.replace("bitfit:", "turn: {knobs: 5}")) == ([], [])
        errors, _ = check(SUITE.replace("bitfit:", "turn: {knob: 5}"))
        assert errors == ["s.yaml:6: methods.turn.knob: unknown key; did you mean 'knobs'?"]

    def test_a_broken_one_says_so(self, register: Callable[[str], None]) -> None:
        register("raise RuntimeError('no luck')")
        errors, _ = check(SUITE.replace("bitfit:", "turn:"))
        assert len(errors) == 1
        assert errors[0].startswith("s.yaml:6: methods.turn: 'turn' (")
        assert errors[0].endswith("of turn-plugin 1.0) failed: RuntimeError: no luck")

    @pytest.mark.parametrize("base", ["def Turn(): pass", "class Turn: pass", "Turn = 3"])
    def test_what_is_no_method_says_so(self, register: Callable[[str], None], base: str) -> None:
        register(base)
        errors, _ = check(SUITE.replace("bitfit:", "turn:"))
        assert "not a subclass of sparsebench.Method" in errors[0]

    def test_one_that_cannot_be_made_says_so(self, register: Callable[[str], None]) -> None:
        register(
            f"{METHOD}\n    def __init__(self, config=None):\n        raise OSError('no disk')"
        )
        errors, _ = check(SUITE.replace("bitfit:", "turn:"))
        assert errors == ["s.yaml:6: methods.turn: OSError: no disk"]


TAUGHT = """\
name: sample
tasks: [rte]
models: [./bert]
methods:
  full:
  a: {method: pupil, teacher: %s}
  b: {method: pupil, teacher: a}
"""


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ("ful", "methods.a.teacher: 'ful' is neither a row of the suite, nor a folder with a"),
        ("ful", "did you mean 'full'?"),
        ("lora", "methods.a.teacher: 'lora' is no row of the suite: add it to the methods"),
        ("a", "methods.a.teacher: the teachers form a circle: a learns from a"),
        ("b", "methods.a.teacher: the teachers form a circle: a learns from b learns from a"),
        ("./nowhere", "'./nowhere' is no folder with a trained model: it has no config.json"),
    ],
)
def test_a_wrong_teacher_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher: str, message: str
) -> None:
    install_pupils(tmp_path / "site", monkeypatch)
    file = tmp_path / "s.yaml"
    file.write_text(TAUGHT % teacher, encoding="utf-8")
    found = [str(problem) for problem in problems(read_suite(file))]
    assert any(f"{file}:6: " in text and message in text for text in found), found


@pytest.mark.parametrize("teacher", ["full", "./bert"])
def test_a_row_or_a_folder_may_teach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher: str
) -> None:
    install_pupils(tmp_path / "site", monkeypatch)
    file = tmp_path / "s.yaml"
    file.write_text(TAUGHT % teacher, encoding="utf-8")
    assert not [p for p in problems(read_suite(file)) if "teacher" in str(p)]


def test_the_teachers_of_chosen_rows_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_pupils(tmp_path / "site", monkeypatch)
    file = tmp_path / "s.yaml"
    file.write_text(TAUGHT % "full", encoding="utf-8")
    chosen = read_suite(file, Overrides(methods=("b",))).suite.methods
    assert list(chosen) == ["b", "a", "full"]
    assert chosen["a"].settings == {"teacher": "full"}
    sets = ("b.teacher=bitfit", "bitfit.learning_rate=0.5")
    other = read_suite(file, Overrides(methods=("b", "bitfit"), sets=sets)).suite.methods
    assert list(other) == ["b", "bitfit"]
    lone = read_suite(file, Overrides(methods=("b",), sets=sets[:1])).suite.methods
    assert list(lone) == ["b", "bitfit"]
