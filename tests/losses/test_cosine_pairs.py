"""Cosine loss over all pairs of a batch."""

import numpy as np
import pytest
import torch

from tenor.losses.cosine_pairs import cosine_pairs
from tenor.losses.cosine_similarity import cosine_similarity


def test_is_the_cosine_loss_of_like_and_unlike_pairs_half_each():
    embeddings = torch.randn(9, 5, dtype=torch.float64)
    labels = torch.arange(9) % 3
    like = labels[:, None] == labels[None, :]
    left, right = torch.triu_indices(9, 9, offset=1)
    due = like[left, right]
    halves = [
        cosine_similarity(embeddings[left[kind]], embeddings[right[kind]], due[kind].double())
        for kind in (due, ~due)
    ]
    expected = (halves[0] + halves[1]) / 2
    torch.testing.assert_close(cosine_pairs(embeddings, like), expected)


def test_a_pair_that_does_not_count_changes_nothing():
    embeddings = torch.randn(4, 3)
    like = torch.eye(4)
    excluded = torch.zeros(4, 4, dtype=torch.bool)
    excluded[3, :] = excluded[:, 3] = True
    expected = cosine_pairs(embeddings[:3], like[:3, :3])
    torch.testing.assert_close(cosine_pairs(embeddings, like, excluded_UU=excluded), expected)


@pytest.mark.parametrize("like", [torch.ones(3, 3), torch.zeros(3, 3)])
def test_one_kind_of_pairs_counts_whole(like):
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    cosines = np.array([0.0, 0.6, 0.8])
    expected = ((cosines - float(like[0, 1])) ** 2).mean()
    assert float(cosine_pairs(embeddings, like)) == pytest.approx(expected)


def test_without_a_pair_there_is_a_gradient_of_nothing():
    embeddings = torch.randn(1, 4, requires_grad=True)
    loss = cosine_pairs(embeddings, torch.ones(1, 1))
    loss.backward()
    assert float(loss.detach()) == 0 and not embeddings.grad.any()


def test_a_probability_is_the_mean_over_what_may_be():
    embeddings = torch.randn(3, 8, dtype=torch.float64)
    like = torch.tensor([[1.0, 0.3, 0.0], [0.3, 1.0, 1.0], [0.0, 1.0, 1.0]])
    first, none, sure = torch.nn.functional.normalize(embeddings)
    same = 0.3 * (first @ none - 1) ** 2 + (none @ sure - 1) ** 2
    apart = 0.7 * (first @ none) ** 2 + (first @ sure) ** 2
    found = cosine_pairs(embeddings, like.double())
    torch.testing.assert_close(found, same / 1.3 / 2 + apart / 1.7 / 2)


def test_is_computed_in_float32_under_autocast():
    embeddings = torch.randn(6, 16)
    like = torch.eye(6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = cosine_pairs(embeddings, like)
    torch.testing.assert_close(found, cosine_pairs(embeddings, like), rtol=0, atol=0)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="likeness_UU"):
        cosine_pairs(torch.randn(3, 2), torch.eye(2))
    with pytest.raises(ValueError, match="embeddings_UD"):
        cosine_pairs(torch.randn(3), torch.eye(3))
