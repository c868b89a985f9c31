"""Profile models under their conditions, one row each; an error becomes the reason of its row."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from sparsebench.errors import UserError
from sparsebench.errors.memory import out_of_memory
from sparsebench.execution.devices import free_bytes
from sparsebench.execution.failures import failure_of
from sparsebench.execution.profile_runs.conditions import conditions
from sparsebench.execution.profile_runs.memory_peaks import with_memory_peaks
from sparsebench.execution.profile_runs.prepared import prepare
from sparsebench.method_registry import METHODS
from sparsebench.profiling import ProfileOptions, TimingBudget, dummy_inputs, profile
from sparsebench.profiling.memory import activation_peak
from sparsebench.profiling.runtimes import RUNTIMES
from sparsebench.results.profiles import ProfileResult, profile_key
from sparsebench.results.provenance import provenance
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from sparsebench.execution.profile_runs.conditions import Condition
    from sparsebench.execution.profile_runs.prepared import PreparedModel
    from sparsebench.execution.profile_runs.profiled_models import ProfiledModel
    from sparsebench.results.costs import Costs
    from sparsebench.results.profiles import ProfileStore
    from sparsebench.schema.measuring import ProfileSettings

_GIB = 2**30
_DENSITY_SEQUENCES = 2


@dataclass(frozen=True)
class ProfileSession:
    """One run of ``sparsebench profile``.

    Attributes:
        settings: What to measure; every shape is given.
        store: Holds earlier rows and gets the new ones.
        fresh: Whether to measure rows again that the store holds.
        command: The command line, for the record.
        report: Called with the title of each row before it is measured.
    """

    settings: ProfileSettings
    store: ProfileStore
    fresh: bool = False
    command: str = ""
    report: Callable[[str], None] = lambda _: None

    def rows(self, profiled: ProfiledModel) -> Iterator[ProfileResult]:
        """Yield the row of every condition of a model, each as soon as it is known."""
        missing: dict[tuple[str, str], list[Condition]] = {}
        for condition in conditions(profiled, self.settings):
            row = None if self.fresh else self.store.find(condition.spec)
            if row is not None and row.status is Status.OK:
                yield row
            else:
                weights = (condition.spec.device, condition.spec.dtype)
                missing.setdefault(weights, []).append(condition)
        for group in missing.values():
            for row in self._measure(profiled, group):
                self.store.write(row)
                yield row

    def _measure(
        self, profiled: ProfiledModel, group: Sequence[Condition]
    ) -> Iterator[ProfileResult]:
        """Yield the rows of conditions that share a device and a type of weights."""
        device, obstacle = group[0].device, group[0].reason or profiled.obstacle
        if device is None or obstacle:
            yield from (_row(condition, Status.SKIPPED, obstacle) for condition in group)
            return
        with TemporaryDirectory(prefix="sparsebench-") as work:
            try:
                prepared = prepare(
                    profiled,
                    device=device,
                    dtype=group[0].dtype,
                    attention=self.settings.attention,
                    work=Path(work),
                )
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything
                yield from (_failed_row(condition, error) for condition in group)
                return
            known: dict[int, Costs] = {}
            for condition in group:
                self.report(condition.spec.title)
                length = condition.spec.length
                row = self._measure_one(condition, profiled, prepared, known=known.get(length))
                if row.costs is not None:
                    known.setdefault(length, row.costs)
                yield row
                gc.collect()
                if device.type == "cuda":
                    torch.cuda.empty_cache()

    def _measure_one(
        self,
        condition: Condition,
        profiled: ProfiledModel,
        prepared: PreparedModel,
        *,
        known: Costs | None,
    ) -> ProfileResult:
        """Return the row of one condition.

        Args:
            condition: The condition.
            profiled: The model.
            prepared: The same model, loaded.
            known: Its costs on sequences of the same length: counts are copied from there.
        """
        try:
            costs = self._costs(condition, profiled, prepared, known)
        except UserError as error:
            return _row(condition, Status.SKIPPED, str(error))
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            return _failed_row(condition, error)
        spec = condition.spec
        name = spec.method.name if spec.method else ""
        record = provenance(
            command=self.command,
            device=condition.device or torch.device("cpu"),
            precision=spec.dtype,
            data_origin="random tokens",
            model_origin=spec.model,
            method_package=METHODS.entries[name].package if name in METHODS else "",
        )
        return _row(condition, Status.OK).model_copy(
            update={"costs": costs, "notes": prepared.notes, "provenance": record}
        )

    def _costs(
        self,
        condition: Condition,
        profiled: ProfiledModel,
        prepared: PreparedModel,
        known: Costs | None,
    ) -> Costs:
        """Measure the costs under one condition.

        Raises:
            MemoryError: The batch does not fit.
        """
        spec, settings, device = condition.spec, self.settings, condition.device
        assert device is not None  # noqa: S101 - conditions without a device were skipped
        inputs = dummy_inputs(
            prepared.model.config,
            batch_size=spec.batch_size,
            length=spec.length,
            target_length=spec.target_length,
            device=device,
        )
        _check_memory(prepared.model, inputs, device)
        costs = profile(
            prepared.model,
            inputs=inputs,
            reference=prepared.reference,
            head=prepared.head,
            trainable=prepared.trainable,
            folder=prepared.folder,
            training=prepared.training_peak,
            timing=TimingBudget(
                rounds=settings.rounds, seconds=settings.seconds, limit=settings.limit
            ),
            options=self._options(inputs, device, known),
        )
        if out_of_memory(reason := costs.missing.get("latency", "")):
            raise MemoryError(reason)
        costs = costs.model_copy(update={"storage": prepared.storage})
        return with_memory_peaks(
            costs,
            profiled=profiled,
            folder=prepared.folder,
            condition=condition,
            settings=settings,
        )

    def _options(
        self, inputs: dict[str, Tensor], device: torch.device, known: Costs | None
    ) -> ProfileOptions:
        settings = self.settings
        if device.type == "meta":
            return ProfileOptions(known=known)
        few = {name: tensor[:_DENSITY_SEQUENCES] for name, tensor in inputs.items()}
        return ProfileOptions(
            runtimes={name: RUNTIMES.get(name)() for name in settings.runtimes},
            activation_batches=(few,) if settings.density else (),
            activation_data="random tokens",
            new_tokens=settings.generate,
            energy=settings.energy and device.type == "cuda",
            known=known,
        )


def _row(condition: Condition, status: Status, reason: str | None = None) -> ProfileResult:
    spec = condition.spec
    line = None if reason is None else " ".join(reason.split())[:500]
    return ProfileResult(key=profile_key(spec), spec=spec, status=status, reason=line)


def _failed_row(condition: Condition, error: Exception) -> ProfileResult:
    status, reason = failure_of(error)
    return _row(condition, status, reason)


def _check_memory(model: nn.Module, inputs: dict[str, Tensor], device: torch.device) -> None:
    """Refuse a batch that does not fit into a CPU's memory, estimated from one sequence.

    The allocator of a CPU does not refuse: the kernel would kill the process instead.

    Raises:
        MemoryError: The batch does not fit.
    """
    batch_size = len(inputs["input_ids"])
    if device.type != "cpu" or batch_size == 1:
        return
    one = activation_peak(model, {name: tensor[:1] for name, tensor in inputs.items()})
    needed, free = one.bytes * batch_size, free_bytes(device)
    if free is not None and needed > free:
        raise MemoryError(
            f"a batch of {batch_size} needs about {needed / _GIB:.1f} GiB, estimated from one "
            f"sequence, and {free / _GIB:.1f} GiB are free"
        )
