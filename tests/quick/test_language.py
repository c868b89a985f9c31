"""The toy language: its lexicon, its grammar, and rewording."""

from __future__ import annotations

import pytest

from sparsebench.quick import lexicon
from sparsebench.quick.documents import documents
from sparsebench.quick.language import acceptable, draw_clause, fillers, implied, put, reword
from sparsebench.quick.lexicon import Relation, relation, vocabulary
from sparsebench.quick.rng import Random


def test_no_form_has_two_readings() -> None:
    words = (*lexicon.kinds(), *lexicon.nouns(), *lexicon.adjectives(), *lexicon.verbs())
    forms = [form for word in words for form in {word.singular, word.plural}]
    assert len(forms) == len(set(forms))


def test_relations_are_what_they_say() -> None:
    words = {w.singular: w for w in (*lexicon.kinds(), *lexicon.nouns(), *lexicon.adjectives())}
    pairs = {
        ("robin", "robin"): Relation.SAME,
        ("robin", "bird"): Relation.HYPERNYM,
        ("bird", "robin"): Relation.HYPONYM,
        ("robin", "crow"): Relation.SIBLING,
        ("robin", "wasp"): Relation.UNRELATED,
        ("happy", "glad"): Relation.SYNONYM,
        ("happy", "sad"): Relation.ANTONYM,
    }
    for (first, second), expected in pairs.items():
        assert relation(words[first], words[second]) is expected


@pytest.mark.parametrize(
    ("sentence", "good"),
    [
        ("the robin rises .", True),
        ("the robins rise .", True),
        ("the robins near the tower rise today .", True),
        ("the robin rise .", False),
        ("these robin rises .", False),
        ("the happy robin likes some carts .", True),
        ("the robin happy likes some carts .", False),
        ("the robins is happy .", False),
        ("robin the rises .", False),
        ("the robin rises", False),
    ],
)
def test_what_is_acceptable(sentence: str, *, good: bool) -> None:
    assert acceptable(sentence.split()) is good


def test_what_is_drawn_is_acceptable() -> None:
    rng = Random("test")
    assert all(acceptable(draw_clause(rng).words()) for _ in range(500))


def test_a_clause_is_implied_by_what_it_rewords() -> None:
    rng = Random("test")
    changed = 0
    for _ in range(200):
        first = draw_clause(rng)
        second = reword(rng, first, probability=0.5)
        for slot, word in fillers(first).items():
            other = fillers(second)[slot]
            assert other == word or other in implied(word)
            changed += other != word
    assert changed > 100


def test_only_the_named_slot_is_changed() -> None:
    clause = draw_clause(Random("test"))
    (other, *_) = [noun for noun in lexicon.nouns() if noun != clause.subject.noun]
    assert fillers(put(clause, "subject", other)) == {**fillers(clause), "subject": other}


def test_draws_are_the_same_everywhere() -> None:
    """A change of these values changes every example of the quick suite."""
    rng = Random("seed")
    assert [rng.below(100) for _ in range(5)] == [65, 17, 13, 73, 15]


def test_a_sample_has_no_item_twice() -> None:
    rng = Random("test")
    assert sorted(rng.sample("abcde", count=9)) == list("abcde")
    drawn = [rng.weighted({"a": 0.9, "b": 0.1}) for _ in range(1000)]
    assert 850 < drawn.count("a") < 950


def test_documents_use_known_words_and_avoid_what_is_barred() -> None:
    stream = documents(1)
    first = [next(stream) for _ in range(300)]
    words = {word for document in first for text in document for word in text.split()}
    assert words <= set(vocabulary())
    barred = first[0][0]
    stream = documents(1, without={barred})
    assert all(barred not in next(stream) for _ in range(300))
