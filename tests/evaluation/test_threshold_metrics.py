"""Telling the same from the different by a score."""

import numpy as np

from tenor.evaluation.threshold_metrics import threshold_intervals, threshold_metrics


def test_thresholds_that_do_not_separate():
    metrics, threshold = threshold_metrics(np.zeros(4), np.array([True, False, False, False]))
    assert metrics == {"average_precision": 0.25, "f1": 0.4, "accuracy": 0.75}
    assert threshold == 0.0


def test_intervals_hold_the_figure_and_do_not_change():
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3 == 0
    scores = labels + generator.normal(size=60)
    metrics, _ = threshold_metrics(scores, labels)
    intervals = threshold_intervals(scores, labels)
    assert intervals == threshold_intervals(scores, labels)
    for name, value in metrics.items():
        assert intervals[name][0] < value < intervals[name][1]
