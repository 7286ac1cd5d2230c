"""CoSENT: order the cosines of the pairs as their scores are ordered.

Tensor names end in their shape: B rows of the batch, D dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tenor.losses.checks import check_pairs
from tenor.losses.upcast import upcast

__all__ = ["cosent"]


def cosent(left_BD: Tensor, right_BD: Tensor, scores_B: Tensor, *, scale: float = 20.0) -> Tensor:
    """Soft count of the pairs of rows whose cosines stand in the wrong order.

    With c_i the cosine of row i::

        L = log( 1 + Σ_{score_i > score_j} exp( scale · (c_j - c_i) ) )

    Only the order of the scores matters, not their values. Rows with equal scores are not
    compared; if all are equal, the loss is 0. It takes (B, B) numbers of memory. Computed in
    float32 (float64 for float64 input).

    Args:
        left_BD: embeddings of the first texts, (B, D).
        right_BD: embeddings of the second texts, (B, D).
        scores_B: how similar each pair is, on any scale, (B,).
        scale: factor on the cosines, the inverse of the temperature.

    Returns:
        The loss of the batch, a scalar.

    Raises:
        ValueError: the shapes do not fit together.

    Paper: Huang et al. 2024, "CoSENT: Consistent Sentence Embedding via Similarity Ranking"
    (first described by Jianlin Su, https://kexue.fm/archives/8847).

    Example:
        >>> left = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        >>> right = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # cosines 1 and 0
        >>> round(cosent(left, right, torch.tensor([0.9, 0.1]), scale=1.0).item(), 4)
        0.3133
        >>> round(cosent(left, right, torch.tensor([0.1, 0.9]), scale=1.0).item(), 4)
        1.3133
    """
    check_pairs(left_BD, right_BD, scores_B=scores_B)
    cosines_B = scale * functional.cosine_similarity(*upcast(left_BD, right_BD))
    differences_BB = cosines_B[None, :] - cosines_B[:, None]
    unordered_BB = scores_B[:, None] <= scores_B[None, :]
    differences_BB = differences_BB.masked_fill(unordered_BB, -torch.inf)
    # The zero is the 1 in the logarithm.
    return torch.logsumexp(functional.pad(differences_BB.flatten(), (1, 0)), dim=0)
