"""The processes of one run as their parent sees them: the main one, and other ranks that train."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.execution.executors.fork_server import LOST, has_ended, server_pid
from sparsebench.execution.executors.worker import work
from sparsebench.training.distributed import ProcessGroup

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from sparsebench.execution.executors.resources import Resources
    from sparsebench.execution.executors.run_lock import RunLock
    from sparsebench.execution.job import Job

_STARTS = 5
"""Attempts to start a process; the fork server may end in between."""


@dataclass(frozen=True)
class Rank:
    """One process of a run.

    Attributes:
        process: The process.
        events: Gives the events that it sends.
        number: Its number among those of the run; 0 is the main one.
        server: The process id of the fork server that it came from, if there is one.
    """

    process: BaseProcess
    events: Connection
    number: int
    server: int | None = None

    @property
    def lost_its_server(self) -> bool:
        """Whether the process ended since its fork server did."""
        return self.process.exitcode == LOST and has_ended(self.server)

    def kill(self) -> None:
        """End it at once."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.events.close()


@dataclass
class Ranks:
    """The processes of one run.

    Attributes:
        size: Their number at the start.
        rendezvous: The file by which they find each other.
        alive: Those that have not left; the first of them is the main one.
    """

    size: int
    rendezvous: Path
    alive: list[Rank] = field(default_factory=list)

    @classmethod
    def start(
        cls,
        context: BaseContext,
        job: Job,
        lock: RunLock,
        log: Path,
        resources: Sequence[Resources],
        *,
        measure: bool = False,
    ) -> Ranks:
        """Start the processes of a run.

        Args:
            context: Starts processes.
            job: The run.
            lock: Its lock, which each process holds.
            log: Takes everything that they print; its folder holds the rendezvous file.
            resources: The part of the machine of each process.
            measure: Whether to measure the trained model, or else to train it.

        Raises:
            UserError: No process can be started.
        """
        ranks = cls(len(resources), log.with_name(f"rendezvous-{secrets.token_hex(4)}"))
        for number, part in enumerate(resources):
            group = ProcessGroup(number, len(resources), ranks.rendezvous)
            part_of_run = {"resources": part, "group": group, "measure": measure}
            try:
                rank = _start_rank(context, job, (lock, log), part_of_run)
            except UserError:
                ranks.kill()
                raise
            ranks.alive.append(rank)
        return ranks

    def kill(self) -> None:
        """End them all at once."""
        for rank in self.alive:
            rank.kill()
        with suppress(OSError):
            self.rendezvous.unlink()


def _start_rank(
    context: BaseContext, job: Job, places: tuple[RunLock, Path], terms: dict[str, Any]
) -> Rank:
    """Start one process; if the fork server ended meanwhile, from another server.

    Args:
        context: Starts processes.
        job: The run.
        places: Its lock and its log.
        terms: The other arguments of ``work``, by name.
    """
    lock, log = places
    for attempt in range(_STARTS):
        events, sender = context.Pipe(duplex=False)
        process = context.Process(  # type: ignore[attr-defined]
            target=work, args=(job, lock, sender, log), kwargs=terms, name=job.spec.title
        )
        try:
            process.start()
        except (EOFError, OSError) as error:
            events.close()
            failed = error
            time.sleep(0.1 * attempt)
        else:
            return Rank(process, events, terms["group"].rank, server_pid())
        finally:
            sender.close()
    raise UserError(
        f"no process for a run can be started ({failed or type(failed).__name__}); finished "
        "results are kept, and the same command resumes"
    )
