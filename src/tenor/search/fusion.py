"""Reciprocal rank fusion: one ranking of several, whose scores need not compare.

Cormack, Clarke & Büttcher 2009, Reciprocal rank fusion outperforms Condorcet and individual rank
learning methods: score(d) = Σ over the rankings that hold d of 1 / (k + rank of d), ranks from 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError

__all__ = ["FUSION_K", "fuse_rankings"]

Rows = npt.NDArray[np.int64]

FUSION_K = 60  # the paper's constant


def fuse_rankings(
    rankings: Sequence[Rows], *, k: int = FUSION_K
) -> tuple[npt.NDArray[np.float32], Rows]:
    """Fuse rankings of one query; each holds rows best first, none twice.

    Args:
        rankings: rows of the documents, each ranking of any length.
        k: how little the first ranks count above the later ones.

    Returns:
        Scores and rows of every document that is in a ranking, best first; equal scores in the
        order of the rows.

    Raises:
        ConfigError: k is below 0.

    >>> scores, rows = fuse_rankings([np.array([7, 3]), np.array([3, 5])])
    >>> rows.tolist()
    [3, 7, 5]
    """
    if k < 0:
        raise ConfigError("k", k, "at least 0")
    if not rankings:
        return np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64)
    gains = [1.0 / (k + 1.0 + np.arange(len(ranking))) for ranking in rankings]
    rows, places = np.unique(np.concatenate(rankings), return_inverse=True)
    scores = np.bincount(places, weights=np.concatenate(gains), minlength=len(rows))
    order = np.argsort(-scores, kind="stable")
    return scores[order].astype(np.float32), rows[order].astype(np.int64)
