"""The eight tasks of GLUE (Wang et al. 2019) and WNLI, from the Hub or from the official files.

The reported split is the development set: the labels of the test set are not public. Classes are
in the order of the Hub. WNLI is optional, as its development set was drawn so that a model that
remembers the training set gets it wrong.
"""

from __future__ import annotations

from sparsebench.tasks.glue.task import GlueTask

COLA = GlueTask(
    name="cola",
    title="CoLA",
    description="Is the sentence acceptable English? Matthews correlation.",
    labels=("unacceptable", "acceptable"),
    fields=("sentence",),
    metrics=("matthews",),
    folder="CoLA",
    header=("source", "label", "mark", "sentence"),
)

SST2 = GlueTask(
    name="sst2",
    title="SST-2",
    description="Does the film review like what it speaks of? Accuracy.",
    labels=("negative", "positive"),
    fields=("sentence",),
    folder="SST-2",
)

MRPC = GlueTask(
    name="mrpc",
    title="MRPC",
    description="Do two sentences from the news say the same? Mean of accuracy and F1.",
    labels=("not_equivalent", "equivalent"),
    fields=("sentence1", "sentence2"),
    metrics=("accuracy", "f1"),
    folder="MRPC",
    columns=("#1 String", "#2 String"),
    label_column="Quality",
)

QQP = GlueTask(
    name="qqp",
    title="QQP",
    description="Do two questions ask the same? Mean of accuracy and F1.",
    labels=("not_duplicate", "duplicate"),
    fields=("question1", "question2"),
    metrics=("accuracy", "f1"),
    folder="QQP",
    label_column="is_duplicate",
    skip_short=True,
)

STSB = GlueTask(
    name="stsb",
    title="STS-B",
    description="How alike are two sentences, from 0 to 5? Mean of Pearson and Spearman.",
    labels=("similarity",),
    fields=("sentence1", "sentence2"),
    metrics=("pearson", "spearman"),
    folder="STS-B",
    label_column="score",
)

MNLI = GlueTask(
    name="mnli",
    title="MNLI",
    description="Does the premise imply or contradict the hypothesis? Mean of both accuracies.",
    labels=("entailment", "neutral", "contradiction"),
    fields=("premise", "hypothesis"),
    prompt_order=("hypothesis", "premise"),
    folder="MNLI",
    columns=("sentence1", "sentence2"),
    label_column="gold_label",
    splits=("dev", "dev_matched", "dev_mismatched"),
    files=(
        ("train", "train.tsv"),
        ("validation_matched", "dev_matched.tsv"),
        ("validation_mismatched", "dev_mismatched.tsv"),
    ),
)

QNLI = GlueTask(
    name="qnli",
    title="QNLI",
    description="Does the sentence answer the question? Accuracy.",
    labels=("entailment", "not_entailment"),
    fields=("question", "sentence"),
    folder="QNLI",
)

RTE = GlueTask(
    name="rte",
    title="RTE",
    description="Does the first sentence imply the second? Accuracy.",
    labels=("entailment", "not_entailment"),
    fields=("sentence1", "sentence2"),
    folder="RTE",
)

WNLI = GlueTask(
    name="wnli",
    title="WNLI",
    description="Is the pronoun resolved rightly in the second sentence? Accuracy; optional.",
    labels=("not_entailment", "entailment"),
    fields=("sentence1", "sentence2"),
    folder="WNLI",
)

ALL = (COLA, SST2, MRPC, QQP, STSB, MNLI, QNLI, RTE, WNLI)
"""Every task of GLUE; the last one is optional."""
