"""Weights and removed directions are the same in the table as in the means."""

import numpy as np

from tenor.models.static import StaticEmbedder
from tenor.models.token_weights import (
    common_directions,
    idf_weights,
    remove_directions,
    sif_weights,
    zipf,
)
from tenor.tokens.words import word_tokenizer

WORDS = [f"w{number}" for number in range(30)]


def test_folding_into_the_table_is_exact_up_to_the_length_of_the_mean():
    generator = np.random.default_rng(0)
    table = generator.normal(size=(31, 8)) + 1.0
    weights = sif_weights(generator.integers(1, 1000, 31), 0.01)
    texts = [generator.integers(1, 31, length) for length in (1, 3, 7, 20)]
    # The method as it is written: weighted means, less their part along the common direction.
    means = np.stack([np.average(table[t], axis=0, weights=weights[t]) for t in texts])
    direction = common_directions(means.T @ means, 1)
    removed = means - means @ direction.T @ direction

    folded = remove_directions(table * weights[:, None], direction)
    model = StaticEmbedder(folded, word_tokenizer(WORDS), normalize=False)
    found = model.encode([" ".join(f"w{token - 1}" for token in text) for text in texts])
    factors = np.array([weights[text].mean() for text in texts])[:, None]
    np.testing.assert_allclose(found, removed * factors, atol=1e-6)


def test_rare_tokens_weigh_more():
    for weights in (sif_weights([1000, 10, 1]), idf_weights([90, 10, 1], 100)):
        assert (np.diff(weights) > 0).all()
    assert np.isclose(zipf(100).sum(), 1) and (np.diff(zipf(100)) < 0).all()


def test_removed_directions_are_gone_and_the_rest_is_untouched():
    generator = np.random.default_rng(0)
    table = generator.normal(size=(50, 6)) * [10, 5, 1, 1, 1, 1]
    directions = common_directions(table.T @ table / 50, 2)
    np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-12)
    left = remove_directions(table, directions)
    np.testing.assert_allclose(left @ directions.T, 0, atol=1e-5)
    orthogonal = np.array([0, 0, 0, 0, 0, 1.0])
    orthogonal -= directions.T @ (directions @ orthogonal)
    np.testing.assert_allclose(left @ orthogonal, table @ orthogonal, atol=1e-5)
