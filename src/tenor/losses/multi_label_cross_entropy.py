"""Binary cross-entropy of every label by itself: the loss of texts that have any number of labels.

Tensor names end in their shape: B rows of the batch, C labels.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from tenor.losses.upcast import upcast

__all__ = ["multi_label_cross_entropy"]


def multi_label_cross_entropy(
    logits_BC: Tensor, targets_BC: Tensor, *, positive_weights_C: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy between the sigmoid of each logit and whether the label applies.

    ::

        L = -1/(B·C) Σ_i Σ_c [ p_c · t_ic · log σ(x_ic) + (1 - t_ic) · log(1 - σ(x_ic)) ]

    Computed in float32 (float64 for float64 input).

    Args:
        logits_BC: logits x of each row, (B, C).
        targets_BC: 1 where a label applies and 0 where it does not, or a share between, (B, C).
        positive_weights_C: weight p of the rows to which a label applies, above 0, (C,); 1 by
            default. Above 1 it makes up for labels that few rows have.

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> import torch
        >>> loss = multi_label_cross_entropy(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 1.0]]))
        >>> round(loss.item(), 4)
        0.41
    """
    if logits_BC.ndim != 2 or not logits_BC.numel() or targets_BC.shape != logits_BC.shape:
        raise ValueError(
            "logits_BC and targets_BC must have the same shape (B, C) with at least one row, "
            f"not {tuple(logits_BC.shape)} and {tuple(targets_BC.shape)}"
        )
    logits_BC, targets_BC = upcast(logits_BC, targets_BC)
    if positive_weights_C is not None:
        if positive_weights_C.shape != logits_BC.shape[1:]:
            raise ValueError(
                f"positive_weights_C must have the shape ({logits_BC.shape[1]},), one a label, "
                f"not {tuple(positive_weights_C.shape)}"
            )
        positive_weights_C = positive_weights_C.to(logits_BC)
    return functional.binary_cross_entropy_with_logits(
        logits_BC, targets_BC, pos_weight=positive_weights_C
    )
