"""Meaning representations of the E2E challenge: ``name[Blue Spice], eatType[pub]``."""

from __future__ import annotations

import re

Slots = tuple[tuple[str, str], ...]
"""Attribute and value of each slot, in the order they are written."""

ATTRIBUTES = (
    "name",
    "eatType",
    "food",
    "priceRange",
    "customer rating",
    "area",
    "familyFriendly",
    "near",
)
"""The attributes of the challenge."""

_SLOT = re.compile(r"\s*([^\[\],]+?)\s*\[([^\[\]]*)\]\s*(?:,|$)")


def parse(mr: str) -> Slots:
    """Reads a meaning representation.

    Raises:
        ValueError: It is none; the message says from where on.
    """
    slots, place = [], 0
    while place < len(mr):
        found = _SLOT.match(mr, place)
        if found is None or found[1] not in ATTRIBUTES:
            raise ValueError(f"no slot of the form attribute[value] at {mr[place:].strip()[:40]!r}")
        slots.append((found[1], found[2].strip()))
        place = found.end()
    if not slots:
        raise ValueError("no slot in it")
    return tuple(slots)


def linearise(slots: Slots) -> str:
    """Writes slots as ``name : Blue Spice | eatType : pub``, in their order, for a model to read.

    It is the way of Hu et al. 2021 (LoRA, arXiv:2106.09685), with the challenge's own names of the
    attributes and without blanks around currency signs.
    """
    return " | ".join(f"{attribute} : {value}" for attribute, value in slots)


def key_of(mr: str) -> str:
    """Returns what meaning representations with the same slots in any order have in common."""
    return ", ".join(sorted(f"{attribute}[{value}]" for attribute, value in parse(mr)))
