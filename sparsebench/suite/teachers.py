"""Teachers: the rows of a suite, and other trained models, that rows learn from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError, suggestion
from sparsebench.method_registry import METHODS, configure
from sparsebench.models import model_source
from sparsebench.models.sources import IN_PACKAGE, FolderSource
from sparsebench.results.checksums import folder_hashes
from sparsebench.results.stored_run import RESULT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sparsebench.models import ModelSource

DEPLOYED = "deployed"
"""The folder of the deployed model beside the result of its run."""


def teacher_name(label: str, entry: Mapping[str, Any]) -> str | None:
    """Return the teacher of a row: another label, a folder or a Hub id; None without one.

    Args:
        label: The label of the row.
        entry: Its settings, and perhaps ``method``; None too if they are wrong.
    """
    settings = {key: value for key, value in entry.items() if key != "method"}
    try:
        return configure(str(entry.get("method") or label), settings).teacher_name
    except UserError:
        return None


def teacher_chain(label: str, teachers: Mapping[str, str | None]) -> list[str]:
    """Return a row, its teacher, the teacher of that, and so on.

    The last one has no teacher among the rows, or occurs twice: then the teachers form a circle.

    Args:
        label: The label of the row.
        teachers: Label -> teacher, of every row.
    """
    chain = [label]
    while (name := teachers.get(chain[-1])) in teachers:
        chain.append(str(name))
        if name in chain[:-1]:
            break
    return chain


def teacher_source(name: str, *, rows: Iterable[str] = ()) -> ModelSource:
    """Return the source of a teacher that is no row: a folder, or a model of the Hub.

    Args:
        name: A folder with a model, deployed or as ``save_pretrained`` writes it; the folder of a
            run that kept its deployed model; or a Hub id, ``owner/name[@revision]``.
        rows: The labels that may be meant, for the message.

    Raises:
        UserError: It is none of them.
    """
    path = Path(name).expanduser()
    folder = path / DEPLOYED if (path / RESULT).is_file() else path
    if (folder / "config.json").is_file():
        return FolderSource(name, folder)
    is_path = path.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1
    if not is_path and "/" in name and not name.startswith(IN_PACKAGE):
        return model_source(name)
    if is_path:
        raise UserError(f"{name!r} is no folder with a trained model: it has no config.json")
    if name in METHODS:
        raise UserError(f"{name!r} is no row of the suite: add it to the methods")
    raise UserError(
        f"{name!r} is neither a row of the suite, nor a folder with a trained model, nor a Hub id "
        f"(OWNER/NAME){suggestion(name, rows)}"
    )


def teacher_fingerprint(source: ModelSource) -> str:
    """Return the identity of a teacher that is no row; an adapter beside its weights counts."""
    folder = source.folder() if isinstance(source, FolderSource) else None
    if folder is None or not (folder / "adapter").is_dir():
        return source.fingerprint
    content = "".join(sorted(folder_hashes(folder / "adapter").values()))
    return hashlib.sha256(f"{source.fingerprint}{content}".encode()).hexdigest()[:16]
