import pytest
import torch

from tenor.losses.contrastive import contrastive, online_contrastive


def at_distances(*distances):
    right = torch.tensor(distances)[:, None]
    return torch.zeros_like(right), right


@pytest.mark.parametrize(
    ("label", "distance", "expected"), [(1, 3.0, 4.5), (0, 3.0, 0.5), (0, 4.0, 0.0), (0, 5.0, 0.0)]
)
def test_a_dissimilar_pair_costs_nothing_beyond_the_margin(label, distance, expected):
    left, right = at_distances(distance)
    loss = contrastive(left, right, torch.tensor([label]), margin=4.0, distance="euclidean")
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_bool_and_float_labels_are_the_same():
    left, right = at_distances(1.0, 3.0)
    for loss in (contrastive, online_contrastive):
        values = {
            loss(left, right, labels, margin=4.0, distance="manhattan").item()
            for labels in (torch.tensor([True, False]), torch.tensor([1.0, 0.0]))
        }
        assert len(values) == 1


def test_online_keeps_only_the_hard_pairs():
    left, right = at_distances(1.0, 3.0, 2.0, 4.0)
    right.requires_grad_()
    # Similar at 1 (closer than every dissimilar: easy) and 3; dissimilar at 2 and 4 (easy).
    loss = online_contrastive(
        left, right, torch.tensor([1, 1, 0, 0]), margin=5.0, distance="euclidean"
    )
    loss.backward()
    assert loss.item() == pytest.approx(3.0**2 + (5.0 - 2.0) ** 2, abs=1e-4)
    assert right.grad.flatten().tolist() == pytest.approx([0.0, 6.0, -6.0, 0.0], abs=1e-4)


def test_online_compares_with_the_mean_if_all_pairs_are_of_one_kind():
    left, right = at_distances(1.0, 2.0, 6.0)  # mean 3
    similar = online_contrastive(left, right, torch.tensor([1, 1, 1]), distance="euclidean")
    assert similar.item() == pytest.approx(36.0, abs=1e-4)
    dissimilar = online_contrastive(
        left, right, torch.tensor([0, 0, 0]), margin=5.0, distance="euclidean"
    )
    assert dissimilar.item() == pytest.approx(16.0 + 9.0, abs=1e-4)


def test_online_without_a_hard_pair_is_a_zero_that_can_be_back_propagated():
    left, right = at_distances(1.0, 9.0)
    right.requires_grad_()
    loss = online_contrastive(left, right, torch.tensor([1, 0]), distance="euclidean")
    loss.backward()
    assert loss == 0
    assert right.grad.eq(0).all()
