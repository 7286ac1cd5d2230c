"""Word tokenizers: what is a word, what is a phrase, what is counted."""

import numpy as np
import pytest
from tokenizers import Tokenizer

from tenor.tokens.static_tokenizer import NO_LIMIT, StaticTokenizer
from tenor.tokens.words import PhraseCounts, count_words, document_frequencies, word_tokenizer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The HEART-attack, isn't it?", ["the", "heart", "attack", "isn't", "it"]),
        ("isn’t it", ["isn't", "it"]),
        ("  naïve\u00a0café\n№5 ", ["naïve", "café", "no5"]),
        ("Большой ДОМ", ["большой", "дом"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("covid19 'quoted' x_y", ["covid19", "quoted", "x", "y"]),
        ("... !", []),
    ],
)
def test_words_of_any_script(text, words):
    tokenizer = word_tokenizer(words)
    assert tokenizer.encode(text).tokens == words


def test_case_can_matter():
    tokenizer = word_tokenizer(["US", "us"], lower_case=False)
    assert tokenizer.encode("US us Us").tokens == ["US", "us", "[UNK]"]


def test_words_are_counted_commonest_first_and_ties_by_the_alphabet():
    texts = ["b a c", "C b B", "rare"]
    assert count_words(texts, min_count=2) == ["b", "c"]
    assert count_words(iter(texts), min_count=1) == ["b", "c", "a", "rare"]
    assert count_words(texts, min_count=1, most=2) == ["b", "c"]


def test_phrases_match_whole_words_the_longest_first_and_survive_a_file(tmp_path):
    words = ["new", "york", "times", "yorker"]
    tokenizer = word_tokenizer(words, ["new york", "new york times"])
    path = str(tmp_path / "tokenizer.json")
    tokenizer.save(path)
    for one in (tokenizer, Tokenizer.from_file(path)):
        read = [one.encode(t).tokens for t in ("NEW  York", "new york times", "new yorker")]
        assert read == [["new york"], ["new york times"], ["new", "yorker"]]
        assert one.encode("new, york").tokens == ["new", "york"]


def test_phrases_are_words_that_stand_together_more_than_chance():
    together = ["heart attack"] * 20 + ["the heart", "the attack", "the the the"] * 10
    apart = ["heart, attack"] * 20 + ["the heart", "the attack", "the the the"] * 10
    for texts, expected in ((together, ["heart attack"]), (apart, [])):
        counts = PhraseCounts(word_tokenizer(count_words(texts, min_count=1)))
        for first in range(0, len(texts), 7):
            counts.add(texts[first : first + 7])
        assert counts.phrases(min_count=5, threshold=1.5) == expected


def test_phrases_grow():
    texts = ["new york times"] * 20 + ["new york", "other words here"] * 20
    words = count_words(texts, min_count=1)
    tokenizer = word_tokenizer(words, ["new york"])
    counts = PhraseCounts(tokenizer)
    counts.add(texts)
    assert "new york times" in counts.phrases(min_count=5, threshold=1.5)


def test_document_frequencies_count_texts():
    ids = StaticTokenizer(word_tokenizer(["a", "b"]))(["a a b", "", "b"])
    assert document_frequencies(ids.ids, ids.offsets, 3).tolist() == [0, 1, 2]


def test_a_static_tokenizer_has_no_limit_unless_it_is_given_one():
    words = word_tokenizer(["a", "b"])
    tokenizer = StaticTokenizer(words)
    assert tokenizer.max_length == NO_LIMIT
    assert tokenizer(["a " * 3000]).lengths.tolist() == [3000]
    limited = StaticTokenizer(words, 2)
    ids = limited(iter(["a b", "a b a"]))
    assert ids.lengths.tolist() == [2, 2]
    np.testing.assert_array_equal(ids.cut, [False, True])
    assert len(limited([])) == 0
