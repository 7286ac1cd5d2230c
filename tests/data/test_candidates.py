"""Candidate pairs: distinct, unordered, none that is known; re-sampled to the gold's spread."""

import numpy as np
import pytest

from tenor.data.candidates import (
    keep_class_ratio,
    keep_gold_density,
    labelled_pair_codes,
    random_pairs,
    ranked_pairs,
)
from tenor.data.pool import Pool
from tenor.data.schema import PairTable
from tenor.errors import ConfigError


def pairs_of(candidates):
    return list(zip(candidates.left.tolist(), candidates.right.tolist(), strict=True))


def table(**columns):
    rows = len(next(iter(columns.values())))
    return PairTable("pairs", columns, None, None, np.arange(rows), "rows.csv")


@pytest.mark.parametrize(("texts", "count"), [(5, 3), (5, 7), (5, 100), (1000, 50), (60, 880)])
def test_random_pairs_are_distinct_and_never_of_a_text_with_itself(texts, count):
    found = random_pairs(texts, count, np.random.default_rng(0))
    pairs = pairs_of(found)
    assert len(pairs) == len(set(pairs)) == min(count, texts * (texts - 1) // 2)
    assert all(0 <= left < right < texts for left, right in pairs)
    assert pairs == pairs_of(random_pairs(texts, count, np.random.default_rng(0)))
    assert set(found.source) == {"random"} and not found.rank.any() and np.isnan(found.score).all()


def test_random_pairs_are_drawn_with_equal_probability():
    generator = np.random.default_rng(0)
    counts = np.zeros((6, 6))
    for _ in range(3000):
        for left, right in pairs_of(random_pairs(6, 3, generator)):
            counts[left, right] += 1
    drawn = counts[np.triu_indices(6, 1)]
    assert np.abs(drawn / drawn.mean() - 1).max() < 0.15


def test_a_pair_found_from_both_sides_stands_once_with_its_better_rank():
    rows = np.array([[0, 2, 1], [1, 2, 0], [2, 0, 1]])
    scores = np.array([[1.0, 0.9, 0.5], [1.0, 0.8, 0.5], [1.0, 0.9, 0.8]], dtype=np.float32)
    found = ranked_pairs(rows, scores, 2, "semantic")
    assert pairs_of(found) == [(0, 1), (0, 2), (1, 2)]
    assert found.rank.tolist() == [2, 1, 1]
    assert found.score.tolist() == pytest.approx([0.5, 0.9, 0.8])
    assert pairs_of(ranked_pairs(rows, scores, 1, "semantic")) == [(0, 2), (1, 2)]


def test_a_copy_that_ranks_before_the_text_itself_does_not_shift_the_ranks():
    rows = np.array([[1, 0, 2], [0, 1, 2], [1, 0, 2]])
    found = ranked_pairs(rows, np.ones((3, 3), dtype=np.float32), 1, "semantic")
    assert pairs_of(found) == [(0, 1), (1, 2)]
    assert found.rank.tolist() == [1, 1]


def test_neighbours_at_or_below_a_score_make_no_pair():
    rows = np.array([[0, 1], [1, 0]])
    scores = np.array([[3.0, 0.0], [2.0, 0.0]], dtype=np.float32)
    assert not len(ranked_pairs(rows, scores, 1, "bm25", above=0.0))
    with pytest.raises(ConfigError, match="top_k"):
        ranked_pairs(rows, scores, 0, "bm25")


def test_joined_candidates_say_who_found_them():
    semantic = ranked_pairs(
        np.array([[1], [0], [0], [0]]), np.full((4, 1), 0.7, np.float32), 1, "semantic"
    )
    lexical = ranked_pairs(
        np.array([[1], [2], [1], [1]]), np.full((4, 1), 9.0, np.float32), 1, "bm25"
    )
    both = semantic.joined(lexical)
    assert pairs_of(both) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    assert both.source.tolist() == ["semantic+bm25", "semantic", "semantic", "bm25", "bm25"]
    assert both.score.tolist() == pytest.approx([0.7, 0.7, 0.7, 9.0, 9.0])


def test_known_pairs_are_found_in_either_order_and_whatever_their_case():
    pool = Pool(["A cat", "a dog", "a bird", "a fish"], "pool.txt")
    scored = table(sentence1=["A  DOG", "unknown", "a cat"], sentence2=["a cat", "a dog", "A cat"])
    triplets = table(anchor=["a bird"], positive=["a fish"], negative=["a cat"])
    codes = labelled_pair_codes(pool, [scored, triplets, table(text=["a dog"])])
    assert codes.tolist() == [0 * 4 + 1, 0 * 4 + 2, 2 * 4 + 3]
    left = random_pairs(4, 6, np.random.default_rng(0)).without(codes)
    assert pairs_of(left) == [(0, 3), (1, 2), (1, 3)]


def test_a_sample_is_drawn_without_replacement():
    found = random_pairs(50, 400, np.random.default_rng(0))
    sample = found.sample(100, np.random.default_rng(1))
    assert len(set(pairs_of(sample))) == 100
    assert set(pairs_of(sample)) < set(pairs_of(found))
    assert found.sample(1000, np.random.default_rng(1)) is found


def test_kernel_density_re_sampling_makes_the_silver_scores_spread_as_the_gold_ones():
    """Kept is the share gold density / silver density, or all where that is above 1."""
    generator = np.random.default_rng(0)
    gold = generator.beta(4, 3, 20_000).astype(np.float32)
    silver = generator.beta(1, 3, 200_000).astype(np.float32)  # mostly near 0
    kept = keep_gold_density(silver, gold, generator)
    bins = np.linspace(0, 1, 11)
    wanted, found = (np.histogram(scores, bins, density=True)[0] for scores in (gold, silver))
    share = np.histogram(silver[kept], bins)[0] / np.histogram(silver, bins)[0]
    assert share == pytest.approx(np.minimum(1, wanted / found), abs=0.08)
    assert abs(silver[kept].mean() - gold.mean()) < 0.5 * abs(silver.mean() - gold.mean())


def test_scores_spread_alike_are_nearly_all_kept_also_at_the_ends():
    generator = np.random.default_rng(0)

    def draw(count):
        return np.clip(generator.normal(0.5, 0.6, count), 0, 1).astype(np.float32)

    silver = draw(20_000)
    kept = keep_gold_density(silver, draw(20_000), generator)
    for chosen in (silver == 0, silver == 1, (silver > 0.2) & (silver < 0.8)):
        assert kept[chosen].mean() > 0.9


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_classes_are_kept_in_the_gold_ratio_and_the_rarer_one_whole(share):
    generator = np.random.default_rng(0)
    silver = np.where(generator.random(1000) < 0.2, 0.9, 0.1).astype(np.float32)
    gold = (np.arange(100) < 100 * share).astype(np.float32)
    kept = keep_class_ratio(silver, gold, generator)
    same = silver >= 0.5
    assert (kept & same).sum() / kept.sum() == pytest.approx(share, abs=0.01)
    assert kept[same].all() or kept[~same].all()
