"""Cosine loss over all pairs of a batch: like texts towards 1, unlike ones towards 0.

Tensor names end in their shape: U distinct texts of the batch, D dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["cosine_pairs"]


def cosine_pairs(
    embeddings_UD: Tensor, likeness_UU: Tensor, *, excluded_UU: Tensor | None = None
) -> Tensor:
    """Squared error of every pair's cosine, the like pairs counting as much as the unlike ones.

    Over the pairs i < j, with t_ij the probability that both texts are of one class::

        L = 1/2 Σ t_ij (cos(z_i, z_j) - 1)² / Σ t_ij
          + 1/2 Σ (1 - t_ij) cos(z_i, z_j)² / Σ (1 - t_ij)

    That is the expectation of the cosine loss over pairs drawn half from one class and half from
    two, as SetFit draws them, but each text is encoded once a batch. Where all pairs are of one
    kind, the other half is left out; without a pair the loss is a 0 that can be back-propagated.
    Computed in float32 (float64 for float64 input), under autocast too.

    Args:
        embeddings_UD: embeddings z of the distinct texts, (U, D); normalised here.
        likeness_UU: t, symmetric, from 0 to 1, (U, U).
        excluded_UU: True where a pair does not count, symmetric, bool, (U, U).

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together.

    Paper: Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts", section 3; the
    cosine loss of Reimers and Gurevych 2019.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]])
        >>> like = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> round(cosine_pairs(embeddings, like).item(), 4)  # 0 for the like pair, 0.36 else
        0.18
    """
    if embeddings_UD.ndim != 2 or len(embeddings_UD) == 0:
        raise ValueError(
            "embeddings_UD must have the shape (U, D) with at least one row, "
            f"not {tuple(embeddings_UD.shape)}"
        )
    square = (len(embeddings_UD),) * 2
    for name, matrix in (("likeness_UU", likeness_UU), ("excluded_UU", excluded_UU)):
        if matrix is not None and matrix.shape != square:
            raise ValueError(f"{name} must have the shape {square}, not {tuple(matrix.shape)}")
    dtype = torch.promote_types(embeddings_UD.dtype, torch.float32)
    unit_UD = functional.normalize(embeddings_UD.to(dtype))
    # Autocast would take the product back to bf16.
    with torch.autocast(unit_UD.device.type, enabled=False):
        cosines_UU = unit_UD @ unit_UD.T
    like_UU = likeness_UU.to(dtype)
    counted_UU = torch.ones_like(cosines_UU).triu(diagonal=1)
    if excluded_UU is not None:
        counted_UU = counted_UU.masked_fill(excluded_UU, 0.0)
    halves = []
    for weights_UU, due in ((counted_UU * like_UU, 1.0), (counted_UU * (1.0 - like_UU), 0.0)):
        mass = weights_UU.sum()
        errors_UU = (cosines_UU - due).square()
        halves.append((mass > 0, (errors_UU * weights_UU).sum() / mass.clamp(min=1e-12)))
    kinds = sum(present.to(dtype) for present, _ in halves)
    total: Tensor = sum(value for _, value in halves) / torch.as_tensor(kinds).clamp(min=1.0)
    return total
