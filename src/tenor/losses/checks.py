"""Checks of the shapes that the losses over pairs take.

Tensor names end in their shape: B rows of the batch, D dimension.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["check_pairs"]


def check_pairs(left_BD: Tensor, right_BD: Tensor, **targets_B: Tensor) -> None:
    """Refuse what would broadcast to a wrong loss, and the empty batch, whose mean is NaN.

    Args:
        left_BD: embeddings of the first texts, (B, D).
        right_BD: embeddings of the second texts, (B, D).
        targets_B: a label or score of each pair, (B,), by the name of the argument.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> import torch
        >>> check_pairs(torch.ones(2, 3), torch.ones(2, 3), labels_B=torch.ones(2, 1))
        Traceback (most recent call last):
        ValueError: labels_B must have the shape (2,), one a pair, not (2, 1)
    """
    if left_BD.ndim != 2 or left_BD.shape != right_BD.shape or len(left_BD) == 0:
        raise ValueError(
            "left_BD and right_BD must have the same shape (B, D) with at least one row, "
            f"not {tuple(left_BD.shape)} and {tuple(right_BD.shape)}"
        )
    for name, target_B in targets_B.items():
        if target_B.shape != left_BD.shape[:1]:
            raise ValueError(
                f"{name} must have the shape ({len(left_BD)},), one a pair, "
                f"not {tuple(target_B.shape)}"
            )
