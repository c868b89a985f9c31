"""E2E: meanings, slots, what is trained on, both sources, and malformed files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import datasets
import pytest

from sparsebench.errors import UserError
from sparsebench.metrics import captions
from sparsebench.models import Family, Form
from sparsebench.tasks import DataSource, MissingDataError, NotApplicableError
from sparsebench.tasks.e2e import E2E, FILES
from sparsebench.tasks.slots import key_of, linearise, parse, slot_error_rates, slot_errors
from sparsebench.tasks.texts import IGNORED, grouped

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

MR = "name[The cat], area[riverside]"
ROWS = [
    (MR, "The cat is by the river."),
    ("name[a dog], eatType[pub]", "a dog is a pub"),
    (MR, 'By the river: "The cat",\nno less.'),
]


def write(folder: Path) -> Path:
    def quoted(value: str) -> str:
        return '"' + value.replace('"', '""') + '"'

    lines = [f"{quoted(mr)},{quoted(text)}\n" for mr, text in ROWS]
    for name in FILES.values():
        (folder / name).write_text("\ufeffmr,ref\n" + "".join(lines), encoding="utf-8")
    return folder


class TestMeanings:
    def test_are_parsed_and_linearised(self) -> None:
        mr = "name[Café Rouge], customer rating[3 out of 5], priceRange[£20-25]"
        assert parse(mr)[1] == ("customer rating", "3 out of 5")
        expected = "name : Café Rouge | customer rating : 3 out of 5 | priceRange : £20-25"
        assert linearise(parse(mr)) == E2E.prompt(mr) == expected

    def test_are_the_same_in_any_order(self) -> None:
        assert key_of(MR) == key_of("area[riverside],name[The cat]") != key_of("name[The cat]")

    @pytest.mark.parametrize("mr", ["", "name", "name[x", "nmae[x]", "name[x] area[y]", "name[x]]"])
    def test_malformed_ones_are_refused(self, mr: str) -> None:
        with pytest.raises(ValueError, match="slot"):
            parse(mr)


class TestSlots:
    @pytest.mark.parametrize(
        ("text", "missing", "wrong", "added"),
        [
            ("Aromi is a cheap Chinese pub near Café Sicilia.", 0, 0, 0),
            ("Near Cafe Sicilia is the inexpensive pub Aromi. Its food is Chinese.", 0, 0, 0),
            ("Aromi is a pub near Café Sicilia.", 2, 0, 0),
            ("Aromi is an expensive Italian pub near Café Sicilia.", 0, 2, 0),
            ("Aromi is a cheap Chinese pub by the river near Café Sicilia.", 0, 0, 1),
            ("Aromi is a cheap kid-friendly Chinese pub near Café Sicilia.", 0, 0, 1),
            ("", 5, 0, 0),
        ],
    )
    def test_are_counted_by_hand(self, text: str, missing: int, wrong: int, added: int) -> None:
        mr = "name[Aromi], eatType[pub], food[Chinese], priceRange[cheap], near[Café Sicilia]"
        counts = slot_errors(mr, text)
        assert (counts["missing"], counts["wrong"], counts["added"]) == (missing, wrong, added)
        assert counts["slots"] == 5

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("yes", "It is family friendly."),
            ("yes", "Children are welcome."),
            ("no", "It is not family-friendly."),
            ("no", "This is an adults only place."),
            ("no", "It isn't suitable for kids."),
        ],
    )
    def test_a_denial_is_no_assertion(self, value: str, text: str) -> None:
        assert slot_errors(f"familyFriendly[{value}]", text) == {"slots": 1}
        other = {"yes": "no", "no": "yes"}[value]
        assert slot_errors(f"familyFriendly[{other}]", text)["wrong"] == 1

    def test_names_say_nothing_else(self) -> None:
        assert slot_errors("name[x], near[Burger King]", "x is near Burger King.") == {"slots": 2}
        assert slot_errors("near[Raja Indian Cuisine]", "near Raja Indian Cuisine") == {"slots": 1}

    def test_rates_are_over_all_slots(self) -> None:
        rates = slot_error_rates(["name[a]", "name[b], area[riverside]"], ["a", "b, downtown"])
        assert rates["slot_error_rate"] == rates["slots_wrong"] == pytest.approx(1 / 3)


class TestFeatures:
    def encode(self, method: str, tokenizer: Any, form: Form, max_length: int = 200) -> Any:
        rows = datasets.Dataset.from_dict(
            {"id": ["0"], "mr": [MR], "references": [["the cat barks"]]}
        )
        return getattr(E2E, method)(rows, tokenizer=tokenizer, form=form, max_length=max_length)[0]

    def test_a_language_model_learns_the_text_alone(
        self, gpt2_tokenizer: PreTrainedTokenizerFast
    ) -> None:
        row = self.encode("encode", gpt2_tokenizer, Form.LANGUAGE_MODEL)
        end = gpt2_tokenizer.eos_token
        text = gpt2_tokenizer.decode(row["input_ids"])
        assert text == f"{E2E.prompt(MR)}{end} the cat barks{end}"
        learnt = [token for token in row["labels"] if token != IGNORED]
        assert gpt2_tokenizer.decode(learnt) == f" the cat barks{end}"
        assert row["labels"][-len(learnt) :] == row["input_ids"][-len(learnt) :]

    def test_it_continues_what_it_was_trained_to_continue(
        self, gpt2_tokenizer: PreTrainedTokenizerFast
    ) -> None:
        trained = self.encode("encode", gpt2_tokenizer, Form.LANGUAGE_MODEL)
        asked = self.encode("encode_inputs", gpt2_tokenizer, Form.LANGUAGE_MODEL)["input_ids"]
        assert trained["input_ids"][: len(asked)] == asked
        assert trained["labels"][: len(asked)] == [IGNORED] * len(asked)
        assert trained["labels"][len(asked)] != IGNORED

    def test_text_to_text_begins_with_the_name(self, t5_tokenizer: PreTrainedTokenizerFast) -> None:
        row = self.encode("encode", t5_tokenizer, Form.TEXT_TO_TEXT)
        assert (
            t5_tokenizer("e2e ")["input_ids"][:-1]
            == row["input_ids"][: len(t5_tokenizer("e2e ")["input_ids"]) - 1]
        )
        assert t5_tokenizer.decode(row["labels"]) == "the cat barks</s>"


class TestData:
    def test_both_sources_give_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        split = datasets.Dataset.from_list(
            [{"meaning_representation": mr, "human_reference": text} for mr, text in ROWS]
        )
        remote = datasets.DatasetDict(dict.fromkeys(FILES, split))
        monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: remote)
        files = E2E.load(DataSource(write(tmp_path)))
        assert files.fingerprint == E2E.load(DataSource()).fingerprint
        assert len(files.train) == 3
        assert [len(r) for r in files.evaluation["test"]["references"]] == [2, 1]
        assert files.train[2]["references"] == ['By the river: "The cat", no less.']

    def test_what_is_held_out_is_grouped_and_has_meanings_of_its_own(self) -> None:
        rows = datasets.Dataset.from_dict(
            {
                "id": [str(n) for n in range(30)],
                "mr": [f"m{n % 10}" for n in range(30)],
                "references": [[f"t{n}"] for n in range(30)],
            }
        )
        kept, held = E2E.hold_out(rows, share=0.2, seed=0)
        assert len(kept) == 24
        assert [len(texts) for texts in held["references"]] == [3, 3]
        assert not set(kept["mr"]) & set(held["mr"])
        assert grouped(rows)["mr"][:] == [f"m{n}" for n in range(10)]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("mr,text\n", ":1: the columns should be mr and ref, not ['mr', 'text']"),
            (f'mr,ref\n"{MR}","a\nb"\n"{MR}",a,b\n', ":4: 3 values where 2 are expected"),
            (f'mr,ref\n"{MR}",a\nname,a\n', ":3: no meaning representation"),
            (f'mr,ref\n"{MR}",\n', ":2: the text is empty"),
            (f'mr,ref\n"{MR}",a\n"{MR},a\n', ":3: not CSV"),
            ("mr,ref\n", "its validation set is empty"),
        ],
    )
    def test_a_malformed_line_is_named(self, tmp_path: Path, content: str, message: str) -> None:
        (tmp_path / "devset.csv").write_text(content)
        with pytest.raises(UserError) as raised:
            E2E.load_split(DataSource(tmp_path), "dev")
        assert message in str(raised.value)

    def test_absent_files_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(MissingDataError, match=r"trainset\.csv: put the official file there"):
            E2E.load(DataSource(tmp_path))


def test_bert_cannot_write() -> None:
    message = "E2E NLG requires language-model or text-to-text, which bert does not support"
    with pytest.raises(NotApplicableError, match=message):
        E2E.form_for(Family.BERT)
    assert E2E.form_for(Family.GPT2) is Form.LANGUAGE_MODEL
    assert E2E.form_for(Family.T5) is Form.TEXT_TO_TEXT


def test_without_java_three_metrics_are_absent_and_the_rest_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(captions, "absence", lambda: "needs Java")
    assert E2E.missing_metrics() == dict.fromkeys(("meteor", "rouge_l", "cider"), "needs Java")
    references: Any = [{"mr": "name[a]", "texts": ["a is here ."]}]
    scores = E2E.score(["a is here ."], references)
    assert scores["bleu"] == pytest.approx(1)
    assert set(scores) == {
        "bleu",
        "nist",
        "slot_error_rate",
        "slots_missing",
        "slots_wrong",
        "slots_added",
    }
    assert E2E.headline({"validation": {"bleu": 0.1}, "test": {"bleu": 0.2}}) == 0.2


@pytest.mark.real
def test_meanings_of_the_real_sets_are_all_different_and_parse(data_folder: Path) -> None:
    for split, count in (("dev", 547), ("test", 630)):
        (rows,) = E2E.load_split(DataSource(data_folder), split).values()
        assert len(rows) == len(set(E2E.prediction_keys(rows))) == count
