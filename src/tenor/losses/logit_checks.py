"""Checks of the shapes that the losses over logits take.

Tensor names end in their shape: B rows of the batch.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["check_logits"]


def check_logits(logits_B: Tensor, targets_B: Tensor) -> None:
    """Refuse what would broadcast to a wrong loss, and the empty batch, whose mean is NaN.

    Args:
        logits_B: one logit a row, (B,).
        targets_B: a label or score of each row, (B,).

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> import torch
        >>> check_logits(torch.ones(2, 1), torch.ones(2))
        Traceback (most recent call last):
        ValueError: logits_B and targets_B must have the same shape (B,) with at least one row, \
not (2, 1) and (2,)
    """
    if logits_B.ndim != 1 or logits_B.shape != targets_B.shape or len(logits_B) == 0:
        raise ValueError(
            "logits_B and targets_B must have the same shape (B,) with at least one row, "
            f"not {tuple(logits_B.shape)} and {tuple(targets_B.shape)}"
        )
