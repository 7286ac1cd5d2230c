"""Labels that are probably wrong."""

import numpy as np

from tenor.data.label_noise import suspicious_labels


def sure(labels, classes=3, strength=0.9):
    """Probabilities of a model that is right, and rather sure."""
    rest = (1 - strength) / (classes - 1)
    return np.where(np.eye(classes, dtype=bool)[labels], strength, rest)


def test_flipped_labels_are_found_the_surest_first():
    true = np.arange(60) % 3
    probabilities = sure(true)
    probabilities[7] = [0.0, 0.98, 0.02]  # the model is surer of this one than of others
    given = true.copy()
    given[[4, 7, 30]] = (true[[4, 7, 30]] + 1) % 3
    found = suspicious_labels(probabilities, given)
    assert [each.row for each in found] == [7, 4, 30]
    assert [each.likely for each in found] == [1, 1, 0]
    assert found[0].given == 2 and found[0].margin == 0.96


def test_texts_the_model_is_unsure_of_are_no_suspects():
    true = np.arange(30) % 3
    probabilities = sure(true)
    probabilities[0] = [0.3, 0.5, 0.2]  # of label 0, but not clearly
    assert suspicious_labels(probabilities, true) == []
    assert [each.row for each in suspicious_labels(probabilities, true, margin=0.1)] == []


def test_a_label_nobody_has_is_never_likely():
    probabilities = np.tile([0.1, 0.1, 0.8], (4, 1))
    assert suspicious_labels(probabilities, np.array([0, 0, 1, 1])) == []
