"""Reading data sets from the Hub, or from what `datasets` has cached of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sparsebench.tasks.base import MissingDataError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


def read_hub(
    repository: str, configuration: str | None = None, *, revision: str | None, title: str
) -> tuple[DatasetDict, str]:
    """Reads all splits of a data set.

    Args:
        repository: Its id.
        configuration: Which of its configurations, where it has several.
        revision: The revision, or None for the newest.
        title: What messages call the task.

    Returns:
        The splits, and the repository with the commit that the revision stood for.

    Raises:
        MissingDataError: The Hub does not answer, or has no such revision.
    """
    import datasets

    try:
        splits = datasets.load_dataset(repository, configuration, revision=revision)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise MissingDataError(
            f"{title}: {repository} could not be read from the Hub ({reason}): give a folder of "
            "the official files with --data or SPARSEBENCH_DATA"
        ) from error
    commit = _commit(next(iter(splits.values()))) or revision or "unknown"
    return splits, f"{repository}@{commit}"


def _commit(rows: Dataset) -> str | None:
    """Finds the commit in the addresses of the downloaded files."""
    for address in rows.info.download_checksums or {}:
        if found := re.search(r"@([0-9a-f]{40})/", address):
            return found[1]
    return None
