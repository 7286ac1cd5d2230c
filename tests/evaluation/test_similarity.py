import hashlib

import numpy as np
import pytest

from tenor.errors import DataError
from tenor.evaluation.similarity import (
    EmbeddingSimilarity,
    pair_similarities,
    similarity_metrics,
)


class Hashed:
    """Sums one random vector a word: texts that share words are similar."""

    def __init__(self):
        self.encoded = []

    def encode(self, texts):
        self.encoded += texts
        return np.stack([sum(map(self.word, text.split())) for text in texts])

    def word(self, word):
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
        return np.random.default_rng(seed).normal(size=32).astype(np.float32)


LEFT = ["a red car", "the dog runs", "rain in town", "a red car", "two cups of tea"]
RIGHT = ["a red car", "the dog sleeps", "sun by sea", "a blue car", "one cup of tea"]
GOLD = [5.0, 3.5, 0.5, 4.0, 3.0]


def test_ten_correlations_each_with_an_interval_around_it():
    result = EmbeddingSimilarity(LEFT, RIGHT, GOLD, name="tiny")(Hashed())
    names = {
        f"{kind}_{similarity}"
        for kind in ("pearson", "spearman")
        for similarity in ("cosine", "dot", "manhattan", "euclidean", "max")
    }
    assert set(result.metrics) == set(result.intervals) == names
    for name, (low, high) in result.intervals.items():
        assert low <= result.metrics[name] <= high
    assert result.n == 5
    assert result.data == {"name": "tiny"}
    assert result.metrics["spearman_cosine"] > 0.8
    assert result.metrics["spearman_max"] == max(
        result.metrics[f"spearman_{name}"] for name in ("cosine", "dot", "manhattan", "euclidean")
    )


def test_each_distinct_text_is_encoded_once():
    model = Hashed()
    EmbeddingSimilarity(LEFT, RIGHT, GOLD)(model)
    assert sorted(model.encoded) == sorted(set(LEFT + RIGHT))


def test_per_item_similarities_allow_a_paired_test():
    result = EmbeddingSimilarity(LEFT, RIGHT, GOLD)(Hashed())
    assert result.per_item["gold"].tolist() == GOLD
    assert result.per_item["cosine"][0] == 1.0
    assert result.per_item["euclidean"][0] == 0.0


def test_the_same_text_twice_has_cosine_one_exactly_in_any_block(monkeypatch):
    embeddings = np.random.default_rng(0).normal(size=(500, 48)).astype(np.float32)
    whole = pair_similarities(embeddings, embeddings)
    assert (whole["cosine"] == 1.0).all()
    monkeypatch.setattr("tenor.evaluation.similarity._BLOCK_ELEMENTS", 48 * 7)
    others = embeddings[::-1].copy()
    in_blocks = pair_similarities(embeddings, others)
    monkeypatch.undo()
    for name, values in pair_similarities(embeddings, others).items():
        assert (values == in_blocks[name]).all()


def test_distances_count_negative():
    generator = np.random.default_rng(1)
    left = generator.normal(size=(50, 8))
    noise = np.linspace(0.01, 3, 50)[:, None] * generator.normal(size=(50, 8))
    metrics = similarity_metrics(left, left + noise, np.linspace(1, 0, 50))
    assert metrics["spearman_manhattan"] > 0.8
    assert metrics["spearman_euclidean"] > 0.8


class Collapsed:
    def encode(self, texts):
        return np.ones((len(texts), 4), dtype=np.float32)


def test_constant_scores_are_an_error_not_nan():
    with pytest.raises(DataError, match="gold scores are constant"):
        EmbeddingSimilarity(LEFT, RIGHT, [1.0] * 5)
    with pytest.raises(DataError, match="model's cosine scores are constant"):
        EmbeddingSimilarity(LEFT, RIGHT, GOLD)(Collapsed())


@pytest.mark.parametrize(
    ("left", "right", "gold", "message"),
    [
        (LEFT, RIGHT[:4], GOLD, "4 right sentences"),
        (LEFT, RIGHT, GOLD[:4], "4 scores"),
        ([], [], [], "constant"),
        (LEFT, RIGHT, [1.0, np.nan, 2.0, 3.0, 4.0], "row 2, column 'score'"),
    ],
)
def test_unusable_pairs_are_refused(left, right, gold, message):
    with pytest.raises(DataError, match=message):
        EmbeddingSimilarity(left, right, gold)


def test_vectors_that_do_not_pair_are_refused():
    with pytest.raises(DataError, match="do not make pairs"):
        similarity_metrics(np.eye(2), np.eye(3), [0.0, 1.0])
    with pytest.raises(DataError, match="3 gold scores do not match 2 pairs"):
        similarity_metrics(np.eye(2), np.eye(2), [0.0, 1.0, 2.0])
