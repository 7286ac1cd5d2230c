"""Binary cross-entropy of a score's logit: the loss of a cross-encoder with one score.

Tensor names end in their shape: B pairs of the batch.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tenor.losses.logit_checks import check_logits
from tenor.losses.upcast import upcast

__all__ = ["binary_cross_entropy"]


def binary_cross_entropy(logits_B: Tensor, targets_B: Tensor) -> Tensor:
    """Binary cross-entropy between the sigmoid of each logit and its target.

    ::

        L = -1/B Σ_i [ t_i · log σ(x_i) + (1 - t_i) · log(1 - σ(x_i)) ]

    Computed in float32 (float64 for float64 input). With soft targets the least possible loss is
    their entropy, not 0.

    Args:
        logits_B: logit x of each pair, (B,).
        targets_B: label 0 or 1, or a score scaled to 0..1, of each pair, (B,).

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> import torch
        >>> loss = binary_cross_entropy(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0]))
        >>> round(loss.item(), 4)
        0.41
    """
    check_logits(logits_B, targets_B)
    logits_B, targets_B = upcast(logits_B, targets_B)
    return functional.binary_cross_entropy_with_logits(logits_B, targets_B)
