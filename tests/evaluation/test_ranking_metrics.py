from math import log2

import numpy as np
import pytest

from tenor.evaluation.ranking_metrics import (
    accuracy_at,
    average_precision_at,
    ndcg_at,
    precision_at,
    recall_at,
    reciprocal_rank_at,
)


def test_metrics_of_a_ranking_shorter_than_k():
    grades, ideal, relevant = np.array([[0.0, 3.0]]), np.array([[3.0, 1.0]]), np.array([2])
    best = 3 + 1 / log2(3)
    assert ndcg_at(grades, ideal, 10)[0] == pytest.approx(3 / log2(3) / best)
    assert ndcg_at(grades, ideal, 1)[0] == 0.0
    assert reciprocal_rank_at(grades, 10)[0] == 0.5
    assert reciprocal_rank_at(grades, 1)[0] == 0.0
    assert recall_at(grades, relevant, 10)[0] == 0.5
    assert precision_at(grades, 10)[0] == 0.1
    assert average_precision_at(grades, relevant, 10)[0] == 0.25
    assert accuracy_at(grades, 10)[0] == 1.0


def test_gain_is_linear_as_trec_eval_has_it():
    # With gain 2^grade - 1 this would be (1 + 7 / log2(3)) / (7 + 1 / log2(3)).
    value = ndcg_at(np.array([[1.0, 3.0]]), np.array([[3.0, 1.0]]), 10)[0]
    assert value == pytest.approx((1 + 3 / log2(3)) / (3 + 1 / log2(3)))
