"""How much each token counts in a mean, folded into its vector once and for all.

A static embedding is the mean of its tokens' rows, (1/n) Σ T[t]. Both of what makes such means good
are linear, so both are done to the table T, and whoever averages its rows gets the result:

- a weight a token: (1/n) Σ w[t] T[t] is the mean of the rows w[t] T[t]. It differs from the
  weighted mean Σ w[t] T[t] / Σ w[t] by a factor of the text, which no cosine sees.
- removal of common directions U (orthonormal rows): the mean m becomes m − UᵀU m, and
  (I − UᵀU) (1/n) Σ T[t] = (1/n) Σ (I − UᵀU) T[t].

Shape legend: V tokens, D dimensions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["common_directions", "idf_weights", "remove_directions", "sif_weights", "zipf"]

Floats = npt.NDArray[np.floating]


def sif_weights(frequencies: npt.ArrayLike, a: float = 1e-3) -> npt.NDArray[np.float64]:
    """Smooth inverse frequency, a / (a + p) (Arora et al. 2017, openreview.net/forum?id=SyK00v5xx).

    Args:
        frequencies: (V,) counts or probabilities of the tokens; they are scaled to sum to 1.
        a: the probability at which a token counts half.

    >>> sif_weights([999_000, 1_000], a=0.001).round(3).tolist()
    [0.001, 0.5]
    """
    counts = np.asarray(frequencies, dtype=np.float64)
    p = counts / max(counts.sum(), 1e-12)
    weights: npt.NDArray[np.float64] = a / (a + p)
    return weights


def idf_weights(documents: npt.ArrayLike, total: int) -> npt.NDArray[np.float64]:
    """Inverse document frequency, 1 + ln((1 + N) / (1 + n)), as scikit-learn smooths it.

    Args:
        documents: (V,) in how many texts each token stands.
        total: how many texts there are.

    >>> idf_weights([9, 0], 9).round(3).tolist()
    [1.0, 3.303]
    """
    counts = np.asarray(documents, dtype=np.float64)
    weights: npt.NDArray[np.float64] = 1.0 + np.log((1 + total) / (1 + counts))
    return weights


def zipf(tokens: int) -> npt.NDArray[np.float64]:
    """(tokens,) probabilities where none were counted, in proportion to 1/(r + 1) for the r-th.

    Most vocabularies are stored commonest first, so that a token's place is its rank.

    >>> zipf(2).round(2).tolist()
    [0.6, 0.4]
    """
    p = 1.0 / np.arange(2, tokens + 2)
    scaled: npt.NDArray[np.float64] = p / p.sum()
    return scaled


def common_directions(second_moment: Floats, count: int) -> npt.NDArray[np.float64]:
    """The directions along which vectors are large: (count, D), orthonormal, largest first.

    Args:
        second_moment: (D, D) the mean of v vᵀ over the vectors, not centred.
        count: how many; 1 in Arora et al.
    """
    values, directions = np.linalg.eigh(np.asarray(second_moment, dtype=np.float64))
    order = np.argsort(-values, kind="stable")[:count]
    return np.ascontiguousarray(directions.T[order])


def remove_directions(table: Floats, directions: Floats) -> npt.NDArray[np.float32]:
    """Project the rows of a table (V, D) off some orthonormal directions (K, D).

    >>> remove_directions(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]])).tolist()
    [[0.0, 2.0]]
    """
    exact = np.asarray(table, dtype=np.float64)
    along = exact @ directions.T
    return (exact - along @ directions).astype(np.float32)
