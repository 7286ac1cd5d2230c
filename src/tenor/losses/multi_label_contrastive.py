"""Supervised contrastive loss for texts with any number of labels: one loss a label.

Tensor names end in their shape: U distinct texts of the batch, D dimension, C labels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tenor.losses.supervised_contrastive import supervised_contrastive

__all__ = ["multi_label_contrastive"]


def multi_label_contrastive(
    embeddings_UD: Tensor,
    labels_UC: Tensor,
    *,
    temperature: float = 0.05,
    excluded_UU: Tensor | None = None,
) -> Tensor:
    """Supervised contrastive loss of each label among the texts that have it, averaged.

    With P_c(i) the other texts with label c, and s and A(i) as in `supervised_contrastive`::

        L = 1/n Σ_c Σ_i -1/|P_c(i)| Σ_{p in P_c(i)} log( exp s(i, p) / Σ_{a in A(i)} exp s(i, a) )

    over the n pairs of a text i and a label c of it that another text has, too. So two texts are
    positives of each other when they share a label, and the more of them they share, the more
    often. A text without a label is a negative of all others. If no two texts share a label, the
    loss is a 0 that can be back-propagated.

    Args:
        embeddings_UD: embeddings z of the distinct texts, (U, D); normalised here.
        labels_UC: which labels each text has, 0 or 1, (U, C).
        temperature: divisor of the cosines, above 0.
        excluded_UU: True where text a (column) is to be neither a positive nor a negative of
            text i (row), bool, (U, U).

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together.

    Paper: Zhang and Wu 2024, "Multi-Label Supervised Contrastive Learning"; equation 2 of Khosla
    et al. 2020 for each label.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> labels = torch.tensor([[1, 0], [1, 1], [0, 0]])
        >>> round(multi_label_contrastive(embeddings, labels, temperature=1.0).item(), 4)
        0.3133
    """
    if labels_UC.ndim != 2 or len(labels_UC) != len(embeddings_UD):
        raise ValueError(
            f"labels_UC must have the shape ({len(embeddings_UD)}, C), one row a text, not "
            f"{tuple(labels_UC.shape)}"
        )
    has_UC = labels_UC > 0
    itself_UU = torch.eye(len(has_UC), dtype=torch.bool, device=has_UC.device)
    apart_UU = itself_UU if excluded_UU is None else itself_UU | excluded_UU
    total, terms = embeddings_UD.sum() * 0.0, 0
    for label in range(has_UC.shape[1]):
        has_U = has_UC[:, label]
        # How many texts have a positive: the weight of this label's mean.
        anchors = int((has_U & (has_U[None, :] & ~apart_UU).any(dim=1)).sum())
        if not anchors:
            continue
        # Texts without the label are negatives, but no anchors: all of their row is left out.
        left_out_UU = apart_UU | ~has_U[:, None]
        loss = supervised_contrastive(
            embeddings_UD, has_U, temperature=temperature, excluded_UU=left_out_UU
        )
        total, terms = total + anchors * loss, terms + anchors
    return total / max(terms, 1)
