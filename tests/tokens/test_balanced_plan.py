"""Class-balanced batches from the seed alone."""

import numpy as np
import pytest

from tenor.tokens.balanced_plan import ClassBalancedPlan


def plan_of(target, steps=20, *, classes=3, texts=4, seed=0):
    return ClassBalancedPlan(np.asarray(target), steps, classes=classes, texts=texts, seed=seed)


def test_every_batch_has_so_many_texts_of_so_many_classes():
    target = np.repeat(np.arange(7), 10)
    plan = plan_of(target)
    assert len(plan) == 20 and plan.batch_size == 12
    for index in range(20):
        rows = plan.batch(0, index)
        classes, counts = np.unique(target[rows], return_counts=True)
        assert len(classes) == 3 and counts.tolist() == [4, 4, 4]
        assert len(set(rows.tolist())) == 12


def test_no_text_comes_again_before_all_of_its_class_have_come():
    target = np.repeat(np.arange(2), [9, 5])
    plan = plan_of(target, 40, classes=2, texts=4)
    counts = np.bincount(plan.order(0), minlength=14)
    for rows in (slice(0, 9), slice(9, 14)):
        assert np.ptp(counts[rows]) <= 1


def test_classes_come_equally_often():
    target = np.repeat(np.arange(5), 8)
    plan = plan_of(target, 50, classes=3)
    counts = np.bincount(target[plan.order(0)])
    assert np.ptp(counts) <= 4


def test_a_small_class_gives_all_it_has():
    target = np.array([0] * 10 + [1] * 2)
    for index in range(20):
        rows = plan_of(target).batch(0, index)
        assert np.bincount(target[rows]).tolist() == [4, 2]


def test_the_same_seed_gives_the_same_batches_in_any_order():
    target = np.arange(60) % 6
    forward, other = plan_of(target), plan_of(target, seed=1)
    there = [forward.batch(0, index).tolist() for index in range(20)]
    back = plan_of(target)
    assert [back.batch(0, index).tolist() for index in reversed(range(20))] == there[::-1]
    assert other.batch(0, 0).tolist() != there[0]
    assert forward.batch(1, 0).tolist() != there[0]


def test_a_row_drawn_for_two_labels_stands_there_once_and_rows_without_any_take_part():
    target = np.array([[1, 1], [1, 0], [0, 1], [0, 0], [0, 0]])
    seen = set()
    for index in range(20):
        rows = plan_of(target, classes=3, texts=2).batch(0, index).tolist()
        assert len(rows) == len(set(rows)) <= 6
        seen.update(rows)
    assert seen == set(range(5))


@pytest.mark.parametrize("classes", [2, 9])
def test_more_classes_than_there_are(classes):
    plan = plan_of(np.arange(8) % 2, classes=classes)
    assert plan.classes == 2
