"""Costs of methods on backbones without training, and of deployed folders."""

from __future__ import annotations
