import pytest
import torch

from tenor.losses.triplet import triplet


@pytest.mark.parametrize(
    ("distance", "expected"),
    [("euclidean", 5.0 - 2.0 + 1.0), ("manhattan", 7.0 - 2.0 + 1.0), ("cosine", 0.4 - 1.0 + 1.0)],
)
def test_each_distance(distance, expected):
    anchor = torch.tensor([[1.0, 0.0]])
    positive = torch.tensor([[4.0, 4.0]]) if distance != "cosine" else torch.tensor([[3.0, 4.0]])
    negative = torch.tensor([[1.0, 2.0]]) if distance != "cosine" else torch.tensor([[0.0, 2.0]])
    loss = triplet(anchor, positive, negative, margin=1.0, distance=distance)
    assert loss.item() == pytest.approx(expected)


def test_a_triplet_beyond_the_margin_has_no_gradient():
    anchor = torch.zeros(2, 1, requires_grad=True)
    positive = torch.ones(2, 1)
    negative = torch.tensor([[2.0], [9.0]])
    triplet(anchor, positive, negative).backward()
    assert anchor.grad[1] == 0
