"""Heads fitted to probabilities."""

import numpy as np
import pytest

from tenor.recipes.logistic_regression import fit_logistic
from tenor.recipes.soft_logistic import fit_linear_head, fit_soft_logistic, probabilities_from


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    target = np.arange(60) % 3
    vectors = generator.normal(size=(60, 6)) + np.eye(3, 6)[target] * 1.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), target


def shares(vectors, weight, bias):
    logits = np.exp(vectors @ weight.T + bias)
    return logits / logits.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("value", [0.5, 10.0])
def test_known_labels_give_logistic_regression(value, data):
    vectors, target = data
    expected = shares(vectors, *fit_logistic(vectors, target, 3, value))
    found = shares(vectors, *fit_soft_logistic(vectors, probabilities_from(target, 3), value))
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_known_labels_of_several_give_one_regression_each(data):
    vectors, target = data
    due = np.stack([target == 0, target != 2], axis=1).astype(np.float32)
    expected = fit_logistic(vectors, due, 2, 5.0)
    found = fit_soft_logistic(vectors, due, 5.0, multi_label=True)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02)


def test_half_a_label_is_told_as_half(data):
    vectors, _ = data
    soft = np.tile(np.float32([0.5, 0.3, 0.2]), (60, 1))
    for fitted in (fit_soft_logistic(vectors, soft, 100.0), fit_linear_head(vectors, soft)):
        np.testing.assert_allclose(shares(vectors, *fitted), soft, atol=0.01)


def test_a_layer_trained_step_by_step_tells_the_labels(data):
    vectors, target = data
    weight, bias = fit_linear_head(vectors, probabilities_from(target, 3))
    right = ((vectors @ weight.T + bias).argmax(axis=1) == target).mean()
    assert weight.shape == (3, 6) and weight.dtype == np.float32 and right > 0.7
    again, _ = fit_linear_head(vectors, probabilities_from(target, 3))
    assert np.array_equal(weight, again)
