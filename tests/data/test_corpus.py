"""Raw text: each distinct text once, and held-out texts that are not trained on."""

import pytest

from tenor.data.corpus import read_corpus, split_corpus
from tenor.errors import DataError
from tiny import random_texts, write_csv

TEXTS = random_texts(80, words=(3, 40))


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "corpus.txt"
    file.write_text("\n".join([*TEXTS, "", TEXTS[0]]) + "\n")
    return str(file)


def test_repeats_and_empty_rows_are_left_out_and_counted(path):
    corpus = read_corpus(path)
    assert corpus.texts == list(dict.fromkeys(TEXTS))
    assert (corpus.repeats, corpus.skipped) == (1 + len(TEXTS) - len(set(TEXTS)), 1)
    assert corpus.describe().endswith("1 empty or bad rows left out)")


def test_what_is_no_text_is_named_or_skipped(tmp_path):
    path = write_csv(tmp_path / "texts.csv", {"text": ["", " "]})
    with pytest.raises(DataError, match="it holds no text"):
        read_corpus(path)
    numbers = tmp_path / "numbers.jsonl"
    numbers.write_text('{"text": "a cat"}\n{"text": 3}\n')
    with pytest.raises(DataError, match=r"numbers\.jsonl:2, column 'text': 3 is not a text"):
        read_corpus(numbers)
    assert read_corpus(numbers, on_bad_row="skip").skipped == 1


@pytest.mark.parametrize(("hold_out", "count"), [(None, 4), (0.0, 0), (0.25, 20)])
def test_holds_out_a_few_texts_by_default_and_none_when_asked(path, hold_out, count):
    corpus = read_corpus(path)
    kept, held = split_corpus(corpus, hold_out=hold_out)
    assert not set(kept) & set(held)
    assert sorted(kept + held) == sorted(corpus.texts)
    assert len(held) == round(count * len(corpus.texts) / 80)
    assert split_corpus(corpus, hold_out=hold_out) == (kept, held)


def test_texts_of_the_validation_file_are_not_trained_on(path, tmp_path):
    other = tmp_path / "held.txt"
    other.write_text("\n".join([*TEXTS[:5], "new text"]) + "\n")
    validation = read_corpus(other)
    kept, held = split_corpus(read_corpus(path), validation=validation)
    assert not set(kept) & set(held)
    assert held == validation.texts
    with pytest.raises(DataError, match="stands in the validation file"):
        split_corpus(read_corpus(path), validation=read_corpus(path))


def test_too_few_texts_to_hold_some_out_is_an_error(tmp_path):
    path = tmp_path / "few.txt"
    path.write_text("a cat\na dog\n")
    with pytest.raises(DataError, match="too few different texts"):
        split_corpus(read_corpus(path), hold_out=0.1)
