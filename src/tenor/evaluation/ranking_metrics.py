"""Ranking metrics: how good is the order in which a query's documents come?

The definitions are those of trec_eval (github.com/usnistgov/trec_eval), so that figures compare
with published ones: nDCG@k (Järvelin & Kekäläinen 2002, Cumulated gain-based evaluation of IR
techniques) with linear gain, sum of grade / log2(rank + 1), over the same sum for the best order
of all judged documents; MAP@k and recall@k over all relevant documents, as `map_cut` and
`recall`; accuracy@k is trec_eval's `success`. A grade above 0 is relevant, any other is not.

Shapes: Q queries, K ranks, I judged relevant documents (padded with 0).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "accuracy_at",
    "average_precision_at",
    "ndcg_at",
    "precision_at",
    "recall_at",
    "reciprocal_rank_at",
]

Floats = npt.NDArray[np.float64]
Grades = npt.NDArray[np.floating]


def ndcg_at(grades_QK: Grades, ideal_QI: Grades, k: int) -> Floats:
    """Return nDCG@k, shape (Q,), with linear gain; 0 for a query without a relevant document.

    Args:
        grades_QK: grade of the document at each rank, 0 for an unjudged one.
        ideal_QI: grades of all the relevant documents of the query, highest first, padded with 0.
        k: ranks that count.

    >>> ndcg_at(np.array([[0.0, 2.0, 1.0]]), np.array([[2.0, 1.0]]), 10).round(4).tolist()
    [0.6697]
    """
    gain_Q, best_Q = _discounted_gain(grades_QK, k), _discounted_gain(ideal_QI, k)
    return np.asarray(gain_Q / np.where(best_Q > 0.0, best_Q, 1.0))


def reciprocal_rank_at(grades_QK: Grades, k: int) -> Floats:
    """Return 1 / rank of the first relevant document among the first k, else 0; its mean is MRR@k.

    Args:
        grades_QK: grade of the document at each rank.
        k: ranks that count.

    >>> reciprocal_rank_at(np.array([[0.0, 1.0], [0.0, 0.0]]), 10).tolist()
    [0.5, 0.0]
    """
    hits_QK = grades_QK[:, :k] > 0.0
    ranks_Q = 1.0 + hits_QK.argmax(axis=1)
    return np.asarray(np.where(hits_QK.any(axis=1), 1.0 / ranks_Q, 0.0))


def recall_at(grades_QK: Grades, relevant_Q: npt.NDArray[np.integer], k: int) -> Floats:
    """Return the share of the query's relevant documents that are among the first k.

    Args:
        grades_QK: grade of the document at each rank.
        relevant_Q: number of relevant documents of each query.
        k: ranks that count.

    >>> recall_at(np.array([[1.0, 0.0, 2.0]]), np.array([4]), 3).tolist()
    [0.5]
    """
    return np.asarray((grades_QK[:, :k] > 0.0).sum(axis=1) / np.maximum(relevant_Q, 1))


def precision_at(grades_QK: Grades, k: int) -> Floats:
    """Return the share of the first k ranks that are relevant; ranks never filled are not.

    Args:
        grades_QK: grade of the document at each rank.
        k: ranks that count.

    >>> precision_at(np.array([[1.0, 0.0, 2.0]]), 10).tolist()
    [0.2]
    """
    return np.asarray((grades_QK[:, :k] > 0.0).sum(axis=1) / k)


def accuracy_at(grades_QK: Grades, k: int) -> Floats:
    """Return 1 where any of the first k documents is relevant, else 0.

    Args:
        grades_QK: grade of the document at each rank.
        k: ranks that count.

    >>> accuracy_at(np.array([[0.0, 1.0], [0.0, 0.0]]), 2).tolist()
    [1.0, 0.0]
    """
    return np.asarray((grades_QK[:, :k] > 0.0).any(axis=1), dtype=np.float64)


def average_precision_at(grades_QK: Grades, relevant_Q: npt.NDArray[np.integer], k: int) -> Floats:
    """Return the sum of precisions at the relevant ranks up to k, over all relevant documents.

    Args:
        grades_QK: grade of the document at each rank.
        relevant_Q: number of relevant documents of each query.
        k: ranks that count; the mean of the values is MAP@k.

    >>> average_precision_at(np.array([[1.0, 0.0, 1.0]]), np.array([2]), 100).round(4).tolist()
    [0.8333]
    """
    hits_QK = (grades_QK[:, :k] > 0.0).astype(np.float64)
    precision_QK = np.cumsum(hits_QK, axis=1) / np.arange(1, hits_QK.shape[1] + 1)
    return np.asarray((hits_QK * precision_QK).sum(axis=1) / np.maximum(relevant_Q, 1))


def _discounted_gain(grades_QK: Grades, k: int) -> Floats:
    gains_QK = np.maximum(grades_QK[:, :k], 0.0)
    return np.asarray(gains_QK @ (1.0 / np.log2(np.arange(2, gains_QK.shape[1] + 2))))
