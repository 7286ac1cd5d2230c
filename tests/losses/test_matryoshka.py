import pytest
import torch

from tenor.losses.cosent import cosent
from tenor.losses.matryoshka import matryoshka
from tenor.losses.ranking import multiple_negatives_ranking


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_weighted_sum_over_the_truncated_embeddings():
    anchors, candidates, positives = draw(3, 8, seed=1), draw(5, 8, seed=2), torch.tensor([0, 1, 2])
    loss = matryoshka(multiple_negatives_ranking, [8, 2], weights=[1.0, 0.25])
    expected = multiple_negatives_ranking(anchors, candidates, positives, scale=5.0)
    expected += 0.25 * multiple_negatives_ranking(
        anchors[:, :2], candidates[:, :2], positives, scale=5.0
    )
    torch.testing.assert_close(loss(anchors, candidates, positives, scale=5.0), expected)


def test_labels_and_masks_are_passed_on_untouched():
    seen = []

    def record(left, right, scores, *, mask):
        seen.append((left.shape, right.shape, scores.shape, mask.shape))
        return left.sum()

    # Five rows of width five: only two-dimensional floats are embeddings.
    left = draw(5, 5)
    matryoshka(record, [5, 3])(left, left, draw(5), mask=torch.ones(5, 5, dtype=torch.bool))
    assert seen == [((5, 5), (5, 5), (5,), (5, 5)), ((5, 3), (5, 3), (5,), (5, 5))]


def test_dimensions_beyond_the_largest_get_no_gradient():
    left, right = draw(4, 8, seed=1).requires_grad_(), draw(4, 8, seed=2).requires_grad_()
    matryoshka(cosent, [2, 4])(left, right, torch.arange(4)).backward()
    assert left.grad[:, 4:].eq(0).all()
    assert left.grad[:, :4].ne(0).all()


def test_gradients_match_finite_differences():
    left, right = draw(4, 6, seed=1).requires_grad_(), draw(4, 6, seed=2).requires_grad_()
    loss = matryoshka(cosent, [6, 3, 2], weights=[1.0, 0.5, 0.25])
    assert torch.autograd.gradcheck(
        lambda left, right: loss(left, right, torch.arange(4), scale=3.0), (left, right)
    )


@pytest.mark.parametrize(
    ("dimensions", "weights", "named"),
    [([], None, "at least one"), ([4, 0], None, "above 0"), ([4, 2], [1.0], "weights")],
)
def test_impossible_dimensions_are_refused_at_once(dimensions, weights, named):
    with pytest.raises(ValueError, match=named):
        matryoshka(cosent, dimensions, weights)


def test_a_dimension_above_the_width_is_refused():
    with pytest.raises(ValueError, match="16 is above the 8"):
        matryoshka(cosent, [16, 4])(draw(4, 8), draw(4, 8), torch.arange(4))


def test_embeddings_passed_by_name_are_not_silently_left_whole():
    loss = matryoshka(cosent, [8, 4])
    with pytest.raises(ValueError, match="right_BD"):
        loss(draw(4, 8), right_BD=draw(4, 8), scores_B=torch.arange(4))
    with pytest.raises(ValueError, match="no positional argument"):
        loss(left_BD=draw(4, 8), right_BD=draw(4, 8), scores_B=torch.arange(4))
