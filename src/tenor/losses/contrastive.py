"""Contrastive losses with a margin: pull similar pairs together, push the others apart.

Tensor names end in their shape: B rows of the batch, D dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tenor.losses.checks import check_pairs
from tenor.losses.distances import Distance, pair_distances

__all__ = ["contrastive", "online_contrastive"]

# That of PyTorch's own distances, and so of sentence-transformers' contrastive losses.
_EPS = 1e-6


def contrastive(
    left_BD: Tensor,
    right_BD: Tensor,
    labels_B: Tensor,
    *,
    margin: float = 0.5,
    distance: Distance = "cosine",
) -> Tensor:
    """Squared distance of similar pairs, squared shortfall from the margin of the others.

    With d_i the distance of pair i and y_i = 1 for similar pairs, 0 for dissimilar ones::

        L = 1/B Σ_i ½ [ y_i d_i² + (1 - y_i) max(0, margin - d_i)² ]

    Computed in float32 (float64 for float64 input).

    Args:
        left_BD: embeddings of the first texts, (B, D).
        right_BD: embeddings of the second texts, (B, D).
        labels_B: 1 for similar pairs, 0 for dissimilar ones, (B,); values between weigh the two
            terms.
        margin: distance from which a dissimilar pair costs nothing; in units of the distance.
        distance: ``"cosine"`` (1 - cosine, from 0 to 2), ``"euclidean"`` or ``"manhattan"``.

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together, or the distance is unknown.

    Paper: Hadsell, Chopra and LeCun 2006, "Dimensionality Reduction by Learning an Invariant
    Mapping" (whose Y is 1 - y here).

    Example:
        >>> left = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        >>> right = torch.tensor([[0.6, 0.8], [0.8, 0.6]])
        >>> round(contrastive(left, right, torch.tensor([1, 0])).item(), 4)  # distances 0.4, 0.2
        0.0625
    """
    check_pairs(left_BD, right_BD, labels_B=labels_B)
    distances_B = pair_distances(left_BD, right_BD, distance, eps=_EPS)
    similar_B = labels_B.to(distances_B.dtype)
    shortfall_B = functional.relu(margin - distances_B)
    losses_B = similar_B * distances_B.square() + (1 - similar_B) * shortfall_B.square()
    return losses_B.mean() / 2


def online_contrastive(
    left_BD: Tensor,
    right_BD: Tensor,
    labels_B: Tensor,
    *,
    margin: float = 0.5,
    distance: Distance = "cosine",
) -> Tensor:
    """Contrastive loss over the hard pairs of the batch only.

    A similar pair is hard if some dissimilar pair of the batch is closer, a dissimilar pair if
    some similar pair is farther apart. In a batch of one kind the mean distance decides: similar
    pairs beyond it, dissimilar ones within it::

        L = Σ_{hard, y_i = 1} d_i² + Σ_{hard, y_i = 0} max(0, margin - d_i)²

    It is a sum, without the ½, so it grows with the batch; 0 if no pair is hard. Computed in
    float32 (float64 for float64 input).

    Args:
        left_BD: embeddings of the first texts, (B, D).
        right_BD: embeddings of the second texts, (B, D).
        labels_B: 1 for similar pairs, 0 for dissimilar ones, (B,); pairs with any other value are
            left out.
        margin: distance from which a dissimilar pair costs nothing; in units of the distance.
        distance: ``"cosine"`` (1 - cosine, from 0 to 2), ``"euclidean"`` or ``"manhattan"``.

    Returns:
        The summed loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together, or the distance is unknown.

    Source: the selection of hard pairs is that of sentence-transformers' online contrastive loss.

    Example:
        The third pair is similar and closer than every dissimilar one, so it is left out:

        >>> left = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
        >>> right = torch.tensor([[0.6, 0.8], [0.8, 0.6], [1.0, 0.0]])
        >>> round(online_contrastive(left, right, torch.tensor([1, 0, 1])).item(), 4)
        0.25
    """
    check_pairs(left_BD, right_BD, labels_B=labels_B)
    distances_B = pair_distances(left_BD, right_BD, distance, eps=_EPS)
    similar_B, dissimilar_B = labels_B == 1, labels_B == 0
    with torch.no_grad():
        farthest = distances_B.masked_fill(~similar_B, -torch.inf).max()
        farthest = torch.where(similar_B.any(), farthest, _mean_where(dissimilar_B, distances_B))
        closest = distances_B.masked_fill(~dissimilar_B, torch.inf).min()
        closest = torch.where(dissimilar_B.any(), closest, _mean_where(similar_B, distances_B))
        hard_similar_B = similar_B & (distances_B > closest)
        hard_dissimilar_B = dissimilar_B & (distances_B < farthest)
    shortfall_B = functional.relu(margin - distances_B)
    losses_B = torch.where(hard_similar_B, distances_B.square(), 0.0)
    losses_B = torch.where(hard_dissimilar_B, shortfall_B.square(), losses_B)
    return losses_B.sum()


def _mean_where(mask_B: Tensor, values_B: Tensor) -> Tensor:
    return torch.where(mask_B, values_B, 0.0).sum() / mask_B.sum().clamp(min=1)
