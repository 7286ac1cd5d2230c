"""Losses of a cross-encoder's logits: gradients, precision, and what they refuse."""

import pytest
import torch

from tenor.losses.binary_cross_entropy import binary_cross_entropy
from tenor.losses.cross_entropy import cross_entropy
from tenor.losses.listwise import listwise
from tenor.losses.mean_squared_error import mean_squared_error

SCORES = torch.tensor([0.0, 0.2, 0.5, 1.0])
LABELS = torch.tensor([0, 2, 1, 2])
EXCLUDED = torch.tensor([[True, False, True]] * 4)

LOSSES = {
    "binary_cross_entropy": lambda x: binary_cross_entropy(x[:, 0], SCORES),
    "mean_squared_error": lambda x: mean_squared_error(x[:, 0], SCORES),
    "cross_entropy": lambda x: cross_entropy(x, LABELS),
    "listwise": listwise,
    "listwise with exclusions": lambda x: listwise(x, excluded_BK=EXCLUDED, scale=3.0),
}


@pytest.fixture(params=LOSSES)
def loss(request):
    return LOSSES[request.param]


@pytest.fixture
def logits():
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_gradients_match_finite_differences(loss, logits):
    assert torch.autograd.gradcheck(loss, (logits.requires_grad_(),))


def test_bf16_under_autocast_is_computed_in_float32(loss, logits):
    low = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(low)
    assert value.dtype == torch.float32
    assert value == loss(low.float())


def test_extreme_logits_give_finite_gradients(loss, logits):
    x = (1000 * logits).requires_grad_()
    loss(x).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("function", [binary_cross_entropy, mean_squared_error])
def test_targets_that_would_broadcast_are_refused(function):
    with pytest.raises(ValueError, match="same shape"):
        function(torch.zeros(4, 1), SCORES)
    with pytest.raises(ValueError, match="at least one row"):
        function(torch.zeros(0), torch.zeros(0))


def test_shapes_that_do_not_fit_are_refused(logits):
    with pytest.raises(ValueError, match="labels_B"):
        cross_entropy(logits, LABELS[:, None])
    with pytest.raises(ValueError, match="at least one row"):
        cross_entropy(logits[:0], LABELS[:0])
    with pytest.raises(ValueError, match="excluded_BK"):
        listwise(logits, excluded_BK=EXCLUDED[:2])
    with pytest.raises(ValueError, match="at least one row"):
        listwise(logits[:, :0])


def test_an_excluded_candidate_counts_for_nothing_but_the_positive_always_does(logits):
    expected = listwise(logits[:, :2])
    assert listwise(logits, excluded_BK=torch.tensor([[True, False, True]] * 4)) == expected
