"""How two embeddings compare: one number, higher where they are nearer.

Shape legend: N and M embeddings, D dimensions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from tenor.errors import ConfigError

__all__ = ["SIMILARITIES", "similarities"]

SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")


def similarities(
    left: npt.NDArray[np.float32], right: npt.NDArray[np.float32], kind: str
) -> npt.NDArray[np.float32]:
    """How similar each left embedding (N, D) is to each right one (M, D): (N, M).

    Euclidean and Manhattan distances are negative. A single embedding (D,) counts as one row.

    Args:
        left: N embeddings.
        right: M embeddings.
        kind: one of `SIMILARITIES`.

    Raises:
        ConfigError: for another kind, or embeddings of different dimensions.

    >>> similarities(np.array([3.0, 4.0]), np.array([[3.0, 0.0], [0.0, 4.0]]), "dot").tolist()
    [[9.0, 16.0]]
    >>> similarities(np.array([3.0, 4.0]), np.array([[0.0, 0.0]]), "euclidean").tolist()
    [[-5.0]]
    """
    if kind not in SIMILARITIES:
        raise ConfigError("similarity", kind, f"one of {', '.join(SIMILARITIES)}")
    sides = [np.atleast_2d(side) for side in (left, right)]
    if any(side.ndim != 2 for side in sides) or sides[0].shape[1] != sides[1].shape[1]:
        shapes = " and ".join(str(side.shape) for side in sides)
        raise ConfigError("embeddings", shapes, "two matrices with as many dimensions a row")
    dtype = np.result_type(*sides, np.float32)
    a, b = (torch.as_tensor(side.astype(dtype, copy=False)) for side in sides)
    if kind == "cosine":
        scores = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    elif kind == "dot":
        scores = a @ b.T
    else:
        scores = -torch.cdist(a, b, p=2.0 if kind == "euclidean" else 1.0)
    return scores.numpy()
