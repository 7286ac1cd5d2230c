"""Logistic regression on embeddings, and how strongly to regularise it.

Shape legend: N texts, D dimensions, C labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GRID", "choose_regularization", "fit_logistic"]

GRID = (0.1, 1.0, 10.0, 100.0, 1000.0)  # embeddings of length 1 want little regularisation
LONGEST = 1000  # iterations of the solver

Floats = npt.NDArray[np.floating]


def fit_logistic(
    vectors_ND: Floats,
    target: npt.NDArray[Any],
    classes: int,
    inverse_regularization: float,
    *,
    balanced: bool = False,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Fit a linear layer whose softmax, or sigmoid for several labels a text, tells the labels.

    Args:
        vectors_ND: the embeddings.
        target: (N,) labels, or (N, C) of 0 and 1.
        classes: C.
        inverse_regularization: C of scikit-learn: how little large weights cost, above 0.
        balanced: whether rare labels count as much as frequent ones.

    Returns:
        Weights (C, D) and biases (C,), float32. A label that no text has, or every text, is told
        by its bias alone.
    """
    weight = np.zeros((classes, vectors_ND.shape[1]))
    bias = np.zeros(classes)
    vectors_ND = vectors_ND.astype(np.float64)
    if target.ndim == 1:
        present = np.unique(target)
        bias[:] = -30.0  # of labels without a text: their share is nil
        bias[present] = 0.0
        if len(present) > 1:
            model = _fitted(vectors_ND, target, inverse_regularization, balanced)
            rows, offsets = model.coef_, model.intercept_
            if len(present) == 2:  # one row, the difference between both
                rows = np.concatenate([-rows, rows]) / 2
                offsets = np.concatenate([-offsets, offsets]) / 2
            weight[present], bias[present] = rows, offsets
        return weight.astype(np.float32), bias.astype(np.float32)
    for label in range(classes):
        due = target[:, label] > 0.5
        if due.all() or not due.any():
            odds = (due.sum() + 0.5) / ((~due).sum() + 0.5)
            bias[label] = np.log(odds)
            continue
        model = _fitted(vectors_ND, due, inverse_regularization, balanced)
        weight[label], bias[label] = model.coef_[0], model.intercept_[0]
    return weight.astype(np.float32), bias.astype(np.float32)


def choose_regularization(
    vectors_ND: Floats,
    target: npt.NDArray[Any],
    classes: int,
    folds_N: npt.NDArray[np.int64],
    *,
    balanced: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[float, list[dict[str, float]]]:
    """The regularisation whose probabilities fit held-out folds best, out of `GRID`.

    Args:
        vectors_ND: the embeddings.
        target: (N,) labels, or (N, C) of 0 and 1.
        classes: C.
        folds_N: in which fold each text is held out.
        balanced: whether rare labels count as much as frequent ones.
        tell: gets a line of text for each value that was tried.

    Returns:
        The value with the lowest log loss over all texts (the smaller one of equals), and what was
        measured: `inverse_regularization`, `log_loss` (nats) and `accuracy` of each.
    """
    tried = []
    for value in GRID:
        logits = np.zeros((len(target), classes))
        for fold in np.unique(folds_N):
            held = folds_N == fold
            weight, bias = fit_logistic(
                vectors_ND[~held], target[~held], classes, value, balanced=balanced
            )
            logits[held] = vectors_ND[held] @ weight.T + bias
        loss, accuracy = _quality(logits, target)
        tried.append({"inverse_regularization": value, "log_loss": loss, "accuracy": accuracy})
        tell(f"C = {value:g}: log loss {loss:.4f}, accuracy {accuracy:.4f} in cross-validation")
    best = min(tried, key=lambda each: each["log_loss"])
    return best["inverse_regularization"], tried


def _fitted(vectors_ND: Floats, target_N: npt.NDArray[Any], value: float, balanced: bool) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=value, max_iter=LONGEST, class_weight="balanced" if balanced else None
    )
    with warnings.catch_warnings():
        # After so many iterations what is left to gain is far below what another sample would move.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # It takes many labels with few texts each for numbers; they are names.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return model.fit(vectors_ND, target_N)


def _quality(logits_NC: Floats, target: npt.NDArray[Any]) -> tuple[float, float]:
    """Mean log loss, and the share of texts (or of decisions) that are right."""
    if target.ndim == 1:
        top_N1 = logits_NC.max(axis=1, keepdims=True)
        log_sum_N = np.log(np.exp(logits_NC - top_N1).sum(axis=1)) + top_N1[:, 0]
        losses = log_sum_N - logits_NC[np.arange(len(target)), target]
        return float(losses.mean()), float((logits_NC.argmax(axis=1) == target).mean())
    losses = np.logaddexp(0.0, logits_NC) - target * logits_NC
    return float(losses.mean()), float(((logits_NC >= 0) == (target > 0.5)).mean())
