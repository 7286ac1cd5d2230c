"""Accuracy and macro F1 of labels, with intervals.

Shape legend: N items.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenor.evaluation.intervals import percentile_interval

__all__ = ["label_intervals", "label_metrics"]

Labels = npt.NDArray[np.int64]


def label_metrics(found_N: Labels, gold_N: Labels) -> dict[str, float]:
    """Accuracy, and the mean F1 of the labels that occur (macro F1, as scikit-learn has it).

    Args:
        found_N: the label given to each item.
        gold_N: its label.

    >>> label_metrics(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]))
    {'accuracy': 0.75, 'macro_f1': 0.7333333333333334}
    """
    labels = max(int(found_N.max()), int(gold_N.max())) + 1
    right = np.bincount(gold_N[found_N == gold_N], minlength=labels)
    either = np.bincount(found_N, minlength=labels) + np.bincount(gold_N, minlength=labels)
    f1 = 2 * right[either > 0] / either[either > 0]
    return {"accuracy": float(right.sum() / len(gold_N)), "macro_f1": float(f1.mean())}


def label_intervals(
    found_N: Labels, gold_N: Labels, *, resamples: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Bootstrap 95 % intervals of the figures of `label_metrics`, resampling the items.

    Args:
        found_N: the label given to each item.
        gold_N: its label.
        resamples: at least 1.
        seed: the same seed gives the same intervals.
    """
    generator = np.random.default_rng(seed)
    samples: dict[str, list[float]] = {}
    for _ in range(resamples):
        rows = generator.integers(0, len(gold_N), len(gold_N))
        for name, value in label_metrics(found_N[rows], gold_N[rows]).items():
            samples.setdefault(name, []).append(value)
    return {name: percentile_interval(values) for name, values in samples.items()}
