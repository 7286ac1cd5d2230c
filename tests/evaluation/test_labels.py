"""Accuracy and macro F1 of labels, as scikit-learn has them."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from tenor.evaluation.labels import label_intervals, label_metrics


def test_macro_f1_leaves_out_labels_that_never_occur():
    found, gold = np.array([0, 3, 3, 0]), np.array([0, 3, 0, 0])
    expected = sklearn.f1_score(gold, found, average="macro")
    assert label_metrics(found, gold)["macro_f1"] == pytest.approx(expected)
    low, high = label_intervals(found, gold)["accuracy"]
    assert 0 <= low < 0.75 < high <= 1
