import numpy as np
import pytest

from tenor.data.spans import count_words, crop, cut_words, passages, word_spans


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the cat's tail, it is 3.5 cm", 7),
        ("--- | | ==== ___", 0),
        ("(well) -- 'so'", 2),
        ("猫が好きです。", 6),
        ("Python 3は良い", 5),
        ("हिन्दी में लिखो", 3),
        ("Ｔｅｎｏｒ，１００", 2),
        ("", 0),
    ],
)
def test_words_are_counted_in_any_script(text, words):
    assert count_words(text) == len(word_spans(text)) == words


def test_marks_without_end_are_counted_in_linear_time():
    assert count_words("=" * 200_000) == 0


def test_a_cut_text_keeps_its_first_words_as_they_were():
    assert cut_words("One,  two\tthree four.", 3) == "One,  two\tthree"
    assert cut_words("One, two.", 2) == "One, two."
    assert cut_words("猫が好き", 2) == "猫が"


def test_passages_hold_whole_sentences_within_the_budget():
    sentences = ["a b c", "d e", "f", "g h i j k l m n", "o", "p q"]
    found = passages(sentences, 5)
    assert [number for part in found for number in part] == list(range(6))
    for part in found:
        words = sum(count_words(sentences[n]) for n in part)
        assert words <= 5 or len(part) == 1
    assert found[0] == range(2)
    assert passages([], 5) == []


def test_crops_are_spans_of_the_text_of_the_asked_length():
    words = [f"w{n}" for n in range(60)]
    text = " ".join(words)
    lengths, starts = set(), set()
    for seed in range(200):
        span = crop(text, np.random.default_rng(seed), least=5)
        assert span in text
        lengths.add(len(span.split()))
        starts.add(words.index(span.split()[0]))
    assert (min(lengths), max(lengths)) == (6, 30)
    assert min(starts) == 0
    assert max(starts) > 45
    assert crop("only seven words are in this text", np.random.default_rng(0), least=5) is None
