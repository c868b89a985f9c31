"""A method is configured by settings of a suite, and every invalid setting has a message."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field
from tiny_models import tiny_backbone

from sparsebench import Method, MethodConfig, UserError, method_registry
from sparsebench.method_registry import METHODS, configure, deployed_model, prepared, setting_faults


class Inner(MethodConfig):
    """Nested settings."""

    depth: int = 1
    """How deep."""


class Config(MethodConfig):
    """Settings of all kinds."""

    rank: int = Field(default=8, ge=1)
    """A number."""

    kind: Literal["linear", "cosine"] = "linear"
    """A choice."""

    where: Literal["all"] | list[str] = "all"
    """Alternatives."""

    inner: Inner | None = None
    """Settings in settings."""

    warmup: float = 0.0
    """Called like a term of training, and the method's own."""


class Sample(Method):
    """A method."""

    Config = Config

    def prepare(self, backbone: Any) -> Any:
        return backbone.model


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"rnak": 3}, ("rnak",), "unknown key; did you mean 'rank'?"),
        ({"rank": 0}, ("rank",), "should be greater than or equal to 1, not 0"),
        ({"rank": "many"}, ("rank",), "should be a valid integer, not 'many'"),
        ({"kind": "cosin"}, ("kind",), "unknown value 'cosin'; did you mean 'cosine'?"),
        ({"inner": {"dept": 2}}, ("inner", "dept"), "unknown key; did you mean 'depth'?"),
        ({"inner": {"depth": "x"}}, ("inner", "depth"), "should be a valid integer, not 'x'"),
        ({"inner": 3}, ("inner",), "should be a mapping of keys to values, not 3"),
        ({"warmup": float("inf")}, ("warmup",), "should be a finite number, not inf"),
        ({"learning_rate": -1}, ("learning_rate",), "should be greater than 0, not -1"),
    ],
)
def test_a_bad_setting_is_told_with_its_path(
    settings: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    assert setting_faults(Sample, settings) == [(path, message)]


def test_alternatives_of_one_value_are_one_fault() -> None:
    [(path, message)] = setting_faults(Sample, {"where": 5})
    assert path == ("where",)
    assert message == "unknown value 5; known: all, or should be a list, not 5"


@pytest.mark.parametrize(
    ("key", "term"),
    [
        ("epochs", "budget"),
        ("steps", "budget"),
        ("budget", "budget"),
        ("batch_size", "batch_size"),
        ("max_grad_norm", "clip"),
    ],
)
def test_a_term_of_training_is_not_for_a_method_to_set(key: str, term: str) -> None:
    [(path, message)] = setting_faults(Sample, {key: 3})
    assert path == (key,)
    assert message.endswith(f"the suite sets training.{term} for all methods")


def test_a_method_may_have_a_setting_of_that_name() -> None:
    assert setting_faults(Sample, {"warmup": 0.5}) == []


def test_configure_fills_in_defaults() -> None:
    method = configure("full", {"learning_rate": 1e-4})
    assert method.config.learning_rate == 1e-4
    assert method.config.weight_decay == 0.0


def test_configure_says_every_bad_setting_and_where() -> None:
    with pytest.raises(UserError) as error:
        configure("full", {"learning_rat": 1, "weight_decay": -1}, where="s.yaml:3")
    assert str(error.value).splitlines() == [
        "s.yaml:3: method 'full': weight_decay: should be greater than or equal to 0, not -1",
        "s.yaml:3: method 'full': learning_rat: unknown key; did you mean 'learning_rate'?",
    ]


def test_configure_says_the_nearest_method() -> None:
    with pytest.raises(UserError, match="unknown method 'fulll'; did you mean 'full'"):
        configure("fulll", {})


def test_no_setting_is_called_method_which_a_suite_reads_as_the_name() -> None:
    class Wrapper(Sample):
        class Config(MethodConfig):
            method: str = "full"

    with pytest.raises(TypeError, match="a field 'method'"):
        method_registry._check(Wrapper)


def test_every_built_in_method_has_defaults_descriptions_and_a_docstring() -> None:
    for name in METHODS:
        method = METHODS.get(name)
        assert method.__doc__
        method.Config()
        for key, field in method.Config.model_fields.items():
            assert field.description, f"{name}.{key}"


def test_a_class_that_cannot_be_a_method_says_what_it_lacks() -> None:
    class Misspelled(Method):
        def prepares(self, backbone: Any) -> Any:
            return backbone.model

    class Undecided(MethodConfig):
        rank: int

    with pytest.raises(TypeError, match="Misspelled does not define prepare"):
        method_registry._check(Misspelled)
    with pytest.raises(TypeError, match="no default for rank: every setting has one"):
        method_registry._check(type("Needy", (Sample,), {"Config": Undecided}))
    with pytest.raises(TypeError, match='version is not a text: write version = "3"'):
        method_registry._check(type("Numbered", (Sample,), {"version": 3}))


def test_a_method_that_returns_no_model_is_told_so() -> None:
    class Forgets(Method):
        def prepare(self, backbone: Any) -> Any:
            backbone.freeze()

    with pytest.raises(UserError, match=r"Forgets\.prepare returned NoneType: return the model"):
        prepared(Forgets(), tiny_backbone("bert"))

    class ForgetsLater(Sample):
        def deploy(self, model: Any) -> Any:
            model.eval()

    with pytest.raises(UserError, match=r"ForgetsLater\.deploy returned NoneType: return"):
        deployed_model(ForgetsLater(), tiny_backbone("bert").model)


def test_a_method_that_cannot_be_created_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(Exception):  # noqa: N818 - the name is not what is tested
        def __str__(self) -> str:
            raise RuntimeError("no words")

    class Raises(Sample):
        def __init__(self, config: Any = None) -> None:
            raise Mute

    monkeypatch.setattr(METHODS, "get", lambda *_, **__: Raises)
    with pytest.raises(UserError, match=r"'raises' cannot be created: Mute: its message cannot be"):
        configure("raises", {})
