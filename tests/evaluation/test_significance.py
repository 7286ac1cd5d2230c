"""Figures of many models on shared resamples, and Holm's correction."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from tenor.errors import DataError
from tenor.evaluation.intervals import (
    bootstrap_mean,
    paired_bootstrap,
    paired_bootstrap_spearman,
    resample_counts,
)
from tenor.evaluation.significance import (
    enough_resamples,
    holm,
    pairwise_differences,
    resampled_figure,
)

GENERATOR = np.random.default_rng(0)
GOLD = GENERATOR.uniform(size=80)
SCORES = np.stack([GOLD + GENERATOR.normal(0, noise, 80) for noise in (0.1, 0.4, 3.0)], axis=1)


def test_the_mean_is_that_of_the_single_models():
    values = (SCORES > 0.5).astype(float)
    found = resampled_figure("mean", values, resamples=500, seed=3)
    assert found.observed == pytest.approx(values.mean(axis=0))
    for model in range(3):
        expected = bootstrap_mean(values[:, model], resamples=500, seed=3)
        assert found.interval(model) == pytest.approx(expected)
    one = pairwise_differences(found)[0]
    expected = paired_bootstrap(values[:, 0], values[:, 1], resamples=500, seed=3)
    assert (one.difference, one.low, one.high, one.p) == pytest.approx(tuple(expected))


def test_spearman_is_that_of_two_models_alone():
    found = resampled_figure("spearman", SCORES, GOLD, resamples=300, seed=1)
    for model in range(3):
        assert found.observed[model] == pytest.approx(spearmanr(SCORES[:, model], GOLD).statistic)
    last = pairwise_differences(found)[-1]
    assert (last.left, last.right) == (1, 2)
    expected = paired_bootstrap_spearman(SCORES[:, 1], SCORES[:, 2], GOLD, resamples=300, seed=1)
    assert (last.difference, last.low, last.high, last.p) == pytest.approx(tuple(expected))


def test_average_precision_with_ties_and_repeated_items_as_scikit_learn_has_it():
    labels = (GOLD > 0.6).astype(float)
    scores = SCORES.round(1)
    found = resampled_figure("average_precision", scores, labels, resamples=20, seed=2)
    for model in range(3):
        expected = average_precision_score(labels, scores[:, model])
        assert found.observed[model] == pytest.approx(expected)
    [counts] = resample_counts(80, 20, 2)
    for sample, count in enumerate(counts.astype(int)):
        drawn = np.repeat(np.arange(80), count)
        expected = average_precision_score(labels[drawn], scores[drawn, 1])
        assert found.samples[sample, 1] == pytest.approx(expected)


def test_a_resample_without_a_positive_item_has_no_average_precision():
    labels, scores = np.array([1.0, 0.0, 0.0]), np.array([[0.9], [0.2], [0.1]])
    found = resampled_figure("average_precision", scores, labels, resamples=200)
    assert np.isnan(found.samples).any()
    assert found.interval(0)[1] == 1.0
    with pytest.raises(DataError, match="same label"):
        resampled_figure("average_precision", scores, np.ones(3))


def test_holm_as_worked_by_hand_in_any_order():
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_never_calls_more_real_than_plain_p_values_and_no_more_than_bonferroni_forbids():
    values = GENERATOR.uniform(0, 0.2, 30)
    corrected = np.array(holm(values.tolist()))
    assert (corrected >= values).all()
    assert (corrected <= np.minimum(1, 30 * values) + 1e-12).all()
    order = np.argsort(values)
    assert (np.diff(corrected[order]) >= 0).all()


def test_a_clear_difference_stays_clear_among_many_and_noise_does_not_become_one():
    better = np.concatenate([np.ones(300), np.zeros(100)])
    worse = np.concatenate([np.ones(200), np.zeros(200)])
    noisy = [GENERATOR.permutation(worse) for _ in range(5)]
    values = np.stack([better, worse, *noisy], axis=1)
    pairs = 21
    found = pairwise_differences(
        resampled_figure("mean", values, resamples=enough_resamples(pairs))
    )
    corrected = holm([one.p for one in found])
    assert corrected[0] < 0.05
    among_equals = [
        p for one, p in zip(found, corrected, strict=True) if one.left > 0 and one.right > 0
    ]
    assert min(among_equals) > 0.05


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match="nan"):
        resampled_figure("mean", [[1.0], [float("nan")]])
    with pytest.raises(DataError, match="shape"):
        resampled_figure("mean", [1.0, 2.0])
