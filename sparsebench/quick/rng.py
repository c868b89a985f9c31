"""Random draws that are equal on every machine and in every version of Python.

Python guarantees that ``random.Random(seed).random()`` gives the same numbers in all versions, but
not that ``choice`` and ``shuffle`` do, so this module implements the few draws it needs.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Item = TypeVar("Item")


class Random:
    """A source of reproducible draws.

    Args:
        seed: A word or number; different seeds give unrelated draws.
    """

    def __init__(self, seed: str | int) -> None:
        self._random = random.Random(f"sparsebench.quick {seed}").random  # noqa: S311 - not secret

    def fraction(self) -> float:
        """Draw a number in [0, 1)."""
        return self._random()

    def chance(self, probability: float) -> bool:
        """Draw True with the given probability."""
        return self._random() < probability

    def below(self, bound: int) -> int:
        """Draw a whole number in [0, bound)."""
        return int(self._random() * bound)

    def pick(self, items: Sequence[Item]) -> Item:
        """Draw one item, uniformly."""
        return items[self.below(len(items))]

    def weighted(self, weights: Mapping[Item, float]) -> Item:
        """Draw one key of a mapping, with a probability proportional to its value."""
        rest = self._random() * sum(weights.values())
        for item, weight in weights.items():
            rest -= weight
            if rest < 0:
                return item
        return item

    def sample(self, items: Sequence[Item], *, count: int) -> list[Item]:
        """Draw ``count`` different items; all of them in random order if there are fewer."""
        pool = list(items)
        return [pool.pop(self.below(len(pool))) for _ in range(min(count, len(pool)))]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Return the items in a random order."""
        return self.sample(items, count=len(items))
