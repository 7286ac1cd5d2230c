"""The fitted table is the ridge regression's."""

import numpy as np

from tenor.models.table_fit import bag_matrix, fit_table, mean_cosine
from tenor.tokens.token_ids import TokenIds


def problem(texts=200, tokens=40, width=5):
    generator = np.random.default_rng(0)
    rows = [
        generator.integers(0, tokens - 1, generator.integers(1, 9)).tolist() for _ in range(texts)
    ]
    bags = bag_matrix(TokenIds.of(rows), tokens)  # the last token stands in no text
    truth = generator.normal(size=(tokens, width)).astype(np.float32)
    start = generator.normal(size=(tokens, width)).astype(np.float32)
    return bags, bags @ truth, start


def test_a_bag_averages():
    bags = bag_matrix(TokenIds.of([[0, 0, 1], [2], []]), 3)
    np.testing.assert_allclose(bags.toarray(), [[2 / 3, 1 / 3, 0], [0, 0, 1], [0, 0, 0]], rtol=1e-6)


def test_it_solves_the_normal_equations():
    bags, targets, start = problem()
    found = fit_table(bags, targets, start, strength=0.1, iterations=200, tolerance=1e-7)
    dense = bags.toarray().astype(np.float64)
    left = dense.T @ dense + 0.1 * np.eye(dense.shape[1])
    exact = start + np.linalg.solve(left, dense.T @ (targets - dense @ start))
    np.testing.assert_allclose(found, exact, atol=2e-4)


def test_a_token_without_evidence_keeps_its_row_and_the_fit_gets_nearer():
    bags, targets, start = problem()
    found = fit_table(bags, targets, start, strength=0.01)
    np.testing.assert_array_equal(found[-1], start[-1])
    assert mean_cosine(bags, targets, found) > 0.95 > mean_cosine(bags, targets, start)
