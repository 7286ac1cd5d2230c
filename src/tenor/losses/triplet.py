"""Triplet loss: the positive nearer to the anchor than the negative, by a margin.

Tensor names end in their shape: B rows of the batch, D dimension.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tenor.losses.distances import Distance, pair_distances

__all__ = ["triplet"]


def triplet(
    anchors_BD: Tensor,
    positives_BD: Tensor,
    negatives_BD: Tensor,
    *,
    margin: float = 5.0,
    distance: Distance = "euclidean",
) -> Tensor:
    """Shortfall of d(anchor, negative) from d(anchor, positive) + margin.

    ::

        L = 1/B Σ_i max( 0, d(a_i, p_i) - d(a_i, n_i) + margin )

    Computed in float32 (float64 for float64 input).

    Args:
        anchors_BD: embeddings of the anchors, (B, D).
        positives_BD: embeddings of their positives, (B, D).
        negatives_BD: embeddings of their negatives, (B, D).
        margin: by how much the negative must be farther; in units of the distance. The default
            suits Euclidean distances of vectors that are not normalised; cosine distances
            differ by 2 at most.
        distance: ``"euclidean"``, ``"manhattan"`` or ``"cosine"`` (1 - cosine, from 0 to 2).

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together, or the distance is unknown.

    Papers: Schroff, Kalenichenko and Philbin 2015, "FaceNet: A Unified Embedding for Face
    Recognition and Clustering"; Reimers and Gurevych 2019, "Sentence-BERT: Sentence Embeddings
    using Siamese BERT-Networks", triplet objective.

    Example:
        >>> import torch
        >>> anchors = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
        >>> positives = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
        >>> negatives = torch.tensor([[6.0, 8.0], [0.0, 9.0]])
        >>> triplet(anchors, positives, negatives, margin=6.0)  # 5 - 10 + 6, and 1 - 9 + 6 < 0
        tensor(0.5000)
    """
    shape = anchors_BD.shape
    if len(shape) != 2 or shape[0] == 0 or not shape == positives_BD.shape == negatives_BD.shape:
        raise ValueError(
            "anchors_BD, positives_BD and negatives_BD must have the same shape (B, D) with at "
            f"least one row, not {tuple(shape)}, {tuple(positives_BD.shape)} and "
            f"{tuple(negatives_BD.shape)}"
        )
    to_positive_B = pair_distances(anchors_BD, positives_BD, distance)
    to_negative_B = pair_distances(anchors_BD, negatives_BD, distance)
    return functional.relu(to_positive_B - to_negative_B + margin).mean()
