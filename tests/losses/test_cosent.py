import math

import pytest
import torch

from tenor.losses.cosent import cosent


def at_cosines(*cosines):
    """Pairs with exactly these cosines."""
    right = torch.tensor([[c, math.sqrt(1 - c * c)] for c in cosines], dtype=torch.float64)
    left = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand_as(right)
    return left, right


def test_it_sums_over_the_pairs_with_strictly_ordered_scores():
    left, right = at_cosines(0.1, 0.9, 0.5)
    loss = cosent(left, right, torch.tensor([2.0, 1.0, 1.0]), scale=2.0)
    expected = math.log(1 + math.exp(2 * (0.9 - 0.1)) + math.exp(2 * (0.5 - 0.1)))
    assert loss.item() == pytest.approx(expected)


def test_equal_scores_are_not_compared():
    left, right = at_cosines(0.1, 0.9)
    right.requires_grad_()
    loss = cosent(left, right, torch.tensor([0.3, 0.3]))
    loss.backward()
    assert loss == 0
    assert right.grad.eq(0).all()


def test_only_the_order_of_the_scores_counts():
    left, right = at_cosines(0.1, 0.9, 0.5, -0.3)
    scores = torch.tensor([0.0, 0.3, 0.2, 0.9])
    assert cosent(left, right, scores) == cosent(left, right, 5 * scores - 2)


def test_a_large_scale_does_not_overflow():
    left, right = at_cosines(-1.0, 1.0)
    loss = cosent(left.float(), right.float(), torch.tensor([1.0, 0.0]), scale=1000.0)
    assert loss.item() == pytest.approx(2000.0)
