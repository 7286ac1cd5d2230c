"""Cosine similarity loss: regress the cosine of a pair to its score.

Tensor names end in their shape: B rows of the batch, D dimension.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tenor.losses.checks import check_pairs
from tenor.losses.upcast import upcast

__all__ = ["cosine_similarity"]


def cosine_similarity(left_BD: Tensor, right_BD: Tensor, scores_B: Tensor) -> Tensor:
    """Mean squared error between the cosine of each pair and its score.

    ::

        L = 1/B Σ_i ( cos(u_i, v_i) - score_i )²

    Computed in float32 (float64 for float64 input).

    Args:
        left_BD: embeddings u of the first texts, (B, D).
        right_BD: embeddings v of the second texts, (B, D).
        scores_B: how similar each pair is, from -1 to 1 (usually 0 to 1), (B,).

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together.

    Paper: Reimers and Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese
    BERT-Networks", regression objective.

    Example:
        >>> import torch
        >>> left = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> right = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
        >>> round(cosine_similarity(left, right, torch.tensor([0.4, 1.0])).item(), 4)
        0.02
    """
    check_pairs(left_BD, right_BD, scores_B=scores_B)
    cosines_B = functional.cosine_similarity(*upcast(left_BD, right_BD))
    return functional.mse_loss(cosines_B, scores_B.to(cosines_B.dtype))
