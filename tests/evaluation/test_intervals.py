import time

import numpy as np
import pytest
from scipy import stats

from tenor.errors import ConfigError, DataError
from tenor.evaluation import intervals
from tenor.evaluation.intervals import (
    bootstrap_correlations,
    bootstrap_mean,
    paired_bootstrap,
    paired_bootstrap_spearman,
    percentile_interval,
)


def correlated(items=60, columns=3, seed=0):
    """Scores with ties, on a scale with a large mean, and gold with few levels."""
    generator = np.random.default_rng(seed)
    gold = generator.integers(0, 6, items).astype(float)
    scores = gold[:, None] + generator.normal(0, 2, (items, columns))
    return scores.round(1) + 1000.0, gold


def test_mean_interval_matches_theory():
    values = np.random.default_rng(1).normal(5.0, 2.0, 2000)
    low, high = bootstrap_mean(values, resamples=4000)
    error = values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_mean_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(2)
    covered = 0
    for seed in range(200):
        low, high = bootstrap_mean(generator.random(50) < 0.5, resamples=300, seed=seed)
        covered += low <= 0.5 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_same_seed_same_interval_whatever_the_block(monkeypatch):
    values = np.random.default_rng(3).random(101)
    scores, gold = correlated()
    mean, both = bootstrap_mean(values), bootstrap_correlations(scores, gold)
    assert bootstrap_mean(values) == mean
    assert bootstrap_mean(values, seed=1) != mean
    monkeypatch.setattr(intervals, "_BLOCK_ELEMENTS", 777)
    assert bootstrap_mean(values) == pytest.approx(mean, abs=1e-12)
    for whole, in_blocks in zip(both, bootstrap_correlations(scores, gold), strict=True):
        np.testing.assert_allclose(in_blocks, whole, atol=1e-12)


def test_equal_values_have_exactly_their_value_as_interval():
    assert bootstrap_mean([0.1] * 7) == (0.1, 0.1)
    assert bootstrap_mean([0.3]) == (0.3, 0.3)


def test_a_wider_level_gives_a_wider_interval():
    values = np.random.default_rng(4).random(50)
    low90, high90 = bootstrap_mean(values, level=0.9)
    low99, high99 = bootstrap_mean(values, level=0.99)
    assert low99 < low90 < high90 < high99


def test_resampled_correlations_are_those_of_the_drawn_pairs():
    scores, gold = correlated()
    pearson, spearman = bootstrap_correlations(scores, gold, resamples=40, seed=9)
    drawn = np.random.default_rng(9).integers(0, len(gold), (40, len(gold)))
    for resample, items in enumerate(drawn):
        for column in range(scores.shape[1]):
            x, y = scores[items, column], gold[items]
            assert pearson[resample, column] == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-10)
            assert spearman[resample, column] == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-10)


def test_a_resample_without_variation_is_left_out():
    scores, gold = np.array([[0.0], [0.0], [1.0]]), np.array([0.0, 0.0, 1.0])
    _, spearman = bootstrap_correlations(scores, gold, resamples=200)
    assert np.isnan(spearman).any()
    assert percentile_interval(spearman[:, 0]) == pytest.approx((1.0, 1.0))
    with pytest.raises(DataError, match="no resample"):
        percentile_interval([np.nan])


def test_speed_of_a_whole_sts_benchmark():
    scores, gold = correlated(items=1379, columns=4)
    start = time.process_time()
    bootstrap_correlations(scores, gold, resamples=1000)
    assert time.process_time() - start < 3.0


def test_paired_difference_sees_what_separate_intervals_do_not():
    generator = np.random.default_rng(5)
    right = generator.random(300)
    left = right + 0.02 + generator.normal(0, 0.05, 300)
    _, right_high = bootstrap_mean(right)
    left_low, _ = bootstrap_mean(left)
    assert left_low < right_high
    difference, low, high, p = paired_bootstrap(left, right)
    assert difference == pytest.approx((left - right).mean())
    assert 0.0 < low < difference < high
    assert p == pytest.approx(1 / 1001)


def test_paired_p_agrees_with_the_t_test_and_is_one_without_a_difference():
    generator = np.random.default_rng(6)
    left, right = generator.normal(0.1, 1, 400), generator.normal(0, 1, 400)
    expected = stats.ttest_rel(left, right).pvalue
    assert paired_bootstrap(left, right, resamples=5000).p == pytest.approx(expected, abs=0.03)
    assert paired_bootstrap(left, left) == (0.0, 0.0, 0.0, 1.0)


def test_paired_spearman():
    generator = np.random.default_rng(7)
    gold = generator.random(400)
    good, bad = gold + generator.normal(0, 0.2, 400), gold + generator.normal(0, 0.6, 400)
    difference, low, high, p = paired_bootstrap_spearman(good, bad, gold)
    expected = stats.spearmanr(good, gold)[0] - stats.spearmanr(bad, gold)[0]
    assert difference == pytest.approx(expected, abs=1e-12)
    assert 0.0 < low < difference < high
    assert p < 0.01
    mirrored = paired_bootstrap_spearman(bad, good, gold)
    assert mirrored.difference == pytest.approx(-difference)
    assert paired_bootstrap_spearman(good, good, gold).p == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_mean([]), "at least one"),
        (lambda: bootstrap_mean([1.0, np.inf]), "row 2"),
        (lambda: paired_bootstrap([1.0, 2.0], [1.0]), "2 left values and 1 right values"),
    ],
)
def test_unusable_values_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


@pytest.mark.parametrize("setting", [{"resamples": 0}, {"level": 95}, {"level": 0.0}])
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        bootstrap_mean([0.0, 1.0], **setting)


def test_an_interval_of_shares_stays_among_the_values():
    values = np.zeros(700)
    values[:2] = 1 / 7
    low, high = bootstrap_mean(values)
    assert low == 0.0
    assert 0.0 < high < 1 / 7
