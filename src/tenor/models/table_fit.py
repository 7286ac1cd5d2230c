"""The table whose means come nearest to given vectors: ridge regression towards a first table.

Shape legend: V tokens, N texts, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.tokens.token_ids import TokenIds

__all__ = ["bag_matrix", "fit_table", "mean_cosine"]

Floats = npt.NDArray[np.float32]


def bag_matrix(ids: TokenIds, size: int) -> Any:
    """The sparse matrix A (N, V) that averages: A @ table are the mean vectors of the texts.

    Args:
        ids: the tokens of N texts.
        size: V.
    """
    from scipy.sparse import csr_matrix

    shares = np.repeat(1.0 / np.maximum(ids.lengths, 1), ids.lengths).astype(np.float32)
    matrix = csr_matrix(
        (shares, ids.ids.astype(np.int32), ids.offsets), shape=(len(ids), size), copy=True
    )
    matrix.sum_duplicates()
    return matrix


def fit_table(
    bags: Any,
    targets: Floats,
    start: Floats,
    *,
    strength: float,
    iterations: int = 40,
    tolerance: float = 1e-3,
    after_each: Callable[[int], None] | None = None,
) -> Floats:
    """Move a table so that the means of its rows come near the targets.

    Minimises ‖A W − Y‖² + λ ‖W − W₀‖² by conjugate gradients on (AᵀA + λ I)(W − W₀) = Aᵀ(Y − A W₀),
    all D columns at once, preconditioned by the diagonal. A token that no text has keeps its row;
    the more evidence there is for one, the less its first row counts.

    Args:
        bags: A (N, V), of `bag_matrix`.
        targets: Y (N, D).
        start: W₀ (V, D).
        strength: λ, above 0: about the evidence that outweighs a token's first row, where a text
            of n tokens gives each of them 1/n².
        iterations: at most.
        tolerance: stops when the residual is this part of the first.
        after_each: called with the number of iterations done.

    Returns:
        W (V, D).
    """
    transposed = bags.T.tocsr()
    squares = bags.multiply(bags).sum(axis=0)
    scale = 1.0 / (np.asarray(squares, dtype=np.float32).ravel() + np.float32(strength))[:, None]
    step_from = targets - bags @ start
    residual = transposed @ step_from
    change = np.zeros_like(start)
    preconditioned = scale * residual
    direction = preconditioned.copy()
    energy = _columns(residual, preconditioned)
    first = np.sqrt(_columns(residual, residual).sum())
    for iteration in range(iterations):
        product = transposed @ (bags @ direction) + np.float32(strength) * direction
        rate = energy / np.maximum(_columns(direction, product), 1e-30)
        change += rate.astype(np.float32) * direction
        residual -= rate.astype(np.float32) * product
        if after_each is not None:
            after_each(iteration + 1)
        if np.sqrt(_columns(residual, residual).sum()) <= tolerance * first:
            break
        preconditioned = scale * residual
        following = _columns(residual, preconditioned)
        direction *= (following / np.maximum(energy, 1e-30)).astype(np.float32)
        direction += preconditioned
        energy = following
    fitted: Floats = start + change
    return fitted


def mean_cosine(bags: Any, targets: Floats, table: Floats) -> float:
    """The mean cosine of the texts' mean vectors with their targets."""
    means = bags @ table
    lengths = np.linalg.norm(means, axis=1) * np.linalg.norm(targets, axis=1)
    return float((_rows(means, targets) / np.maximum(lengths, 1e-12)).mean())


def _columns(left: Floats, right: Floats) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.einsum("vd,vd->d", left, right, dtype=np.float64)
    return found


def _rows(left: Floats, right: Floats) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.einsum("nd,nd->n", left, right, dtype=np.float64)
    return found
