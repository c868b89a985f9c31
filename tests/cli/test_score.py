"""``sparsebench score``: the official formats, what is missing or unknown, and malformed files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sparsebench.metrics import captions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said

    Score = Callable[..., Said]

QUESTIONS = {
    "version": "1.1",
    "data": [
        {
            "title": "Cats",
            "paragraphs": [
                {
                    "context": "The red cat sleeps.",
                    "qas": [
                        {
                            "id": "q1",
                            "question": "What sleeps?",
                            "answers": [{"text": "red cat", "answer_start": 4}],
                        },
                        {
                            "id": "q2",
                            "question": "What does it do?",
                            "answers": [{"text": "sleeps", "answer_start": 12}],
                        },
                    ],
                }
            ],
        }
    ],
}
MR = "name[Blue Spice], eatType[pub]"
OTHER = "name[Clowns], area[riverside]"
TEXTS = f"""mr,ref
"{MR}",Blue Spice is a pub.
"{MR}","A pub:
Blue Spice."
"{OTHER}",Clowns is by the river.
"""


@pytest.fixture
def score(cli: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Score:
    """Scores the content of a file of predictions on tiny official files, without Java."""
    monkeypatch.setattr(captions, "absence", lambda: "needs Java")
    (tmp_path / "dev-v1.1.json").write_text(json.dumps(QUESTIONS))
    (tmp_path / "devset.csv").write_text(TEXTS, encoding="utf-8")
    (tmp_path / "RTE").mkdir()
    (tmp_path / "RTE" / "dev.tsv").write_text(
        "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n1\tC.\tD.\tnot_entailment\n"
    )
    (tmp_path / "MNLI").mkdir()
    for name in ("matched", "mismatched"):
        row = "a\tb\tneutral\n"
        (tmp_path / "MNLI" / f"dev_{name}.tsv").write_text(
            f"sentence1\tsentence2\tgold_label\n{row}{row}"
        )

    def run(task: str, content: str | bytes, *arguments: str) -> Said:
        file = tmp_path / "predictions"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        where = ("--predictions", str(file), "--data", str(tmp_path))
        return cli("score", task, *where, *arguments)

    return run


def values(result: Said) -> dict[str, Any]:
    assert result.code == 0, result.err
    found: dict[str, Any] = json.loads(result.out)
    return found


class TestFormats:
    def test_squad_is_json_of_id_and_answer(self, score: Score) -> None:
        result = score("squad", json.dumps({"q1": "the Red cat", "q2": "runs"}), "--format", "json")
        assert values(result)["scores"]["validation"] == {"exact_match": 0.5, "f1": 0.5}

    def test_e2e_is_tsv_in_any_order_quoted_or_not_with_a_byte_order_mark(
        self, score: Score
    ) -> None:
        swapped = "eatType[pub], name[Blue Spice]"
        lines = [f"{OTHER}\tClowns is by the river.", f'"{swapped}"\t"Blue Spice is a pub."']
        content = "\ufeffMR\toutput\r\n" + "\r\n".join(lines) + "\r\n"
        found = values(score("e2e", content, "--format", "json"))
        assert found["scores"]["validation"]["bleu"] == pytest.approx(1)
        assert found["scores"]["validation"]["slot_error_rate"] == 0
        assert found["missing"] == found["unknown"] == []

    @pytest.mark.parametrize("content", ["index\tprediction\n1\t1\n0\tentailment\n", "0\t0\n1\t1"])
    def test_glue_is_tsv_of_id_and_class(self, score: Score, content: str) -> None:
        assert values(score("rte", content, "--format", "json"))["headline"] == 1

    def test_a_split_of_several_is_named_by_the_option_or_by_the_id(self, score: Score) -> None:
        both = "".join(
            f"validation_{n}-{i}\t1\n" for n in ("matched", "mismatched") for i in (0, 1)
        )
        assert values(score("mnli", both, "--format", "json"))["headline"] == 1
        one = ("mnli", "0\tneutral\n1\tcontradiction\n")
        assert values(score(*one, "--split", "dev_matched", "--format", "json"))["headline"] == 0.5
        result = score(*one)
        assert result.code == 2
        assert "which split is 0 of? write one of validation_matched-0" in result.err


class TestGaps:
    def test_missing_and_unknown_predictions_are_told(self, score: Score) -> None:
        result = score("squad", json.dumps({"q1": "red cat", "q9": "x"}))
        assert result.code == 0
        assert "exact_match  50.0000" in result.out
        assert "1 without a prediction, counted as wrong: q2" in result.out
        assert "1 predicted that are no examples, ignored: q9" in result.out

    def test_a_missing_text_is_scored(self, score: Score) -> None:
        found = values(score("e2e", f"{MR}\tBlue Spice is a pub.\n", "--format", "json"))
        assert found["missing"] == ["area[riverside], name[Clowns]"]
        assert found["scores"]["validation"]["slots_missing"] == 0.5

    def test_a_file_that_predicts_nothing_is_a_mistake(self, score: Score) -> None:
        result = score("squad", json.dumps({"q9": "x"}))
        assert result.code == 2
        assert "predicts nothing of the dev set of SQuAD 1.1" in result.err

    def test_what_needs_java_is_marked_as_absent(self, score: Score) -> None:
        result = score("e2e", f"{MR}\tBlue Spice is a pub.\n")
        assert result.code == 0
        for metric in ("meteor", "rouge_l", "cider"):
            assert f"{metric}" in result.out
        assert result.out.count("absent: needs Java") == 3


class TestIds:
    @pytest.mark.parametrize("content", ["1\t0\n2\t1\n", "idx\tprediction\n2\t1\n1\t0\n"])
    def test_numbered_from_one_are_refused(self, score: Score, content: str) -> None:
        result = score("rte", content)
        assert result.code == 2
        assert "the ids are numbered from 1 to 2, and examples from 0: subtract 1" in result.err

    @pytest.mark.parametrize(
        ("task", "content", "message"),
        [
            ("rte", "0\t0\n7\t1\n8\t1\n", "2 of 3 predictions are for no example of the dev set"),
            ("squad", '{"q1": "x", "a": "", "b": ""}', "of SQuAD 1.1 ('a', 'b'); its examples are"),
            ("rte", "a\t0\nb\t0\n0\t1\n", "is this the right task and split?"),
        ],
    )
    def test_that_mostly_do_not_match_are_refused(
        self, score: Score, task: str, content: str, message: str
    ) -> None:
        result = score(task, content)
        assert result.code == 2
        assert message in result.err

    @pytest.mark.parametrize("arguments", [(), ("--format", "json")])
    def test_that_do_not_match_are_counted_in_a_warning(
        self, score: Score, arguments: tuple[str, ...]
    ) -> None:
        result = score("squad", json.dumps({"q1": "red cat", "q9": "x"}), *arguments)
        assert result.code == 0
        assert "warning: 1 of 2 predictions are for no example" in result.err
        assert "warning: 1 of 2 examples have no prediction and count as wrong" in result.err


class TestOtherPrograms:
    """Files as other programs write them."""

    @pytest.mark.parametrize(
        "header", ["idx\tlabel", "idx\tprediction", "guid\tx", "Id\tPrediction"]
    )
    def test_a_header_is_skipped(self, score: Score, header: str) -> None:
        found = values(score("rte", f"{header}\n0\t0\n1\t1\n", "--format", "json"))
        assert (found["headline"], found["unknown"]) == (1, [])

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_quotes_and_encodings_work(self, score: Score, encoding: str, end: str) -> None:
        lines = ['"index"\t"prediction"', '"0"\t"entailment"', '"1"\t"not_entailment"', ""]
        content = end.join(lines).encode(encoding)
        assert values(score("rte", content, "--format", "json"))["headline"] == 1

    @pytest.mark.parametrize(
        ("task", "content", "message"),
        [
            ("rte", "0,0\n1,1\n", "no line contains a tab: write an id, a tab and a prediction"),
            ("rte", "index prediction\n0 1\n", "no line contains a tab"),
            ("e2e", f"{MR}  A pub.\n", "no line contains a tab"),
            ("rte", "0\t0\n".encode("utf-16-le"), "is it UTF-16? Save the predictions as UTF-8"),
            ("squad", '{"q1": "x"}'.encode("utf-16"), "in UTF-16: save it as UTF-8"),
        ],
    )
    def test_a_message_names_the_cause(
        self, score: Score, task: str, content: str | bytes, message: str
    ) -> None:
        result = score(task, content)
        assert result.code == 2
        assert message in result.err


class TestMistakes:
    @pytest.mark.parametrize(
        ("task", "content", "message"),
        [
            ("squad", '{"q1": "x",\n "q2": }', "predictions:2: not JSON"),
            ("squad", '["q1"]', "should be a JSON object of id and text"),
            ("squad", '{"q1": 7}', "the prediction for 'q1' should be a text, not 7"),
            ("squad", b'{"q1": "\xff"}', "predictions:1: not UTF-8"),
            ("e2e", f"{MR}\tx\nname(Clowns)\ty\n", "predictions:2: no meaning representation"),
            ("e2e", f"{MR}\tx\ty\n", "predictions:1: 3 values where 2 are expected"),
            ("e2e", f"{MR}\tx\n{MR}\ty\n", "predictions:2: 'name[Blue Spice], eatType[pub]' is"),
            ("rte", "0\t0\n1\tperhaps\n", "predictions:2: the prediction 'perhaps' is not one of"),
        ],
    )
    def test_a_malformed_file_is_named_with_its_line(
        self, score: Score, task: str, content: str | bytes, message: str
    ) -> None:
        result = score(task, content)
        assert result.code == 2
        assert message in result.err

    def test_an_unknown_split_is_told_the_known_ones(self, score: Score) -> None:
        result = score("e2e", f"{MR}\tx\n", "--split", "tset")
        assert result.code == 2
        assert "unknown split of E2E NLG 'tset'; did you mean 'test'?" in result.err

    def test_the_test_set_of_glue_is_not_public(self, score: Score) -> None:
        result = score("rte", "0\t0\n", "--split", "test")
        assert result.code == 2
        assert "the labels of the test set are not public" in result.err

    def test_data_that_is_not_there_is_named(self, score: Score) -> None:
        result = score("squad2", json.dumps({"q1": "x"}))
        assert result.code == 2
        assert "dev-v2.0.json: put the official file there" in result.err


@pytest.mark.parametrize("name", ["RTE", "rte", "Rte"])
@pytest.mark.parametrize("split", ["dev", "validation", "val"])
def test_a_task_and_a_split_may_be_written_as_elsewhere(
    score: Score, name: str, split: str
) -> None:
    content = "index\tprediction\n0\tentailment\n1\tentailment\n"
    said = score(name, content, "--split", split, "--format", "json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["task"], found["split"], found["headline"]) == ("rte", "dev", 0.5)


def test_the_name_of_glue_with_a_hyphen(score: Score) -> None:
    assert "SST-2/dev.tsv" in score("SST-2", "index\tprediction\n0\t1\n").err


def test_a_split_that_does_not_exist_is_named(score: Score) -> None:
    said = score("RTE", "index\tprediction\n0\tentailment\n", "--split", "train")
    assert (said.code, "unknown split of RTE 'train'; known: dev" in said.err) == (2, True)
