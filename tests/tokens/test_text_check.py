"""What no tokenizer takes is named by its row, whoever tokenises it."""

import pytest

from tenor.errors import DataError
from tenor.tokens.static_tokenizer import StaticTokenizer
from tenor.tokens.text_check import check_pairs, check_texts
from tenor.tokens.word_tokens import WordTokenizer
from tenor.tokens.words import word_tokenizer

HALF = "a flag \ud83c and more"
FINE = ["", "the cat", "größer, 北京, \U0001f1e9\U0001f1ea", "a\x00b"]


def test_texts_of_any_script_pass():
    check_texts(FINE)
    check_pairs([(text, text) for text in FINE])


@pytest.mark.parametrize("value", [None, 3, float("nan"), b"the cat", ["the", "cat"]])
def test_what_is_no_string_is_named_with_its_row_and_column(value):
    with pytest.raises(DataError, match=r"^row 14, column 'title': .* is not a text") as found:
        check_texts(["a", "b", "c", value], before=10, column="title")
    assert (found.value.line, found.value.column) == (14, "title")


def test_half_a_surrogate_pair_is_named_and_the_way_out_works():
    with pytest.raises(DataError, match=r"^row 2: .*U\+D83C at character 8") as found:
        check_texts(["the cat", HALF])
    str(found.value).encode()  # a terminal can show it
    check_texts([HALF.encode(errors="replace").decode()])


def test_a_long_value_does_not_fill_the_screen():
    with pytest.raises(DataError) as found:
        check_texts([["word"] * 10_000])
    assert len(str(found.value)) < 200


@pytest.mark.parametrize("pair", [("a", HALF), (HALF, "a"), ("a", 2), "ab"])
def test_a_pair_is_two_texts(pair):
    with pytest.raises(DataError, match=r"^row 7: "):
        check_pairs([("a", "b"), pair], before=5)


@pytest.mark.parametrize("wrong", [HALF, None])
def test_every_tokenizer_says_which_row_it_cannot_read(tokenizer, wrong):
    texts = ["the cat"] * 5_000 + [wrong]
    static = StaticTokenizer(word_tokenizer(["the", "cat"]))
    words = WordTokenizer(tokenizer)
    for call in (
        lambda: tokenizer(texts),
        lambda: tokenizer.pairs(["a"] * len(texts), texts),
        lambda: static(iter(texts)),
        lambda: words(texts, [None] * len(texts)),
    ):
        with pytest.raises(DataError, match=r"^row 5001\b"):
            call()
