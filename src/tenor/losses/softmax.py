"""Softmax loss: classify a pair from its two embeddings.

Tensor names end in their shape: B rows of the batch, D dimension, K classes, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from tenor.losses.checks import check_pairs
from tenor.losses.upcast import upcast

__all__ = ["PairFeature", "softmax"]

PairFeature = Literal["u", "v", "|u-v|", "u*v"]


def softmax(
    left_BD: Tensor,
    right_BD: Tensor,
    labels_B: Tensor,
    weight_KF: Tensor,
    bias_K: Tensor | None = None,
    *,
    concatenate: Sequence[PairFeature] = ("u", "v", "|u-v|"),
) -> Tensor:
    """Cross-entropy of a linear classifier on features of the pair (u, v).

    ::

        L = 1/B Σ_i cross_entropy( W [u_i; v_i; |u_i - v_i|] + b, label_i )

    The classifier's weight and bias are arguments; whoever calls keeps and trains them. Computed
    in float32 (float64 for float64 input), under autocast too.

    Args:
        left_BD: embeddings u of the first texts, (B, D).
        right_BD: embeddings v of the second texts, (B, D).
        labels_B: class of each pair, int64 from 0 to K - 1, (B,).
        weight_KF: the classifier's weight, (K, F) with F = len(concatenate) · D.
        bias_K: the classifier's bias, (K,); none if left out.
        concatenate: which features, in the order in which the weight has them: ``"u"``, ``"v"``,
            ``"|u-v|"``, ``"u*v"``.

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together, or a feature is unknown.

    Paper: Reimers and Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese
    BERT-Networks", classification objective.

    Example:
        >>> left, right = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> weight = torch.tensor([[0.5, 0.5], [-0.5, -0.5]])  # two classes, from |u-v| alone
        >>> loss = softmax(left, right, torch.tensor([0]), weight, concatenate=["|u-v|"])
        >>> round(loss.item(), 4)  # logits 1 and -1
        0.1269
    """
    check_pairs(left_BD, right_BD, labels_B=labels_B)
    if not concatenate:
        raise ValueError("concatenate must name at least one feature")
    width = len(concatenate) * left_BD.shape[1]
    if weight_KF.ndim != 2 or weight_KF.shape[1] != width:
        raise ValueError(
            f"weight_KF must have the shape (K, {width}) for {len(concatenate)} features of "
            f"dimension {left_BD.shape[1]}, not {tuple(weight_KF.shape)}"
        )
    if bias_K is not None and bias_K.shape != weight_KF.shape[:1]:
        raise ValueError(
            f"bias_K must have the shape ({len(weight_KF)},), one a class, "
            f"not {tuple(bias_K.shape)}"
        )
    u_BD, v_BD = upcast(left_BD, right_BD)
    features_BF = torch.cat([_feature(name, u_BD, v_BD) for name in concatenate], dim=1)
    # Autocast would take the product back to bf16.
    with torch.autocast(u_BD.device.type, enabled=False):
        logits_BK = functional.linear(
            features_BF, weight_KF.to(u_BD.dtype), None if bias_K is None else bias_K.to(u_BD.dtype)
        )
    return functional.cross_entropy(logits_BK, labels_B)


def _feature(name: PairFeature, u_BD: Tensor, v_BD: Tensor) -> Tensor:
    match name:
        case "u":
            return u_BD
        case "v":
            return v_BD
        case "|u-v|":
            return (u_BD - v_BD).abs()
        case "u*v":
            return u_BD * v_BD
        case _:
            raise ValueError(f"concatenate may hold 'u', 'v', '|u-v|' and 'u*v', not {name!r}")
