"""What is checked: a method with its settings, on the families that it does not refuse."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING

from sparsebench.conformance.check import Failed, NotApplicable, error_text
from sparsebench.conformance.run_trace import PLAIN, Phase, RunTrace, Terms, live
from sparsebench.method_registry import configure
from sparsebench.models import FORMS, Family, Form

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sparsebench.method import Method

_FIRST = {Family.GPT2: Form.LANGUAGE_MODEL}
"""The form to check a family in, where the method takes it and it is not the first of its list."""


class MethodUnderTest:
    """A method under check.

    Args:
        method: A method that was not used yet.
        name: What it is called; by default its class, with the settings that are not the default.
        families: The families to check it on.
    """

    def __init__(
        self, method: Method, *, name: str | None = None, families: Iterable[Family] = Family
    ) -> None:
        self._pristine = method
        self.name = name or _described(method)
        self.families = tuple(dict.fromkeys(families))

    @classmethod
    def of(cls, method: str | Method, *, families: Iterable[Family] = Family) -> MethodUnderTest:
        """Returns an installed method with its defaults, or the given one, as a subject.

        Raises:
            UserError: No such method is installed, or it cannot be used.
        """
        if isinstance(method, str):
            return cls(configure(method, {}), name=method, families=families)
        return cls(method, families=families)

    def method(self) -> Method:
        """Returns a new instance of the method, with the same settings."""
        return copy.deepcopy(self._pristine)

    @cached_property
    def refusals(self) -> dict[tuple[Family, Form], str | None]:
        """What the method says of every family in every form."""
        method = self.method()
        return {
            (family, form): method.refuses(family, form)
            for family in self.families
            for form in FORMS[family]
        }

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """A trial on each family, in the first form that the method takes."""
        trials = []
        for family in self.families:
            forms = sorted(FORMS[family], key=lambda form: form is not _FIRST.get(family))
            taken = [form for form in forms if self.refusals[family, form] is None]
            if taken:
                trials.append(Trial(self, family, taken[0]))
        return tuple(trials)

    def forget(self) -> None:
        """Lets go of everything that trials have kept."""
        self.__dict__.pop("trials", None)


class Trial:
    """A method on one family; every life is lived once, and kept.

    Attributes:
        subject: The method.
        family: The family.
        form: How the backbone answers.
    """

    def __init__(self, subject: MethodUnderTest, family: Family, form: Form) -> None:
        self.subject = subject
        self.family = family
        self.form = form
        self._lives: dict[Terms, RunTrace] = {}

    def life(self, terms: Terms = PLAIN, *, until: Phase = Phase.DEPLOY) -> RunTrace:
        """Returns a life that has come far enough.

        Args:
            terms: What is special about it.
            until: The phase that it must have passed.

        Raises:
            NotApplicable: Not even the plain life comes so far.
            Failed: This one does not.
        """
        plain = self.lived(PLAIN).failure
        if plain and plain[0] <= min(until, Phase.DEPLOY):
            raise NotApplicable("does not run: see runs_on_every_family")
        if plain and plain[0] <= until and terms != PLAIN:
            raise NotApplicable("cannot be saved: see saves_and_loads")
        life = self.lived(terms)
        if life.failure and life.failure[0] <= until:
            raise Failed(failure_text(life))
        return life

    def lived(self, terms: Terms) -> RunTrace:
        """Returns a life, however far it has come."""
        if terms not in self._lives:
            self._lives[terms] = live(
                self.subject.method, self.family.value, form=self.form, terms=terms
            )
        return self._lives[terms]


def _described(method: Method) -> str:
    settings = method.config.model_dump(mode="json", exclude_defaults=True)
    set_ = ",".join(f"{key}={value}" for key, value in settings.items())
    return type(method).__name__ + (f"({set_})" if set_ else "")


def failure_text(life: RunTrace) -> str:
    """Returns in which phase a life has failed, and why."""
    assert life.failure is not None  # noqa: S101 - the caller has looked
    phase, error = life.failure
    return f"{phase.name.lower()}: {error_text(error)}"
