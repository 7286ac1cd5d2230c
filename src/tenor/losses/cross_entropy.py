"""Cross-entropy over the labels of a pair or a text.

Tensor names end in their shape: B rows of the batch, C labels.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tenor.losses.upcast import upcast

__all__ = ["cross_entropy"]


def cross_entropy(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Cross-entropy between the softmax of the logits and the label.

    ::

        L = -1/B Σ_i log softmax(x_i)[label_i]

    Computed in float32 (float64 for float64 input).

    Args:
        logits_BC: logits x of each row, (B, C).
        labels_B: index of the label of each row, int64, (B,).

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> import torch
        >>> round(cross_entropy(torch.tensor([[1.0, 1.0, 1.0]]), torch.tensor([2])).item(), 4)
        1.0986
    """
    if logits_BC.ndim != 2 or len(logits_BC) == 0 or labels_B.shape != logits_BC.shape[:1]:
        raise ValueError(
            "logits_BC must be (B, C) with at least one row and labels_B (B,), "
            f"not {tuple(logits_BC.shape)} and {tuple(labels_B.shape)}"
        )
    logits_BC, _ = upcast(logits_BC, logits_BC)
    return functional.cross_entropy(logits_BC, labels_B)
