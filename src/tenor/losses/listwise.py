"""Listwise ranking loss: among some candidates for an anchor, find the positive.

Tensor names end in their shape: B anchors of the batch, K candidates of each.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tenor.losses.upcast import upcast

__all__ = ["listwise"]


def listwise(
    logits_BK: Tensor, *, excluded_BK: Tensor | None = None, scale: float = 10.0
) -> Tensor:
    """Cross-entropy of the positive among the scores of all candidates.

    ::

        L = -1/B Σ_i log ( exp(s · σ(x_i1)) / Σ_k exp(s · σ(x_ik)) )

    The sigmoid keeps scores between 0 and 1, where the model's own scores lie; s sharpens them.
    Multiple negatives ranking (Henderson et al. 2017) with a cross-encoder's scores, as
    sentence-transformers computes it. Computed in float32 (float64 for float64 input).

    Args:
        logits_BK: logit x of each candidate; the first of each row is the positive, (B, K).
        excluded_BK: bool, (B, K), candidates that do not count; the positive always does.
        scale: s, above 0.

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> loss = listwise(torch.tensor([[30.0, -30.0, -30.0]]), scale=1.0)
        >>> round(loss.item(), 4)  # log(1 + 2/e)
        0.5514
        >>> mask = torch.tensor([[False, False, True]])
        >>> loss = listwise(torch.tensor([[30.0, -30.0, -30.0]]), excluded_BK=mask, scale=1.0)
        >>> round(loss.item(), 4)  # log(1 + 1/e)
        0.3133
    """
    if logits_BK.ndim != 2 or 0 in logits_BK.shape:
        raise ValueError(
            "logits_BK must be (B, K) with at least one row and one candidate, "
            f"not {tuple(logits_BK.shape)}"
        )
    if excluded_BK is not None and excluded_BK.shape != logits_BK.shape:
        raise ValueError(
            f"excluded_BK must have the shape {tuple(logits_BK.shape)}, "
            f"not {tuple(excluded_BK.shape)}"
        )
    logits_BK, _ = upcast(logits_BK, logits_BK)
    scores_BK = scale * logits_BK.sigmoid()
    if excluded_BK is not None:
        counts_BK = ~excluded_BK
        counts_BK[:, 0] = True
        scores_BK = scores_BK.masked_fill(~counts_BK, -torch.inf)
    first_B = torch.zeros(len(scores_BK), dtype=torch.long, device=scores_BK.device)
    return functional.cross_entropy(scores_BK, first_B)
