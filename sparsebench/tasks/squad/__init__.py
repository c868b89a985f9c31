"""SQuAD 1.1 (Rajpurkar et al. 2016) and 2.0 (2018), from the Hub or the official JSON files.

The reported split is the development set: the answers of the test set are not public.
"""

from __future__ import annotations

from sparsebench.tasks.squad.task import SquadTask

SQUAD = SquadTask(
    name="squad",
    title="SQuAD 1.1",
    description="Which part of a paragraph answers the question? Exact match and F1.",
    version_of_data="v1.1",
    hub="rajpurkar/squad",
)

SQUAD2 = SquadTask(
    name="squad2",
    title="SQuAD 2.0",
    description="As SQuAD 1.1, and half of the questions have no answer. Exact match and F1.",
    version_of_data="v2.0",
    hub="rajpurkar/squad_v2",
    may_be_silent=True,
)
