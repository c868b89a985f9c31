"""The E2E NLG challenge (Novikova et al. 2017, Dušek et al. 2020): restaurants, put into words.

From the Hub or the official CSV files. Development and test set are reported; the headline is BLEU
of the test set, as published.
"""

from __future__ import annotations

from sparsebench.tasks.e2e.task import E2ETask

E2E = E2ETask(
    name="e2e",
    title="E2E NLG",
    description="What is there to say of a restaurant? BLEU, NIST, METEOR, ROUGE-L, CIDEr, slots.",
)
