"""Telling pairs that are the same from those that are not by a score: figures and intervals.

Shape legend: N pairs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenor.evaluation.intervals import percentile_interval

__all__ = ["threshold_intervals", "threshold_metrics"]

Scores = npt.NDArray[np.floating]
Labels = npt.NDArray[np.bool_]


def threshold_metrics(scores_N: Scores, labels_N: Labels) -> tuple[dict[str, float], float]:
    """Average precision, best F1 and best accuracy of "the same if the score is high enough".

    F1 and accuracy are those of the best threshold on these very pairs, so they are optimistic;
    average precision needs no threshold.

    Args:
        scores_N: higher means more alike.
        labels_N: whether the pair is the same; both kinds must occur.

    Returns:
        average_precision, f1 and accuracy, and the lowest score that counts as the same where F1 is
        best.

    >>> same = np.array([True, False, False])
    >>> metrics, threshold = threshold_metrics(np.array([0.9, 0.8, 0.1]), same)
    >>> metrics["average_precision"], metrics["f1"], threshold
    (1.0, 1.0, 0.9)
    """
    order = np.argsort(-scores_N, kind="stable")
    hits = np.cumsum(labels_N[order])
    count = np.arange(1, len(order) + 1)
    last = np.append(np.diff(scores_N[order]) != 0, True)  # equal scores share one threshold
    hits, count = hits[last], count[last]
    positives = int(labels_N.sum())
    precision, recall = hits / count, hits / positives
    correct = hits + (len(labels_N) - positives) - (count - hits)
    f1 = 2 * hits / (count + positives)
    metrics = {
        "average_precision": float(np.sum(np.diff(recall, prepend=0.0) * precision)),
        "f1": float(f1.max()),
        "accuracy": float(max(correct.max(), len(labels_N) - positives) / len(labels_N)),
    }
    return metrics, float(scores_N[order][last][int(f1.argmax())])


def threshold_intervals(
    scores_N: Scores, labels_N: Labels, *, resamples: int = 200, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Bootstrap 95 % intervals of the figures of `threshold_metrics`, resampling the pairs.

    Args:
        scores_N: higher means more alike.
        labels_N: whether the pair is the same; both kinds must occur.
        resamples: those in which all pairs have one label are left out.
        seed: the same seed gives the same intervals.
    """
    generator = np.random.default_rng(seed)
    samples: dict[str, list[float]] = {}
    for _ in range(resamples):
        rows = generator.integers(0, len(labels_N), len(labels_N))
        if 0 < labels_N[rows].sum() < len(rows):
            for name, value in threshold_metrics(scores_N[rows], labels_N[rows])[0].items():
                samples.setdefault(name, []).append(value)
    return {name: percentile_interval(values) for name, values in samples.items()}
