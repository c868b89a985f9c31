"""The papers of the built-in methods, which tables and pages link to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparsebench.schema.spec import MethodChoice

PAPERS = {
    "adapter": "arXiv:1902.00751",
    "bitfit": "arXiv:2106.10199",
    "deft": "arXiv:2402.01911",
    "distill": "arXiv:1503.02531",
    "dsee": "arXiv:2111.00160",
    "lora": "arXiv:2106.09685",
    "lt_sft": "arXiv:2110.07560",
    "magnitude": "arXiv:1710.01878",
    "movement": "arXiv:2005.07683",
    "pst": "arXiv:2205.11005",
    "qlora": "arXiv:2305.14314",
    "sparse_mask": "arXiv:2111.09839",
    "rosa": "arXiv:2401.04679",
    "soft_movement": "arXiv:2005.07683",
    "sparsegpt": "arXiv:2301.00774",
    "wanda": "arXiv:2306.11695",
}
"""Registered name -> the paper, as the method names it. A copy: a page is built without loading the
methods, whose libraries take seconds to import."""


def paper_of(method: MethodChoice) -> str | None:
    """Return the address of the paper of a method; None where not known."""
    match = re.fullmatch(r"arXiv:(\d{4}\.\d{4,5})", PAPERS.get(method.name, ""))
    return f"https://arxiv.org/abs/{match[1]}" if match else None
