"""BM25 against the formula, ties, filters, and a saved index."""

import math
from collections import Counter

import numpy as np
import pytest

from tenor.errors import ConfigError, DataError
from tenor.search.bm25 import BM25, words_of
from tiny import random_texts

pytest.importorskip("bm25s")

TEXTS = random_texts(60, seed=3)


def by_hand(texts, query, k1=1.2, b=0.75):
    """Lucene's BM25, straight from the formula."""
    documents = [words_of(text) for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for words in documents:
        counts, score = Counter(words), 0.0
        for word in words_of(query):
            frequency = sum(word in other for other in documents)
            idf = math.log(1 + (len(texts) - frequency + 0.5) / (frequency + 0.5))
            tf = counts[word]
            score += idf * tf / (tf + k1 * (1 - b + b * len(words) / mean))
        scores.append(score)
    return scores


def test_scores_are_those_of_the_formula():
    index = BM25.build(TEXTS)
    for query in ("the red cat sleeps", "fish fish river", "snow"):
        expected = np.array(by_hand(TEXTS, query))
        scores, rows = index.search([query], 60)
        assert scores[0] == pytest.approx(expected[rows[0]], abs=1e-5)
        order = np.lexsort((np.arange(60), -scores[0][np.argsort(rows[0])]))
        assert rows[0].tolist() == order.tolist()


def test_case_and_punctuation_do_not_matter():
    index = BM25.build(["The CAT, sleeping!", "a dog"])
    scores, rows = index.search(["«cat»?"], 1)
    assert rows.tolist() == [[0]] and scores[0, 0] > 0


def test_texts_without_spaces_are_found_by_their_signs():
    index = BM25.build(["東京の天気", "京都の寺", "hello world"])
    assert index.search(["東京"], 1)[1].tolist() == [[0]]


def test_equal_scores_come_in_the_order_of_the_rows():
    index = BM25.build(["red sun", "blue moon", "red sun", "red sun", "blue moon"])
    assert index.search(["sun"], 2)[1].tolist() == [[0, 2]]
    assert index.search(["sun"], 5)[1].tolist() == [[0, 2, 3, 1, 4]]


def test_a_query_of_unknown_words_scores_nothing():
    scores, rows = BM25.build(TEXTS).search(["zebra 42", "..."], 3)
    assert not scores.any() and rows.tolist() == [[0, 1, 2], [0, 1, 2]]


def test_only_what_is_allowed_is_found():
    index = BM25.build(["red sun", "red sun", "blue moon", "red moon"])
    allowed = np.array([False, True, True, False])
    scores, rows = index.search(["red"], 10, allowed=allowed)
    assert rows.tolist() == [[1, 2]] and scores[0, 0] > scores[0, 1] == 0
    assert index.search(["red"], 10, allowed=np.zeros(4, bool))[1].shape == (1, 0)


def test_a_saved_index_finds_the_same(tmp_path):
    index = BM25.build(TEXTS)
    index.save(tmp_path / "bm25")
    again = BM25.load(tmp_path / "bm25")
    for found, expected in zip(
        again.search(TEXTS[:9], 20), index.search(TEXTS[:9], 20), strict=True
    ):
        assert np.array_equal(found, expected)
    assert len(again) == len(TEXTS)


def test_errors_say_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match="no texts"):
        BM25.build([])
    with pytest.raises(DataError, match="none of the 2 texts has a word"):
        BM25.build(["...", "!"])
    with pytest.raises(ConfigError, match="k = 0"):
        BM25.build(TEXTS).search(["a"], 0)
    with pytest.raises(ConfigError, match="b = 2"):
        BM25.build(TEXTS, b=2)
    with pytest.raises(DataError, match="holds no BM25 index"):
        BM25.load(tmp_path)
