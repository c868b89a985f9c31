"""A method with its settings, on the families that it does not refuse."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING

from sparsebench.conformance.outcomes import CheckFailed, NotApplicable, error_text
from sparsebench.conformance.run_trace import PLAIN, Phase, RunOptions, RunTrace, trace_run
from sparsebench.method_registry import configure
from sparsebench.models import BUILT_IN_FAMILIES, FAMILIES, Family, Form

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sparsebench.method import Method

_FIRST = {Family.GPT2: Form.LANGUAGE_MODEL}
"""The form to check a family in, if the method accepts it; else the first one of its list."""


class MethodUnderTest:
    """A method to check.

    Args:
        method: An instance that no run has used yet.
        name: Its name; by default its class, with the settings that are not the default.
        families: The families to check it on.
    """

    def __init__(
        self,
        method: Method,
        *,
        name: str | None = None,
        families: Iterable[Family] = BUILT_IN_FAMILIES,
    ) -> None:
        self._unused = method
        self.name = name or _described(method)
        self.families = tuple(dict.fromkeys(families))

    @classmethod
    def of(
        cls, method: str | Method, *, families: Iterable[Family] = BUILT_IN_FAMILIES
    ) -> MethodUnderTest:
        """Return an installed method with its default settings, or the given one.

        Raises:
            UserError: No such method is installed, or it cannot be used.
        """
        if isinstance(method, str):
            return cls(configure(method, {}), name=method, families=families)
        return cls(method, families=families)

    def method(self) -> Method:
        """Return a new instance of the method, with the same settings."""
        return copy.deepcopy(self._unused)

    @cached_property
    def refusals(self) -> dict[tuple[Family, Form], str | None]:
        """The reason to refuse each family in each form, or None."""
        method = self.method()
        return {
            (family, form): method.refuses(family, form)
            for family in self.families
            for form in FAMILIES.get(family).forms
        }

    @cached_property
    def tested_families(self) -> tuple[FamilyUnderTest, ...]:
        """Each family, in the first form that the method accepts."""
        tested = []
        for family in self.families:
            first = _FIRST.get(family)
            forms = sorted(FAMILIES.get(family).forms, key=lambda form: form is not first)
            accepted = [form for form in forms if self.refusals[family, form] is None]
            if accepted:
                tested.append(FamilyUnderTest(self, family, accepted[0]))
        return tuple(tested)

    def forget(self) -> None:
        """Drop all runs, which keep their models in memory."""
        self.__dict__.pop("tested_families", None)


class FamilyUnderTest:
    """A method on one family. Every run with the same options happens once, and is kept.

    Attributes:
        under_test: The method.
        family: The family.
        form: The form of the backbone.
    """

    def __init__(self, under_test: MethodUnderTest, family: Family, form: Form) -> None:
        self.under_test = under_test
        self.family = family
        self.form = form
        self._runs: dict[RunOptions, RunTrace] = {}

    def run(self, options: RunOptions = PLAIN, *, until: Phase = Phase.DEPLOY) -> RunTrace:
        """Return a run that has passed a phase.

        Args:
            options: The options of the run.
            until: The phase.

        Raises:
            NotApplicable: Even the plain run does not pass the phase.
            CheckFailed: This run does not.
        """
        plain = self.attempt(PLAIN).failure
        if plain and plain[0] <= min(until, Phase.DEPLOY):
            raise NotApplicable("does not run: see runs_on_every_family")
        if plain and plain[0] <= until and options != PLAIN:
            raise NotApplicable("cannot be saved: see saves_and_loads")
        run = self.attempt(options)
        if run.failure and run.failure[0] <= until:
            raise CheckFailed(failure_text(run))
        return run

    def attempt(self, options: RunOptions) -> RunTrace:
        """Return a run, whatever phase it has reached."""
        if options not in self._runs:
            self._runs[options] = trace_run(
                self.under_test.method, self.family, form=self.form, options=options
            )
        return self._runs[options]


def _described(method: Method) -> str:
    settings = method.config.model_dump(mode="json", exclude_defaults=True)
    set_ = ",".join(f"{key}={value}" for key, value in settings.items())
    return type(method).__name__ + (f"({set_})" if set_ else "")


def failure_text(run: RunTrace) -> str:
    """Return the phase in which a run has failed, and the error."""
    assert run.failure is not None  # noqa: S101 - the caller has looked
    phase, error = run.failure
    return f"{phase.name.lower()}: {error_text(error)}"
