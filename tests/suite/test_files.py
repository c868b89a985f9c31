"""A suite is found by name or path, and every mistake in it is reported at once, with its line."""

from __future__ import annotations

import json
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.errors import UserError
from sparsebench.schema.training import Training
from sparsebench.suite import Suite
from sparsebench.suite.files import SuiteFile, find_suite, load_suite, read_suite, suites
from sparsebench.suite.overrides import Overrides

SUITE = """\
name: sample
tasks: [mrpc, rte]
models: [quick/bert]
methods:
  full:
    learning_rate: 1e-4
  lora-16:
    method: lora
    r: 16
seeds: [1, 2]
training:
  budget: 3 epochs
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "s.yaml") -> Path:
    path = Path(name)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def problems(text: str, **overrides: object) -> list[str]:
    return [str(p) for p in read_suite(write(text), Overrides(**overrides)).problems]  # type: ignore[arg-type]


def test_a_shipped_suite_is_found_by_name(folder: Path) -> None:
    assert {"quick", "glue"} <= set(suites())
    assert find_suite("glue").read_text(encoding="utf-8").lstrip().startswith("#")


@pytest.mark.parametrize("name", sorted(suites()))
def test_a_shipped_suite_has_the_name_of_its_file_and_no_mistake(name: str) -> None:
    suite = load_suite(suites()[name]).suite
    assert suite.name == Path(name).name
    assert suite.description


def test_a_file_is_found_by_its_path(folder: Path) -> None:
    write(SUITE, "quick")
    assert find_suite("quick") == Path("quick")
    assert find_suite("./quick") == Path("quick")


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("quikc", "'quick'"), ("glu.yaml", "'glue.yaml'"), ("sub/ours.yml", "'sub/our.yaml'")],
)
def test_a_suite_that_is_not_there_says_the_nearest(folder: Path, text: str, nearest: str) -> None:
    Path("sub").mkdir()
    write(SUITE, "glue.yaml")
    write(SUITE, "sub/our.yaml")
    with pytest.raises(UserError, match=f"did you mean {nearest}"):
        find_suite(text)


def test_a_sound_suite_is_read_whole(folder: Path) -> None:
    suite_file = load_suite(write(SUITE))
    suite = suite_file.suite
    assert suite.methods["full"].settings == {"learning_rate": 1e-4}
    assert suite.methods["lora-16"].method == "lora"
    assert (suite.seeds, str(suite.training.budget)) == ((1, 2), "3 epochs")
    assert suite_file.where("methods", "lora-16", "r") == "s.yaml:9"
    assert suite_file.where("tasks", "rte") == "s.yaml:2"
    assert suite_file.where("methods", "full", "weight_decay") == "s.yaml:5"
    assert suite_file.where("costs", "length") == "s.yaml:1"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds:", "seed:", "s.yaml:10: seed: unknown key; did you mean 'seeds'?"),
        (
            "  budget:",
            "  bugdet:",
            "s.yaml:12: training.bugdet: unknown key; did you mean 'budget'?",
        ),
        (
            "3 epochs",
            "3 epics",
            "s.yaml:12: training.budget: '3 epics' is not a budget: write '230 steps' or",
        ),
        ("3 epochs", "2", "s.yaml:12: training.budget: 2 is not a budget: write '230 steps' or"),
        (
            "training:\n",
            "limits: {memory: 16}\ntraining:\n",
            "s.yaml:11: limits.memory: 16 is too few bytes: write '800 MiB' or",
        ),
        (
            "name: sample",
            "name: x/y",
            "s.yaml:1: name: 'x/y' is not a name: a name begins with a letter",
        ),
        (
            "  lora-16:",
            "  my lora:",
            "'my lora' is not a name: a name begins with a letter or a digit",
        ),
        ("  lora-16:", "  my lora:", "; did you mean 'my-lora'?"),
        (
            "  budget: 3 epochs",
            "  schedule: lineer",
            "s.yaml:12: training.schedule: unknown value 'lineer'; did you mean 'linear'?",
        ),
        (
            "training:\n",
            "protocol: heldout\ntraining:\n",
            "s.yaml:11: protocol: unknown value 'heldout'; did you mean 'held-out'?",
        ),
        ("[1, 2]", "[1, -2]", "s.yaml:10: seeds.1: should be greater than or equal to 0, not -2"),
        ("[1, 2]", "[]", "s.yaml:10: seeds: should have at least 1 entry"),
        ("[1, 2]", "5", "s.yaml:10: seeds: should be a list, not 5"),
        ("[mrpc, rte]", "{mrpc: {bugdet: 3}}", "s.yaml:2: tasks.mrpc.bugdet: unknown key; did you"),
        ("[mrpc, rte]", "[mrpc, mrpc]", "s.yaml:2: tasks: 'mrpc' is repeated"),
        (
            "[mrpc, rte]",
            "[mrpc, {rte: 3}]",
            "s.yaml:2: tasks: {'rte': 3} is not a name; for settings",
        ),
        ("    r: 16", "    r: 16\n    r: 8", "s.yaml:10: the key 'r' is repeated"),
        ("name: sample\n", "", "s.yaml:1: the key 'name' is missing"),
        ("  lora-16:", "  training:", "a method cannot have the label 'training'"),
    ],
)
def test_a_mistake_has_its_line_its_key_and_the_nearest_name(
    folder: Path, old: str, new: str, message: str
) -> None:
    assert old in SUITE
    with pytest.raises(UserError) as error:
        load_suite(write(SUITE.replace(old, new)))
    [line] = str(error.value).splitlines()
    assert message in line


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    text = """\
    tasks: [mrpc, 7]
    models: quick/bert
    methods: {full: {}, full: {}, 'a b': {}}
    seeds: [x]
    trainin: {}
    training: {warmup: 2, batch_sise: 4}
    """
    with pytest.raises(UserError) as error:
        load_suite(write(text))
    lines = str(error.value).splitlines()
    assert [line.split(":")[1] for line in sorted(lines)] == list("112334566")
    assert "did you mean 'training'" in str(error.value)
    assert "did you mean 'batch_size'" in str(error.value)


def test_what_is_sound_beside_a_mistake_is_still_there(folder: Path) -> None:
    text = SUITE.replace("[mrpc, rte]", "5").replace("r: 16", "r: 16\n  5: {}")
    suite = read_suite(write(text)).suite
    assert suite.tasks == {}
    assert list(suite.methods) == ["full", "lora-16"]
    assert suite.models == ("quick/bert",)


@pytest.mark.parametrize("text", ["", "- a", "just a text", "a: b: c"])
def test_what_is_no_suite_says_so(folder: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"^s\.yaml"):
        load_suite(write(text))


KEYS = st.sampled_from([*Suite.model_fields, *Training.model_fields, "method", "r", "1", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["full", "1 step"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(data=st.dictionaries(KEYS, VALUES, min_size=1), key=KEYS, value=VALUES)
def test_whatever_a_suite_holds_is_sound_or_has_a_problem(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object], key: str, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(json.dumps(data).replace("Infinity", ".inf").replace("NaN", ".nan"))
    sets = (f"training.{key}={json.dumps(value)}", f"full.{key}=1")
    overrides = Overrides(methods=("full",), budget="1 step", sets=sets)
    with suppress(UserError):
        suite_file = read_suite(path, overrides)
        if not suite_file.problems:
            assert (
                Suite.model_validate(suite_file.suite.model_dump(mode="json")) == suite_file.suite
            )


class TestOverrides:
    """A mistake on the command line names its option."""

    def read(self, text: str = SUITE, **overrides: object) -> SuiteFile:
        return load_suite(write(text), Overrides(**overrides))  # type: ignore[arg-type]

    def test_labels_keep_their_settings_and_other_methods_get_defaults(self, folder: Path) -> None:
        suite = self.read(methods=("lora-16", "bitfit")).suite
        assert list(suite.methods) == ["lora-16", "bitfit"]
        assert suite.methods["lora-16"].settings == {"r": 16}
        assert suite.methods["bitfit"].settings == {}

    def test_tasks_keep_their_entries(self, folder: Path) -> None:
        text = SUITE.replace("[mrpc, rte]", "{mrpc: {max_length: 64}, rte: {}}")
        suite = self.read(text, tasks=("cola", "mrpc")).suite
        assert list(suite.tasks) == ["cola", "mrpc"]
        assert suite.tasks["mrpc"].max_length == 64

    def test_models_and_seeds_are_replaced(self, folder: Path) -> None:
        suite = self.read(models=("a/b", "./c"), seeds=(7,)).suite
        assert (suite.models, suite.seeds) == (("a/b", "./c"), (7,))

    def test_a_budget_is_that_of_every_task(self, folder: Path) -> None:
        text = SUITE.replace("[mrpc, rte]", "{mrpc: {budget: 9 epochs, max_length: 64}, rte: {}}")
        suite = self.read(text, budget="230 steps").suite
        assert str(suite.training.budget) == "230 steps"
        assert suite.tasks["mrpc"].budget is None
        assert suite.tasks["mrpc"].max_length == 64

    @pytest.mark.parametrize(
        ("text", "path", "value"),
        [
            ("lora-16.r=8", ("methods", "lora-16", "r"), 8),
            ("lora-16.targets=[query, key]", ("methods", "lora-16", "targets"), ["query", "key"]),
            ("lora-16.settings.deep.x=1e-3", ("methods", "lora-16", "settings", "deep", "x"), 1e-3),
            ("full.learning_rate = 3e-4", ("methods", "full", "learning_rate"), 3e-4),
            ("full.note=a=b", ("methods", "full", "note"), "a=b"),
            ("training.batch_size=64", ("training", "batch_size"), 64),
            ("training.clip=", ("training", "clip"), None),
            ("costs.length=16", ("costs", "length"), 16),
            ("held_out.share=0.2", ("held_out", "share"), 0.2),
            ("protocol=paper", ("protocol",), "paper"),
        ],
    )
    def test_a_setting_is_set(
        self, folder: Path, text: str, path: tuple[str, ...], value: object
    ) -> None:
        suite_file = self.read(sets=(text,))
        found = suite_file.suite.model_dump(mode="json")
        for key in path:
            found = found[key]
        assert found == value
        assert suite_file.where(*path) == f"--set {text}"

    def test_what_an_alias_shares_is_set_for_one_label_only(self, folder: Path) -> None:
        text = SUITE.replace("  full:\n", "  full: &x\n").replace(
            "  lora-16:", "  two: *x\n  lora-16:"
        )
        suite = self.read(text, sets=("two.learning_rate=1",)).suite
        assert suite.methods["full"].settings == {"learning_rate": 1e-4}
        assert suite.methods["two"].settings == {"learning_rate": 1}

    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            (
                {"methods": ("lorra-16",)},
                "--methods: unknown method 'lorra-16'; did you mean 'lora-16'?",
            ),
            (
                {"methods": ("bitfti",)},
                "--methods: unknown method 'bitfti'; did you mean 'bitfit'?",
            ),
            ({"tasks": ("mrcp",)}, "--tasks: unknown task 'mrcp'; did you mean 'mrpc'?"),
            ({"budget": "3"}, "--budget: training.budget: '3' is not a budget: write"),
            ({"seeds": (2**31,)}, "--seeds: seeds.0: should be less than"),
            (
                {"sets": ("ful.x=1",)},
                "--set ful.x=1: unknown method label or section 'ful'; did you",
            ),
            (
                {"sets": ("full.learning_rate=1",), "methods": ("lora-16",)},
                "--set full.learning_rate=1: unknown method label or section 'full'",
            ),
            ({"sets": ("full",)}, "--set full: write it as KEY=VALUE"),
            (
                {"sets": ("full=3",)},
                "--set full=3: name the key of 'full' to set, such as full.KEY=VALUE",
            ),
            ({"sets": ("lora-16.r.x=1",)}, "--set lora-16.r.x=1: 'x' cannot be set within 16"),
            ({"sets": ("full.x=[1",)}, "--set full.x=[1: the value:1: "),
            ({"sets": ("full.x=!!python/name:os.system",)}, "is not allowed"),
            (
                {"sets": ("training.bach_size=3",)},
                "training.bach_size=3: training.bach_size: unknown key; did you mean 'batch_size'?",
            ),
            (
                {"sets": ("training.warmup=2",)},
                "--set training.warmup=2: training.warmup: should be",
            ),
            (
                {"sets": ("protocol=papr",)},
                "--set protocol=papr: protocol: unknown value 'papr'; did",
            ),
        ],
    )
    def test_a_mistake_names_the_option(
        self, folder: Path, overrides: dict[str, object], message: str
    ) -> None:
        with pytest.raises(UserError) as error:
            self.read(**overrides)
        [line] = str(error.value).splitlines()
        assert message in line

    def test_all_mistakes_are_told_at_once(self, folder: Path) -> None:
        found = problems(
            SUITE.replace("3 epochs", "3 epics"),
            methods=("full", "lorra"),
            tasks=("mrcp",),
            sets=("ful.x=1", "costs.lenght=2"),
        )
        assert len(found) == 5
