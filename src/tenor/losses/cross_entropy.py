"""Cross-entropy over the labels of a pair or a text.

Tensor names end in their shape: B rows of the batch, C labels.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tenor.losses.upcast import upcast

__all__ = ["cross_entropy"]


def cross_entropy(
    logits_BC: Tensor,
    labels_B: Tensor,
    *,
    weights_C: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy between the softmax of the logits and the label.

    ::

        L = -1/Σ_i w[label_i] Σ_i w[label_i] log softmax(x_i)[label_i]

    With label smoothing ε (Szegedy et al. 2016) the label's share is 1 - ε + ε/C, and every other
    label's ε/C, each with the weight of its own label. Computed in float32 (float64 for float64
    input).

    Args:
        logits_BC: logits x of each row, (B, C).
        labels_B: index of the label of each row, int64, (B,).
        weights_C: weight w of each label, above 0, (C,); 1 by default. The mean is weighted, too,
            so that weights do not change the size of a step.
        label_smoothing: ε, from 0 up to 1.

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
    if weights_C is not None:
        if weights_C.shape != logits_BC.shape[1:]:
            raise ValueError(
                f"weights_C must have the shape ({logits_BC.shape[1]},), one a label, "
                f"not {tuple(weights_C.shape)}"
            )
        weights_C = weights_C.to(logits_BC)
    return functional.cross_entropy(
        logits_BC, labels_B, weight=weights_C, label_smoothing=label_smoothing
    )
