"""Logistic regression without scikit-learn's object: the same probabilities, also at the edges."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tenor.models.classifier import probabilities_of
from tenor.recipes.logistic_regression import GRID, choose_regularization, fit_logistic

GENERATOR = np.random.default_rng(0)
VECTORS = GENERATOR.normal(size=(90, 6)).astype(np.float32)


def probabilities(target, classes, value=1.0, **options):
    weight, bias = fit_logistic(VECTORS, target, classes, value, **options)
    assert weight.shape == (classes, 6) and weight.dtype == bias.dtype == np.float32
    return probabilities_of(VECTORS @ weight.T + bias, np.ndim(target) == 2)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_those_of_scikit_learn(classes, balanced):
    target = (VECTORS[:, 0] > 0).astype(np.int64) + (VECTORS[:, 1] > 1) * (classes == 3)
    target %= classes
    peer = LogisticRegression(C=2.0, max_iter=1000, class_weight="balanced" if balanced else None)
    expected = peer.fit(VECTORS.astype(np.float64), target).predict_proba(VECTORS)
    found = probabilities(target, classes, 2.0, balanced=balanced)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_labels_by_themselves():
    target = np.stack([VECTORS[:, 0] > 0, VECTORS[:, 1] > 1], axis=1).astype(np.float32)
    found = probabilities(target, 2)
    for label in range(2):
        peer = LogisticRegression(max_iter=1000).fit(VECTORS.astype(np.float64), target[:, label])
        np.testing.assert_allclose(found[:, label], peer.predict_proba(VECTORS)[:, 1], atol=1e-5)


def test_a_label_without_texts_gets_none():
    found = probabilities(np.repeat([0, 2], 45), 3)
    assert found[:, 1].max() < 1e-9
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    alone = probabilities(np.full(90, 1), 3)
    assert alone[:, 1].min() > 0.999


def test_a_label_of_all_texts_or_none_is_told_by_its_bias():
    target = np.zeros((90, 2), np.float32)
    target[:, 1] = 1
    found = probabilities(target, 2)
    assert found[:, 0].max() < 0.01 and found[:, 1].min() > 0.99


@pytest.mark.parametrize("several", [False, True])
def test_noise_asks_for_more_regularisation_than_signal(several):
    folds = np.arange(90) % 5
    said = []

    def choose(target):
        return choose_regularization(VECTORS, target, 2, folds, tell=said.append)

    def shaped(target):
        return np.eye(2, dtype=np.float32)[target] if several else target

    clear, tried = choose(shaped((VECTORS[:, 0] > 0).astype(np.int64)))
    noise, _ = choose(shaped(GENERATOR.integers(0, 2, 90)))
    assert noise < clear
    assert [each["inverse_regularization"] for each in tried] == list(GRID) and len(said) == 10
    best = min(tried, key=lambda each: each["log_loss"])
    assert best["inverse_regularization"] == clear and best["accuracy"] > 0.9


def test_many_labels_of_few_texts_bring_no_warning():
    generator = np.random.default_rng(0)
    target = np.repeat(np.arange(20), 2)[:30]
    weight, bias = fit_logistic(generator.normal(size=(30, 8)), target, 20, 1.0)
    assert weight.shape == (20, 8) and (bias[15:] == -30.0).all()
