"""BLEU, NIST, METEOR, ROUGE-L and CIDEr, each against a computation of its own."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import corpus_bleu
from nltk.translate.nist_score import corpus_nist

from sparsebench.errors import UserError
from sparsebench.metrics import captions, compute
from sparsebench.metrics.ngrams import nist

if TYPE_CHECKING:
    from collections.abc import Sequence

needs_java = pytest.mark.skipif(captions.absence() is not None, reason=str(captions.absence()))

WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat"]), min_size=5, max_size=9)
CASES = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4)
CORPUS = [
    ("the cat sat on the mat", ["the cat is on the mat", "a cat sat on a mat"]),
    ("there is a red dog", ["there is a red dog today", "a red dog is there"]),
    ("birds sing loudly", ["the birds sing", "birds are singing loudly"]),
]
ANSWERS = [answer for answer, _ in CORPUS]
REFERENCES = [texts for _, texts in CORPUS]
EVERY = ("bleu", "nist", *(pytest.param(m, marks=needs_java) for m in ("rouge_l", "cider")))


def split(texts: Sequence[str]) -> list[list[str]]:
    return [text.split() for text in texts]


class TestBleu:
    def test_agrees_with_nltk(self) -> None:
        long = [f"{a} and then it went away" for a in ANSWERS]
        golds = [[f"{t} and then it went home" for t in texts] for texts in REFERENCES]
        expected = corpus_bleu([split(texts) for texts in golds], split(long))
        assert compute("bleu", long, golds) == {"bleu": pytest.approx(expected)}

    def test_by_hand(self) -> None:
        # 1-grams 4 of 5, 2-grams 3 of 4, 3-grams 2 of 3, 4-grams 1 of 2; one word too short.
        value = compute("bleu", ["a b c d x"], [["a b c d e f"]])["bleu"]
        precision = (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
        assert value == pytest.approx(precision * math.exp(1 - 6 / 5))

    def test_case_does_not_count_and_punctuation_is_split_off(self) -> None:
        assert compute("bleu", ["The Cat, it sat ."], [["the cat , it sat."]])["bleu"] == (
            pytest.approx(1)
        )

    def test_examples_may_have_different_numbers_of_references(self) -> None:
        value = compute("bleu", ["a b c d", "e f g h"], [["x", "a b c d"], ["e f g h"]])["bleu"]
        assert value == pytest.approx(1)


class TestNist:
    @settings(max_examples=50)
    @given(CASES)
    def test_agrees_with_nltk_where_there_is_one_reference(
        self, cases: list[tuple[list[str], list[str]]]
    ) -> None:
        answers, golds = map(list, zip(*cases, strict=True))
        expected = corpus_nist([[gold] for gold in golds], answers)
        assert nist(answers, [[gold] for gold in golds]) == pytest.approx(expected)

    def test_by_hand(self) -> None:
        # Of 4 words in all references "a" is 2: 1 bit; "b" is 1: 2 bits; "a b" after "a": 1 bit.
        value = nist([["a", "b"]], [[["a", "b"], ["a", "c"]]])
        assert value == pytest.approx((1 + 2) / 2 + 1 / 1)

    def test_short_answers_are_halved_at_two_thirds(self) -> None:
        whole = nist([["a", "b", "c"]], [[["a", "b", "c"]]])
        info = math.log2(3)
        assert whole == pytest.approx(info)
        assert nist([["a", "b"]], [[["a", "b", "c"]]]) == pytest.approx(info / 2)

    def test_the_expected_length_is_all_words_over_the_mean_number_of_references(self) -> None:
        # 9 words, 3 references of 2 examples: 9 / 1.5 = 6 words are expected, 5 are given. By the
        # mean of each example it would be 2 + 5 = 7.
        golds = [[["a", "b"], ["a", "b"]], [["c", "d", "e", "f", "g"]]]
        answers = [["a", "b"], ["c", "d", "e"]]
        counts = Counter(word for group in golds for text in group for word in text)
        info = sum(math.log2(9 / counts[word]) for answer in answers for word in answer) / 5
        beta = math.log(0.5) / math.log(1.5) ** 2
        assert nist(answers, golds) == pytest.approx(info * math.exp(beta * math.log(5 / 6) ** 2))

    def test_nothing_scores_nothing(self) -> None:
        assert compute("nist", ["", None], [["a b"], ["c"]]) == {"nist": 0}


def rouge_by_definition(answer: list[str], golds: list[list[str]]) -> float:
    def common(a: list[str], b: list[str]) -> int:
        if not a or not b:
            return 0
        if a[-1] == b[-1]:
            return common(a[:-1], b[:-1]) + 1
        return max(common(a[:-1], b), common(a, b[:-1]))

    precision = max(common(answer, gold) / len(answer) for gold in golds)
    recall = max(common(answer, gold) / len(gold) for gold in golds)
    if not precision or not recall:
        return 0.0
    return (1 + 1.44) * precision * recall / (recall + 1.44 * precision)


def cider_by_definition(answers: list[list[str]], golds: list[list[list[str]]]) -> float:
    def grams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    def weights(words: list[str], n: int) -> dict[tuple[str, ...], float]:
        seen = {
            g: sum(any(g in grams(t, n) for t in texts) for texts in golds) for g in grams(words, n)
        }
        return {g: c * math.log(len(golds) / max(seen[g], 1)) for g, c in grams(words, n).items()}

    def norm(vector: dict[tuple[str, ...], float]) -> float:
        return math.sqrt(sum(value**2 for value in vector.values()))

    def like(answer: list[str], gold: list[str], n: int) -> float:
        a, b = weights(answer, n), weights(gold, n)
        if not norm(a) or not norm(b):
            return 0.0
        product = sum(min(a[g], b[g]) * b[g] for g in a.keys() & b.keys())
        penalty = math.exp(-((len(answer) - len(gold)) ** 2) / (2 * 6**2))
        return product / (norm(a) * norm(b)) * penalty

    each = [
        sum(like(answer, gold, n) for n in range(1, 5) for gold in texts) / 4 / len(texts)
        for answer, texts in zip(answers, golds, strict=True)
    ]
    return 10 * sum(each) / len(each)


@needs_java
class TestWithJava:
    def test_rouge_l_is_as_defined(self) -> None:
        pairs = zip(split(ANSWERS), map(split, REFERENCES), strict=True)
        expected = sum(rouge_by_definition(a, g) for a, g in pairs) / len(ANSWERS)
        assert compute("rouge_l", ANSWERS, REFERENCES) == {"rouge_l": pytest.approx(expected)}

    def test_cider_is_as_defined(self) -> None:
        expected = cider_by_definition(split(ANSWERS), [split(texts) for texts in REFERENCES])
        assert compute("cider", ANSWERS, REFERENCES) == {"cider": pytest.approx(expected)}

    def test_meteor_takes_synonyms_and_stems_and_is_one_for_the_same(self) -> None:
        golds = ["the large dogs run", "green ideas sleep"]
        texts = {"same": golds[0], "alike": "the big dog runs", "other": "one thin cat walks"}
        values = {
            k: compute("meteor", [t, golds[1]], [[g] for g in golds]) for k, t in texts.items()
        }
        same, alike, other = (values[k]["meteor"] for k in texts)
        assert same == pytest.approx(1)
        assert 0.7 < alike < same
        assert other < alike

    def test_the_tokenizer_lowers_case_and_drops_punctuation(self) -> None:
        texts = ("The Mill (cheap) isn't in Café Rouge; £20-25!", "", "kid-friendly, yes.")
        assert captions.tokenise(texts) == (
            "the mill -lrb- cheap -rrb- is n't in café rouge # 20-25",
            "",
            "kid-friendly yes",
        )


class TestEverything:
    @pytest.mark.parametrize("name", EVERY)
    def test_a_missing_text_is_scored_as_an_empty_one(self, name: str) -> None:
        some = compute(name, [ANSWERS[0], None, ANSWERS[2]], REFERENCES)[name]
        assert some == compute(name, [ANSWERS[0], "", ANSWERS[2]], REFERENCES)[name]
        assert 0 < some < compute(name, ANSWERS, REFERENCES)[name]

    @pytest.mark.parametrize("name", EVERY)
    def test_a_reference_against_itself_is_the_best_there_is(self, name: str) -> None:
        texts = [texts[0] for texts in REFERENCES]
        own = compute(name, texts, [[text] for text in texts])[name]
        assert own > compute(name, ANSWERS, [[text] for text in texts])[name]
        if name in ("bleu", "rouge_l"):
            assert own == pytest.approx(1)


def test_without_java_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    reason = captions.absence()
    assert reason is not None
    captions.tokenise.cache_clear()
    with pytest.raises(UserError, match="METEOR, ROUGE-L and CIDEr: needs"):
        compute("meteor", ["a"], [["a"]])


def test_predictions_that_look_tokenised_give_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    texts = ["a pub by the river ."] * 120
    assert compute("bleu", texts, [[text] for text in texts])["bleu"] == pytest.approx(1)
    assert not caplog.records
