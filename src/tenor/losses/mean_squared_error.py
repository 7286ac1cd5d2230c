"""Mean squared error of a score: a cross-encoder regresses to its targets.

Tensor names end in their shape: B pairs of the batch.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tenor.losses.logit_checks import check_logits
from tenor.losses.upcast import upcast

__all__ = ["mean_squared_error"]


def mean_squared_error(logits_B: Tensor, targets_B: Tensor) -> Tensor:
    """Mean squared error between the sigmoid of each logit and its target.

    ::

        L = 1/B Σ_i ( σ(x_i) - t_i )²

    Computed in float32 (float64 for float64 input).

    Args:
        logits_B: logit x of each pair, (B,).
        targets_B: score scaled to 0..1 of each pair, (B,).

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> import torch
        >>> mean_squared_error(torch.tensor([0.0, 0.0]), torch.tensor([0.5, 1.0])).item()
        0.125
    """
    check_logits(logits_B, targets_B)
    logits_B, targets_B = upcast(logits_B, targets_B)
    return functional.mse_loss(logits_B.sigmoid(), targets_B)
