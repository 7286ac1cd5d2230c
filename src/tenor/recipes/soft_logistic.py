"""Linear heads fitted to probabilities: logistic regression, and a layer trained step by step.

Shape legend: N texts, D dimensions, C labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

__all__ = ["fit_linear_head", "fit_soft_logistic", "probabilities_from"]

Floats = npt.NDArray[np.floating]
STEPS, LEARNING_RATE, WEIGHT_DECAY = 500, 1e-2, 1e-2
ITERATIONS = 500


def probabilities_from(target: npt.NDArray[np.generic], classes: int) -> npt.NDArray[np.float32]:
    """Labels as probabilities (N, C) of 0 and 1.

    Args:
        target: (N,) labels, or (N, C) of 0 and 1 already.
        classes: C.
    """
    if target.ndim == 2:
        return target.astype(np.float32)
    return np.eye(classes, dtype=np.float32)[target.astype(np.int64)]


def fit_soft_logistic(
    vectors_ND: Floats,
    target_NC: Floats,
    inverse_regularization: float,
    *,
    multi_label: bool = False,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Logistic regression whose targets are probabilities: least cross-entropy and small weights.

    ::

        L = Σ_i CE(target_i, softmax(W x_i + b)) + |W|² / (2 · inverse_regularization)

    or with several labels a text the sum of each label's own cross-entropy. For targets of 0 and 1
    this is scikit-learn's `LogisticRegression`.

    Args:
        vectors_ND: the embeddings.
        target_NC: probability of each label.
        inverse_regularization: how little large weights cost, above 0.
        multi_label: whether each label is told by itself.

    Returns:
        Weights (C, D) and biases (C,), float32.
    """
    weight, bias, x, target = _start(vectors_ND, target_NC)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=ITERATIONS,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        penalty = weight.square().sum() / (2 * inverse_regularization)
        # Divided by N: the solver's tolerances are for figures near 1.
        loss = _cross_entropy(x, target, weight, bias, multi_label) + penalty / len(x)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return _numbers(weight, bias)


def fit_linear_head(
    vectors_ND: Floats, target_NC: Floats, *, multi_label: bool = False
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Train a linear layer by AdamW on the mean cross-entropy, all texts in every step.

    It starts from zeros, so that the result follows from the data alone.

    Args:
        vectors_ND: the embeddings.
        target_NC: probability of each label; 0 and 1 for labels that are known.
        multi_label: whether each label is told by itself.

    Returns:
        Weights (C, D) and biases (C,), float32.
    """
    weight, bias, x, target = _start(vectors_ND, target_NC)
    optimizer = torch.optim.AdamW([weight, bias], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = _cross_entropy(x, target, weight, bias, multi_label)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return _numbers(weight, bias)


def _start(
    vectors_ND: Floats, target_NC: Floats
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    dtype = torch.float64 if len(vectors_ND) <= 4096 else torch.float32
    weight = torch.zeros(target_NC.shape[1], vectors_ND.shape[1], dtype=dtype, requires_grad=True)
    bias = torch.zeros(target_NC.shape[1], dtype=dtype, requires_grad=True)
    return (
        weight,
        bias,
        torch.as_tensor(vectors_ND, dtype=dtype),
        torch.as_tensor(target_NC, dtype=dtype),
    )


def _cross_entropy(
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    multi_label: bool,
) -> torch.Tensor:
    logits = F.linear(x, weight, bias)
    if multi_label:
        each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return each.sum(dim=1).mean()
    return F.cross_entropy(logits, target)


def _numbers(
    weight: torch.Tensor, bias: torch.Tensor
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    return weight.detach().numpy().astype(np.float32), bias.detach().numpy().astype(np.float32)
