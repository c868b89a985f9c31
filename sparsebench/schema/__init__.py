"""The immutable, validated data that describes a run: its spec, terms, settings and limits."""

from __future__ import annotations
