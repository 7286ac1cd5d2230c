"""Supervised contrastive loss: all texts of a class are each other's positives.

Tensor names end in their shape: U distinct texts of the batch, D dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["supervised_contrastive"]


def supervised_contrastive(
    embeddings_UD: Tensor,
    labels_U: Tensor,
    *,
    temperature: float = 0.05,
    excluded_UU: Tensor | None = None,
) -> Tensor:
    """Mean log-probability of each text's classmates among all other texts of the batch.

    With s(i, a) = cos(z_i, z_a) / temperature, A(i) all texts but i, and P(i) those of A(i) with
    the label of i (the form that the paper calls L_out)::

        L_i = -1/|P(i)| Σ_{p in P(i)} log( exp s(i, p) / Σ_{a in A(i)} exp s(i, a) )

    The loss is the mean of L_i over the texts that have a positive. The others are still
    negatives of the rest, and if no text has a positive, the loss is a 0 that can be
    back-propagated. Computed in float32 (float64 for float64 input), under autocast too.

    Args:
        embeddings_UD: embeddings z of the distinct texts, (U, D); normalised here.
        labels_U: class of each text, integers, (U,).
        temperature: divisor of the cosines, above 0.
        excluded_UU: True where text a (column) is to be neither a positive nor a negative of
            text i (row), bool, (U, U). A text is never compared with itself.

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together.

    Paper: Khosla et al. 2020, "Supervised Contrastive Learning", equation 2.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> loss = supervised_contrastive(embeddings, torch.tensor([0, 0, 1]), temperature=1.0)
        >>> round(loss.item(), 4)  # log(1 + 1/e) for the first two; the third has no positive
        0.3133
    """
    if embeddings_UD.ndim != 2 or len(embeddings_UD) == 0:
        raise ValueError(
            "embeddings_UD must have the shape (U, D) with at least one row, "
            f"not {tuple(embeddings_UD.shape)}"
        )
    texts = len(embeddings_UD)
    if labels_U.shape != (texts,):
        raise ValueError(
            f"labels_U must have the shape ({texts},), one a text, not {tuple(labels_U.shape)}"
        )
    if excluded_UU is not None and excluded_UU.shape != (texts, texts):
        raise ValueError(
            f"excluded_UU must have the shape ({texts}, {texts}), not {tuple(excluded_UU.shape)}"
        )
    dtype = torch.promote_types(embeddings_UD.dtype, torch.float32)
    unit_UD = functional.normalize(embeddings_UD.to(dtype))
    # Autocast would take the product back to bf16.
    with torch.autocast(unit_UD.device.type, enabled=False):
        scores_UU = unit_UD @ unit_UD.T / temperature

    left_out_UU = torch.eye(texts, dtype=torch.bool, device=unit_UD.device)
    if excluded_UU is not None:
        left_out_UU = left_out_UU | excluded_UU
    positives_UU = (labels_U[:, None] == labels_U[None, :]) & ~left_out_UU
    count_U = positives_UU.sum(dim=1)

    # The minimum, not -inf: logsumexp over -inf alone has NaN gradients, hidden only by the fill.
    lowest = torch.finfo(scores_UU.dtype).min
    log_sum_U = torch.logsumexp(scores_UU.masked_fill(left_out_UU, lowest), dim=1)
    positive_mean_U = torch.where(positives_UU, scores_UU, 0.0).sum(dim=1) / count_U.clamp(min=1)
    losses_U = torch.where(count_U > 0, log_sum_U - positive_mean_U, 0.0)
    return losses_U.sum() / (count_U > 0).sum().clamp(min=1)
