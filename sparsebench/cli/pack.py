"""``sparsebench pack``: a finished set of results as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.api.console import activity
from sparsebench.cli.output import plain_console
from sparsebench.errors import UserError

Folders = Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Folders of results.")]


def pack(
    results: Folders,
    *,
    undo: Annotated[
        bool, typer.Option("--unpack", help="Write the folders again, and remove the packed file.")
    ] = False,
) -> None:
    """Pack the runs of a finished set into one Parquet file, runs.parquet.

    Every command reads packed runs as it reads folders, and 'run' finds them cached. Unpacking
    restores every file, byte for byte. A run with a deployed model stays a folder.

    For example:

        sparsebench pack runs/glue
        sparsebench pack --unpack runs/glue
    """
    from sparsebench.results import packing

    console = plain_console()
    for root in results:
        if not root.is_dir():
            raise UserError(f"{root}: no such folder")
        with activity(f"{root}: {'unpacking' if undo else 'packing'}"):
            done = packing.unpack(root) if undo else packing.pack(root)
        count = "1 run" if len(done.runs) == 1 else f"{len(done.runs)} runs"
        sizes = f"{_megabytes(done.bytes_before)} of files, {_megabytes(done.bytes_after)} packed"
        console.print(f"{root}: {'unpacked' if undo else 'packed'} {count} ({sizes})")
        for name, reason in done.kept.items():
            console.print(f"  {name} stays a folder: {reason}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"
