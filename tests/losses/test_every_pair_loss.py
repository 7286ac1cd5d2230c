"""What holds for each loss over rows of embeddings, whatever its formula."""

import pytest
import torch

from tenor.losses.contrastive import contrastive, online_contrastive
from tenor.losses.cosent import cosent
from tenor.losses.cosine_similarity import cosine_similarity
from tenor.losses.softmax import softmax
from tenor.losses.triplet import triplet

SCORES = torch.tensor([0.0, 0.2, 0.2, 0.5, 0.8, 1.0])
LABELS = torch.tensor([1, 0, 1, 0, 0, 1])
WEIGHT = torch.linspace(-1, 1, 24).reshape(2, 12)

LOSSES = {
    "cosine_similarity": lambda u, v: cosine_similarity(u, v, SCORES),
    "cosent": lambda u, v: cosent(u, v, SCORES, scale=3.0),
    "softmax": lambda u, v: softmax(u, v, LABELS, WEIGHT),
}
for metric in ("cosine", "euclidean", "manhattan"):
    LOSSES |= {
        f"contrastive {metric}": lambda u, v, distance=metric: contrastive(
            u, v, LABELS, margin=1.5, distance=distance
        ),
        f"online_contrastive {metric}": lambda u, v, distance=metric: online_contrastive(
            u, v, LABELS, margin=1.5, distance=distance
        ),
        f"triplet {metric}": lambda u, v, distance=metric: triplet(
            u, v, v.roll(1, dims=0), distance=distance
        ),
    }


@pytest.fixture(params=LOSSES)
def loss(request):
    return LOSSES[request.param]


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)


def test_gradients_match_finite_differences(loss, pairs):
    left, right = pairs.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (left, right))


def test_bf16_under_autocast_is_computed_in_float32(loss, pairs):
    left, right = pairs.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(left, right)
    assert value.dtype == torch.float32
    assert value == loss(left.float(), right.float())


def test_zero_and_equal_vectors_give_finite_gradients(loss, pairs):
    left, right = pairs[0].clone(), pairs[0].clone()
    left[:2] = 0
    right[1:3] = 0
    left.requires_grad_()
    right.requires_grad_()
    loss(left, right).backward()
    assert left.grad.isfinite().all()
    assert right.grad.isfinite().all()


def test_embeddings_of_different_shape_are_refused(loss, pairs):
    left, right = pairs
    with pytest.raises(ValueError, match="same shape"):
        loss(left, right[:1])  # a single row would broadcast
    with pytest.raises(ValueError, match="same shape"):
        loss(left[:0], right[:0])  # the mean of nothing is NaN


@pytest.mark.parametrize("function", [cosine_similarity, cosent, contrastive, online_contrastive])
def test_targets_that_would_broadcast_are_refused(function, pairs):
    with pytest.raises(ValueError, match=r"_B must have the shape \(6,\)"):
        function(*pairs, LABELS[:, None])


@pytest.mark.parametrize("function", [contrastive, online_contrastive])
def test_an_unknown_distance_is_refused(function, pairs):
    with pytest.raises(ValueError, match="'dot'"):
        function(*pairs, LABELS, distance="dot")
    with pytest.raises(ValueError, match="'dot'"):
        triplet(*pairs, pairs[0], distance="dot")
