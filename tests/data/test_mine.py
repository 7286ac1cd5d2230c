"""Choosing negatives from ranked candidates: the rules one by one, and all together by hand."""

import numpy as np
import pytest

from tenor.data.mine import (
    choose_negatives,
    draw_rows,
    interleave,
    judge_candidates,
    leftmost,
    text_digests,
)
from tenor.data.negative_rules import NegativeRules

ROWS = np.array([[4, 7, 2, 9, 1, -1]])
SCORES = np.array([[0.95, 0.8, 0.79, 0.5, -0.2, -np.inf]], dtype=np.float32)
POSITIVE = np.array([0.8], dtype=np.float32)
LOOSE = {"relative_margin": None}


def kept(**rules):
    mask, dropped = judge_candidates(NegativeRules(**rules), ROWS, SCORES, POSITIVE)
    return ROWS[mask].tolist(), {name: count for name, count in dropped.items() if count}


@pytest.mark.parametrize(
    ("rules", "left", "dropped"),
    [
        (LOOSE, [4, 7, 2, 9, 1], {}),
        ({}, [9, 1], {"relative_margin": 3}),
        ({"relative_margin": 0.0}, [2, 9, 1], {"relative_margin": 2}),
        ({**LOOSE, "margin": 0.2}, [9, 1], {"margin": 3}),
        ({**LOOSE, "skip": 2}, [2, 9, 1], {"skip": 2}),
        ({**LOOSE, "max_score": 0.8}, [7, 2, 9, 1], {"max_score": 1}),
        ({**LOOSE, "min_score": 0.5}, [4, 7, 2, 9], {"min_score": 1}),
        ({"skip": 1, "min_score": 0.0}, [9], {"skip": 1, "relative_margin": 2, "min_score": 1}),
    ],
)
def test_each_rule_drops_what_it_says(rules, left, dropped):
    assert kept(**rules) == (left, dropped)


def test_a_margin_to_a_negative_positive_is_still_below_it():
    scores = np.array([[-0.4, -0.41, -0.5]], dtype=np.float32)
    rows = np.arange(3)[None]
    mask, _ = judge_candidates(NegativeRules(), rows, scores, np.float32([-0.4]))
    assert mask.tolist() == [[False, False, True]]


def test_rankings_take_turns_and_no_row_comes_twice():
    one = np.array([[1, 2, 3], [5, 6, -1]])
    two = np.array([[2, 8], [5, 5]])
    assert interleave([one, two]).tolist() == [[1, 2, 8, 3, -1, -1], [5, 6, -1, -1, -1, -1]]


def test_the_top_ones_are_taken_or_random_ones_by_seed_and_anchor_alone():
    rows = np.tile(np.arange(40), (6, 1))
    allowed = np.ones(rows.shape, dtype=bool)
    allowed[:, :3] = False
    anchors, wanted = np.arange(6), np.full(6, 4)
    top, _ = choose_negatives(NegativeRules(), rows, allowed, anchors, wanted)
    assert leftmost(top, rows, -1, 4).tolist() == [[3, 4, 5, 6]] * 6

    def random(seed, part):
        rules = NegativeRules(sampling="random", seed=seed)
        mask, _ = choose_negatives(rules, rows[part], allowed[part], anchors[part], wanted[part])
        return [np.flatnonzero(line).tolist() for line in mask]

    whole = random(0, slice(None))
    assert whole == random(0, slice(0, 2)) + random(0, slice(2, 6))
    assert whole != random(1, slice(None))
    assert all(len(line) == 4 and min(line) >= 3 for line in whole)
    assert len({tuple(line) for line in whole}) > 1


@pytest.mark.parametrize("sampling", ["top", "random"])
def test_a_refused_candidate_makes_room_for_the_next_and_no_more_are_asked(sampling):
    rows = np.tile(np.arange(10), (2, 1))
    asked = []

    def accept(places, candidates):
        asked.extend(zip(places.tolist(), candidates.tolist(), strict=True))
        return candidates % 2 == 1

    rules = NegativeRules(negatives=3, sampling=sampling)
    allowed = np.ones(rows.shape, dtype=bool)
    allowed[1, 4:] = False
    taken, refused = choose_negatives(rules, rows, allowed, np.arange(2), np.array([3, 3]), accept)
    assert (taken.sum(axis=1) == [3, 2]).all()
    assert not taken[:, ::2].any()
    assert len(asked) == len(set(asked)) == 5 + refused
    if sampling == "top":
        assert np.flatnonzero(taken[0]).tolist() == [1, 3, 5]
        assert len([place for place, _ in asked if place == 0]) == 6


def test_random_rows_are_distinct_and_repeatable():
    rules = NegativeRules(seed=3)
    for texts in (5, 30, 1_000):
        drawn = draw_rows(rules, np.array([8, 2]), 10, texts)
        assert (drawn == draw_rows(rules, np.array([8, 2]), 10, texts)).all()
        assert (drawn[1:] == draw_rows(rules, np.array([2]), 10, texts)).all()
        for line in drawn:
            there = line[line >= 0]
            assert len(set(there.tolist())) == len(there) <= min(10, texts)
            assert there.max() < texts


def test_texts_count_as_the_same_whatever_their_case_and_spaces():
    digests = text_digests(["A  cat", "a cat ", "a dog"])
    assert digests[0] == digests[1] != digests[2]
    assert len(set(text_digests(["A  cat", "a cat "], str).tolist())) == 2
