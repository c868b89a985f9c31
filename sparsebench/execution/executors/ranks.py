"""The processes of one run as their parent sees them: the first, and those that train along."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparsebench.execution.executors.worker import work
from sparsebench.training.distributed import ProcessGroup

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from sparsebench.execution.executors.run_lock import RunLock
    from sparsebench.execution.executors.worker import Resources
    from sparsebench.execution.job import Job


@dataclass(frozen=True)
class Rank:
    """One process of a run.

    Attributes:
        process: The process.
        events: What it says.
        number: Its number among those of the run; 0 leads.
    """

    process: BaseProcess
    events: Connection
    number: int

    def kill(self) -> None:
        """Ends it at once."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.events.close()


@dataclass
class Ranks:
    """The processes of one run.

    Attributes:
        size: How many there were at first.
        meeting: The file by which they find each other.
        alive: Those that have not left; the first of them leads.
    """

    size: int
    meeting: Path
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
        """Starts the processes of a run.

        Args:
            context: Makes processes.
            job: The run.
            lock: Its lock, which each of them holds.
            log: Takes all that they print; in its folder they find each other.
            resources: What of the machine each gets.
            measure: Whether to measure the trained model, or else to train it.
        """
        ranks = cls(len(resources), log.with_name(f"meeting-{secrets.token_hex(4)}"))
        for number, part in enumerate(resources):
            events, sender = context.Pipe(duplex=False)
            process = context.Process(  # type: ignore[attr-defined]
                target=work,
                args=(job, lock, sender, log),
                kwargs={
                    "resources": part,
                    "group": ProcessGroup(number, len(resources), ranks.meeting),
                    "measure": measure,
                },
                name=job.spec.title,
            )
            process.start()
            sender.close()
            ranks.alive.append(Rank(process, events, number))
        return ranks

    def kill(self) -> None:
        """Ends them all at once."""
        for rank in self.alive:
            rank.kill()
        with suppress(OSError):
            self.meeting.unlink()
