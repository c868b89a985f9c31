"""The density of activations layer by layer: which feed-forward networks a method keeps quiet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparsebench.leaderboard.text import clean

if TYPE_CHECKING:
    from sparsebench.leaderboard.table import Group


@dataclass(frozen=True)
class LayerTable:
    """A row a method, a column a layer.

    Attributes:
        layers: ``encoder 0`` and on, in the order of the model.
        rows: The name of each method that was measured, and the share of its activations that is
            not small, layer by layer; None where the feed-forward network was removed.
    """

    layers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]


def layer_table(group: Group) -> LayerTable | None:
    """Returns the densities of a group, in the order of its rows; None where there are none."""
    measured = [row for row in group.rows if row.figures.layer_densities]
    fullest = max((row.figures.layer_densities for row in measured), key=len, default=None)
    if not fullest:
        return None
    rows = (
        (clean(row.name), tuple(map(row.figures.layer_densities.get, fullest))) for row in measured
    )
    return LayerTable(tuple(fullest), tuple(rows))
