"""Distances of pairs of embeddings, by name.

Tensor names end in their shape: B rows of the batch, D dimension.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

from tenor.losses.upcast import upcast

__all__ = ["Distance", "pair_distances"]

Distance = Literal["cosine", "euclidean", "manhattan"]


def pair_distances(
    left_BD: Tensor, right_BD: Tensor, distance: Distance, *, eps: float = 0.0
) -> Tensor:
    """Distance of each pair, (B,), in float32 (float64 for float64 input).

    Args:
        left_BD: embeddings of the first texts, (B, D).
        right_BD: embeddings of the second texts, (B, D).
        distance: ``"cosine"`` (1 - cosine, from 0 to 2), ``"euclidean"`` or ``"manhattan"``.
        eps: added to the differences of Euclidean and Manhattan distances; with 0 a text is at
            distance 0 from itself.

    Raises:
        ValueError: the distance is unknown.

    Example:
        >>> import torch
        >>> left, right = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[3.0, 4.0], [1, 1]])
        >>> pair_distances(left, right, "manhattan")
        tensor([7., 0.])
    """
    left_BD, right_BD = upcast(left_BD, right_BD)
    match distance:
        case "cosine":
            return 1 - functional.cosine_similarity(left_BD, right_BD)
        case "euclidean":
            return functional.pairwise_distance(left_BD, right_BD, p=2, eps=eps)
        case "manhattan":
            return functional.pairwise_distance(left_BD, right_BD, p=1, eps=eps)
        case _:
            raise ValueError(
                f"distance must be 'cosine', 'euclidean' or 'manhattan', not {distance!r}"
            )
