"""All checks, in the order they are made, and making them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.conformance import deploying, reproducing, settings, sparsity, training
from sparsebench.conformance.check import Check, Finding, Status
from sparsebench.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sparsebench.conformance.method_under_test import MethodUnderTest

CHECKS: tuple[Check, ...] = (
    settings.settings_have_defaults,
    settings.settings_round_trip,
    settings.bad_settings_are_refused,
    settings.stages_share_the_budget,
    deploying.runs_on_every_family,
    training.starts_pretrained,
    training.trains_what_it_claims,
    training.frozen_values_stay,
    training.penalty_is_differentiable,
    deploying.ships_what_it_trained,
    deploying.deploy_leaves_nothing_behind,
    deploying.saves_and_loads,
    sparsity.reaches_its_sparsity,
    sparsity.masked_weights_stay_zero,
    sparsity.schedules_go_by_progress,
    reproducing.same_seed_same_result,
    reproducing.another_seed_another_result,
    reproducing.survives_a_restart,
    reproducing.trains_in_bf16,
    reproducing.leaves_the_process_alone,
)
"""Every check; each is made of every method, and says itself if it does not apply."""


def check_method(
    subject: MethodUnderTest, only: Collection[str] | None = None
) -> Iterator[Finding]:
    """Makes every check of a method.

    Args:
        subject: The method.
        only: The names of the checks to make; None for all.

    Yields:
        What comes of each, in the order of ``CHECKS``.

    Raises:
        UnknownNameError: A check is asked for, or the method expects to fail it, that is none.
    """
    _check_names(only or ())
    expected = expected_failures(subject)
    for check in CHECKS:
        if only is not None and check.name not in only:
            continue
        yield judged(check.find(subject), expected.get(check.name))


def expected_failures(subject: MethodUnderTest) -> dict[str, str]:
    """Returns which checks a method says it fails, and why.

    Raises:
        UnknownNameError: One of them is no check.
    """
    expected = dict(subject.method().expected_failures)
    _check_names(expected, where=f"expected_failures of {subject.name!r}")
    return expected


def _check_names(names: Iterable[str], *, where: str | None = None) -> None:
    known = [check.name for check in CHECKS]
    for name in names:
        if name not in known:
            raise UnknownNameError("check", name, known=known, where=where)


def judged(finding: Finding, expected: str | None) -> Finding:
    """Returns the finding in the light of what the method says of it; None for nothing."""
    if expected is None or finding.status is Status.NOT_APPLICABLE:
        return finding
    if finding.status is Status.FAIL:
        return Finding(finding.check, Status.EXPECTED, f"{expected} ({finding.note})")
    note = f"it passes, and expected_failures says that it does not: {expected}"
    return Finding(finding.check, Status.FAIL, note)
