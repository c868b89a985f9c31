"""A few examples of every GLUE task, as the official files have them and as the Hub has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import DatasetDict

ENTAILMENT = ("entailment", "not_entailment")


@dataclass(frozen=True)
class Sample:
    """One task in both forms; the Hub's rows are texts and label, in the order of its columns."""

    folder: str
    files: dict[str, str]
    fields: tuple[str, ...]
    rows: dict[str, list[tuple[Any, ...]]]
    classes: tuple[str, ...] = ()
    first_index: int = field(default=0)

    def write(self, folder: Path) -> Path:
        """Writes the official files into a folder of GLUE, and returns the task's own."""
        home = folder / self.folder
        home.mkdir(parents=True)
        for name, text in self.files.items():
            (home / name).write_bytes(text.encode())
        return home

    def hub(self) -> DatasetDict:
        """Returns what `load_dataset` gives, the unlabelled test set included."""
        import datasets

        label = datasets.ClassLabel(names=list(self.classes)) if self.classes else None
        text = dict.fromkeys(self.fields, datasets.Value("string"))
        features = datasets.Features(
            **text, label=label or datasets.Value("float32"), idx=datasets.Value("int32")
        )
        unlabelled = [(*["?"] * len(self.fields), -1)]
        splits = {**self.rows, "test": unlabelled}
        names = (*self.fields, "label", "idx")
        tables = {
            split: datasets.Dataset.from_list(
                [
                    dict(zip(names, (*row, self.first_index + place), strict=True))
                    for place, row in enumerate(rows)
                ],
                features=features,
            )
            for split, rows in splits.items()
        }
        return datasets.DatasetDict(tables)


SAMPLES = {
    "cola": Sample(
        folder="CoLA",
        files={
            "train.tsv": (
                "ab12\t1\t\tThe cat sleeps.\nab12\t0\t*\tThe cat sleep.\ncd34\t1\t\t It barks."
            ),
            "dev.tsv": "ab12\t0\t*\tCat the sleeps.\n",
        },
        fields=("sentence",),
        rows={
            "train": [("The cat sleeps.", 1), ("The cat sleep.", 0), (" It barks.", 1)],
            "validation": [("Cat the sleeps.", 0)],
        },
        classes=("unacceptable", "acceptable"),
    ),
    "sst2": Sample(
        folder="SST-2",
        files={
            "train.tsv": "sentence\tlabel\na joy to see \t1\nit 's ` dull ' \t0\n",
            "dev.tsv": "sentence\tlabel\ntoo long \t0\n",
        },
        fields=("sentence",),
        rows={
            "train": [("a joy to see ", 1), ("it 's ` dull ' ", 0)],
            "validation": [("too long ", 0)],
        },
        classes=("negative", "positive"),
    ),
    "mrpc": Sample(
        folder="MRPC",
        files={
            "train.tsv": (
                "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
                '1\t11\t12\t" It grew , he said .\tHe said it grew .\n'
                '0\t13\t14\tIt fell .\tIt " fell and fell .\n'
            ),
            "dev.tsv": (
                "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
                "1\t15\t16\tAll is well .\tFine ."
            ),
        },
        fields=("sentence1", "sentence2"),
        rows={
            "train": [
                ('" It grew , he said .', "He said it grew . ", 1),
                ("It fell .", 'It " fell and fell .', 0),
            ],
            "validation": [("All is well .", "Fine .", 1)],
        },
        classes=("not_equivalent", "equivalent"),
        first_index=17,
    ),
    "qqp": Sample(
        folder="QQP",
        files={
            "train.tsv": (
                "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
                "7\t1\t2\tWhat is \"a?\tWhat's a?\t1\n"
                "8\t3\t4\tIs this one \n"
                "broken?\tIs it?\t0\n"
                "9\t5\t6\t\tWhy not?\t0\n"
            ),
            "dev.tsv": (
                "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n3\t1\t9\tWho?\tWhere?\t0\n"
            ),
        },
        fields=("question1", "question2"),
        rows={
            "train": [('What is "a?', "What's a?", 1), ("", "Why not?", 0)],
            "validation": [("Who?", "Where?", 0)],
        },
        classes=("not_duplicate", "duplicate"),
    ),
    "stsb": Sample(
        folder="STS-B",
        files={
            "train.tsv": (
                "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"
                "\tscore\n"
                "0\tnews\tx\t2012\t01\tnone\tnone\tA dog runs.\tThe dog is running.\t3.800\n"
                "1\tnews\tx\t2012\t02\tnone\tnone\tA car.\tIt is red.\t2.11111111111111\n"
            ),
            "dev.tsv": (
                "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"
                "\tscore\n"
                "0\tnews\tx\t2012\t01\tnone\tnone\tA dog.\tA dog.\t5\n"
            ),
        },
        fields=("sentence1", "sentence2"),
        rows={
            "train": [
                ("A dog runs.", "The dog is running.", 3.8),
                ("A car.", "It is red.", 2.11111111111111),
            ],
            "validation": [("A dog.", "A dog.", 5.0)],
        },
    ),
    "mnli": Sample(
        folder="MNLI",
        files={
            "train.tsv": (
                "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse"
                "\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label\n"
                "0\t1\t1n\tfiction\t( a )\t( b )\t(R a)\t(R b)\tIt rains.\tIt is wet."
                "\tneutral\tneutral\n"
                "1\t2\t2e\tfiction\t( a )\t( b )\t(R a)\t(R b)\tHe runs.\tHe moves."
                "\tentailment\tentailment\n"
            ),
            **{
                name: (
                    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse"
                    "\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tlabel2"
                    "\tlabel3\tlabel4\tlabel5\tgold_label\n"
                    f"0\t1\t1n\tslate\t( a )\t( b )\t(R a)\t(R b)\t{premise}\tNo."
                    f"\tneutral\t{label}\t{label}\tneutral\t{label}\t{label}\n"
                )
                for name, premise, label in (
                    ("dev_matched.tsv", "Yes.", "contradiction"),
                    ("dev_mismatched.tsv", "Never.", "entailment"),
                )
            },
        },
        fields=("premise", "hypothesis"),
        rows={
            "train": [("It rains.", "It is wet.", 1), ("He runs.", "He moves.", 0)],
            "validation_matched": [("Yes.", "No.", 2)],
            "validation_mismatched": [("Never.", "No.", 0)],
        },
        classes=("entailment", "neutral", "contradiction"),
    ),
    "qnli": Sample(
        folder="QNLI",
        files={
            "train.tsv": (
                "index\tquestion\tsentence\tlabel\n"
                '0\tWho ran?\t"The dog ran.\tentailment\n'
                "1\tWho slept?\tIt was  late.\tnot_entailment\n"
            ),
            "dev.tsv": "index\tquestion\tsentence\tlabel\n0\tWhen?\tAt noon.\tentailment\n",
        },
        fields=("question", "sentence"),
        rows={
            "train": [("Who ran?", '"The dog ran.', 0), ("Who slept?", "It was  late.", 1)],
            "validation": [("When?", "At noon.", 0)],
        },
        classes=ENTAILMENT,
    ),
    "rte": Sample(
        folder="RTE",
        files={
            "train.tsv": (
                "index\tsentence1\tsentence2\tlabel\n0\tA dog ran.\tA dog moved.\tentailment\n"
            ),
            "dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tNo.\tYes.\tnot_entailment\n",
        },
        fields=("sentence1", "sentence2"),
        rows={
            "train": [("A dog ran.", "A dog moved.", 0)],
            "validation": [("No.", "Yes.", 1)],
        },
        classes=ENTAILMENT,
    ),
    "wnli": Sample(
        folder="WNLI",
        files={
            "train.tsv": "index\tsentence1\tsentence2\tlabel\n0\tIt fell.\tThe cup fell.\t1\n",
            "dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tIt broke.\tThe cat broke.\t0\n",
        },
        fields=("sentence1", "sentence2"),
        rows={
            "train": [("It fell.", "The cup fell.", 1)],
            "validation": [("It broke.", "The cat broke.", 0)],
        },
        classes=("not_entailment", "entailment"),
    ),
}
