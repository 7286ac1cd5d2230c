import numpy as np
import pytest

from tenor.errors import ConfigError
from tenor.tokens.plan import TrainingPlan, batches_by_length


@pytest.mark.parametrize("budget", [1, 40, 64, 1000, 10**6])
def test_every_row_is_in_one_batch_within_the_budget_longest_first(budget):
    lengths = np.random.default_rng(0).integers(1, 90, 300)
    batches = list(batches_by_length(lengths, budget))
    rows = np.concatenate(batches)
    assert sorted(rows) == list(range(300))
    assert (np.diff(lengths[rows]) <= 0).all()
    for batch in batches:
        assert len(batch) == 1 or lengths[batch].sum() <= budget
    sums = [int(lengths[batch].sum()) for batch in batches]
    firsts = [int(lengths[batch[0]]) for batch in batches]
    for total, following in zip(sums, firsts[1:], strict=False):
        assert total + following > budget, "the next text would still have fitted"


def test_no_texts_no_batches():
    assert list(batches_by_length(np.zeros(0, dtype=np.int64), 10)) == []


def epoch(plan, number):
    return [plan.batch(number, index).tolist() for index in range(len(plan))]


def test_batches_come_from_seed_and_epoch_alone():
    first, second = TrainingPlan(103, 10, 7), TrainingPlan(103, 10, 7)
    epoch(second, 0)
    second.batch(5, 3)  # what was asked before has no influence
    assert epoch(first, 1) == epoch(second, 1)
    assert epoch(first, 1) != epoch(first, 2)
    assert epoch(first, 1) != epoch(TrainingPlan(103, 10, 8), 1)
    # Seed 1 of epoch 0 is no other name for seed 0 of epoch 1.
    assert epoch(TrainingPlan(103, 10, 1), 0) != epoch(TrainingPlan(103, 10, 0), 1)


@pytest.mark.parametrize(
    ("rows", "size", "drop_last", "batches"),
    [(103, 10, False, 11), (103, 10, True, 10), (100, 10, False, 10), (5, 10, False, 1),
     (5, 10, True, 0), (0, 10, False, 0), (101, 10, False, 11)],
)  # fmt: skip
def test_an_epoch_has_every_row_once(rows, size, drop_last, batches):
    plan = TrainingPlan(rows, size, 0, drop_last=drop_last)
    assert len(plan) == batches
    for number in range(3):
        found = epoch(plan, number)
        assert all(len(batch) == size for batch in found[:-1])
        flat = [row for batch in found for row in batch]
        assert len(flat) == len(set(flat)) == (batches * size if drop_last else rows)
        assert set(flat) <= set(range(rows))


def test_the_permutation_is_a_fair_one():
    """Over many epochs each row comes first about as often."""
    plan = TrainingPlan(4, 1, 0)
    counts = np.bincount([plan.batch(number, 0)[0] for number in range(2000)])
    assert counts.min() > 400
    assert counts.max() < 600


LABELS = np.random.default_rng(0).integers(0, 9, 203)  # some 22 rows a label


def test_with_labels_batches_hold_whole_groups_of_a_label():
    plan = TrainingPlan(203, 16, 3, labels=LABELS, group=4)
    leftover = int((np.bincount(LABELS) % 4).sum())
    for number in range(3):
        order = plan.order(number)
        assert sorted(order) == list(range(203))
        grouped = LABELS[order[: 203 - leftover]].reshape(-1, 4)
        assert (grouped == grouped[:, :1]).all()
        assert (np.diff(grouped[:, 0]) != 0).mean() > 0.5, "groups of one label stand together"
    groups = [plan.order(number)[: 203 - leftover].reshape(-1, 4).tolist() for number in (0, 1)]
    assert set(map(frozenset, groups[0])) != set(map(frozenset, groups[1]))
    again = TrainingPlan(203, 16, 3, labels=LABELS, group=4)
    assert epoch(plan, 2) == epoch(again, 2)


def test_a_batch_that_would_split_a_group_is_refused():
    with pytest.raises(ConfigError, match="batch_size"):
        TrainingPlan(203, 10, 0, labels=LABELS, group=4)
