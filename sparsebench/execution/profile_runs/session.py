"""Measures subjects under their conditions, one row each; whatever goes wrong becomes a reason."""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from sparsebench.errors import UserError, one_line
from sparsebench.errors.memory import out_of_memory
from sparsebench.execution.profile_runs.conditions import conditions
from sparsebench.execution.profile_runs.devices import free_bytes
from sparsebench.execution.profile_runs.memory_peaks import with_peaks
from sparsebench.execution.profile_runs.prepared import made
from sparsebench.execution.profile_runs.subjects import Shipped
from sparsebench.profiling import ProfileOptions, TimingBudget, dummy_inputs, profile
from sparsebench.profiling.profile import activation_peak
from sparsebench.profiling.runtimes import RUNTIMES
from sparsebench.results.profiles import ProfileResult, profile_key
from sparsebench.results.provenance import provenance
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from sparsebench.execution.profile_runs.conditions import Condition
    from sparsebench.execution.profile_runs.prepared import Made
    from sparsebench.execution.profile_runs.subjects import Untrained
    from sparsebench.results.costs import Costs
    from sparsebench.results.profiles import ProfileStore
    from sparsebench.schema.measuring import ProfileSettings

_GIB = 2**30
_DENSITY_SEQUENCES = 2


@dataclass(frozen=True)
class Session:
    """How a table of costs is made.

    Attributes:
        settings: What is measured; every shape is named.
        store: What is there already, and where rows are kept.
        fresh: Whether rows that are there already are made again.
        command: The command line, for the record.
        report: Is told what comes next.
    """

    settings: ProfileSettings
    store: ProfileStore
    fresh: bool = False
    command: str = ""
    report: Callable[[str], None] = lambda _: None

    def rows(self, subject: Untrained | Shipped) -> Iterator[ProfileResult]:
        """Yields the row of every condition of a subject, each as soon as it is there."""
        todo = []
        for condition in conditions(subject, self.settings):
            row = None if self.fresh else self.store.find(condition.spec)
            if row is None or row.status is not Status.OK:
                todo.append(condition)
            else:
                yield row
        for group in _by_weights(todo):
            for row in self._measured(subject, group):
                self.store.write(row)
                yield row

    def _measured(
        self, subject: Untrained | Shipped, group: Sequence[Condition]
    ) -> Iterator[ProfileResult]:
        """Yields the rows of conditions that share a device and a type of weights."""
        device = group[0].device
        obstacle = group[0].reason or (None if isinstance(subject, Shipped) else subject.obstacle)
        if device is None or obstacle:
            yield from (_row(condition, Status.SKIPPED, obstacle) for condition in group)
            return
        left = list(group)
        try:
            meta = device.type == "meta"
            with made(subject, attention=self.settings.attention, meta=meta) as ready:
                yield from self._under(subject, ready, left, device)
        except Exception as error:  # noqa: BLE001 - a method may fail in any way, and it must show
            status = Status.OOM if out_of_memory(error) else Status.ERROR
            reason = one_line(error)
            yield from (_row(condition, status, reason) for condition in left)

    def _under(
        self, subject: Untrained | Shipped, ready: Made, left: list[Condition], device: torch.device
    ) -> Iterator[ProfileResult]:
        """Yields the rows of what was made ready, and takes each off what is left to measure."""
        dtype = left[0].dtype
        model, reference = ready.load(device, dtype), ready.reference(device, dtype)
        known: dict[int, Costs | None] = {}
        while left:
            self.report(left[0].spec.title)
            length = left[0].spec.length
            row = self._one(
                left[0],
                model,
                subject=subject,
                ready=ready,
                reference=reference,
                known=known.get(length),
            )
            known.setdefault(length, row.costs)
            left.pop(0)
            yield row
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()

    def _one(
        self,
        condition: Condition,
        model: nn.Module,
        *,
        subject: Untrained | Shipped,
        ready: Made,
        reference: nn.Module | None,
        known: Costs | None,
    ) -> ProfileResult:
        spec, device = condition.spec, condition.device
        assert device is not None  # noqa: S101 - those without one were skipped
        try:
            inputs = dummy_inputs(
                model.config,
                batch_size=spec.batch_size,
                length=spec.length,
                target_length=spec.target_length,
                device=device,
            )
            if reason := _too_large(model, inputs, device):
                return _row(condition, Status.OOM, reason)
            costs = profile(
                model,
                inputs=inputs,
                reference=reference,
                head=ready.head,
                trainable=ready.trainable,
                folder=ready.folder,
                training=ready.training,
                effort=self._effort(),
                ask=replace(self._ask(inputs, device), known=known),
            )
        except UserError as error:
            return _row(condition, Status.SKIPPED, str(error))
        except Exception as error:  # noqa: BLE001 - as above
            status = Status.OOM if out_of_memory(error) else Status.ERROR
            return _row(condition, status, one_line(error))
        lacking = costs.missing.get("latency", "")
        if out_of_memory(lacking):
            return _row(condition, Status.OOM, lacking)
        return self._finished(ready, condition, costs, subject)

    def _effort(self) -> TimingBudget:
        settings = self.settings
        return TimingBudget(rounds=settings.rounds, seconds=settings.seconds, limit=settings.limit)

    def _ask(self, inputs: dict[str, Tensor], device: torch.device) -> ProfileOptions:
        settings = self.settings
        if device.type == "meta":
            return ProfileOptions()
        few = {name: tensor[:_DENSITY_SEQUENCES] for name, tensor in inputs.items()}
        return ProfileOptions(
            runtimes={name: RUNTIMES.get(name)() for name in settings.runtimes},
            density=(few,) if settings.density else (),
            density_data="random tokens",
            tokens=settings.generate,
            energy=settings.energy and device.type == "cuda",
        )

    def _finished(
        self, ready: Made, condition: Condition, costs: Costs, subject: Untrained | Shipped
    ) -> ProfileResult:
        spec = condition.spec
        found = with_peaks(
            costs, subject=subject, ready=ready, condition=condition, settings=self.settings
        )
        record = provenance(
            command=self.command,
            device=condition.device or torch.device("cpu"),
            precision=spec.dtype,
            data_origin="random tokens",
            model_origin=spec.model,
            method_package=_package(spec.method.name if spec.method else ""),
        )
        done = {"costs": found, "notes": ready.notes, "provenance": record}
        return _row(condition, Status.OK, None).model_copy(update=done)


def _by_weights(wanted: Sequence[Condition]) -> list[list[Condition]]:
    groups: dict[tuple[str, str], list[Condition]] = {}
    for condition in wanted:
        groups.setdefault((condition.spec.device, condition.spec.dtype), []).append(condition)
    return list(groups.values())


def _row(condition: Condition, status: Status, reason: str | None) -> ProfileResult:
    spec = condition.spec
    line = None if reason is None else " ".join(reason.split())[:500]
    return ProfileResult(key=profile_key(spec), spec=spec, status=status, reason=line)


def _too_large(model: nn.Module, inputs: dict[str, Tensor], device: torch.device) -> str | None:
    """Returns why a batch will not fit, by what a single sequence takes; None if it may.

    A CPU has no allocator that refuses: the system would stop the process instead.
    """
    batch_size = len(inputs["input_ids"])
    if device.type != "cpu" or batch_size == 1:
        return None
    one = activation_peak(model, {name: tensor[:1] for name, tensor in inputs.items()})
    needed, free = one.bytes * batch_size, free_bytes(device)
    if free is None or needed <= free:
        return None
    return (
        f"a batch of {batch_size} would take about {needed / _GIB:.1f} GiB, by what one sequence "
        f"takes, and {free / _GIB:.1f} GiB are free"
    )


def _package(method: str) -> str:
    from sparsebench.method_registry import METHODS

    return METHODS.entries[method].package if method in METHODS else ""
