import math

import pytest
import torch

from tenor.losses.supervised_contrastive import supervised_contrastive


def embeddings(rows, dimension=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dimension, generator=generator, dtype=torch.float64)


def loop_reference(embeddings, labels, temperature, excluded):
    """Equation 2 of Khosla et al. 2020, term by term."""
    losses = []
    for i in range(len(labels)):
        others = [a for a in range(len(labels)) if a != i and not excluded[i][a]]
        positives = [a for a in others if labels[a] == labels[i]]
        if not positives:
            continue
        exponentials = {
            a: torch.exp(
                torch.dot(embeddings[i], embeddings[a])
                / (embeddings[i].norm() * embeddings[a].norm())
                / temperature
            )
            for a in others
        }
        total = sum(exponentials.values())
        losses.append(-sum(torch.log(exponentials[p] / total) for p in positives) / len(positives))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("rows", "classes"), [(5, 2), (16, 4), (24, 20)])
def test_value_and_gradient_equal_the_loops(seed, masked, rows, classes):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (rows,), generator=generator)
    labels[1] = labels[0]
    excluded = torch.rand(rows, rows, generator=generator) < (0.3 if masked else 0.0)
    excluded[0, 1] = False
    ours, theirs = (embeddings(rows, seed=seed).requires_grad_() for _ in range(2))
    loss = supervised_contrastive(
        ours, labels, temperature=0.1, excluded_UU=excluded if masked else None
    )
    expected = loop_reference(theirs, labels.tolist(), 0.1, excluded.tolist())
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-10)


def test_gradients_match_finite_differences():
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    assert torch.autograd.gradcheck(
        lambda z: supervised_contrastive(z, labels, temperature=0.5),
        embeddings(6).requires_grad_(),
    )


@pytest.mark.parametrize("rows", [1, 4])
def test_without_any_positive_it_is_a_zero_that_can_be_back_propagated(rows):
    vectors = embeddings(rows).requires_grad_()
    loss = supervised_contrastive(vectors, torch.arange(rows))
    loss.backward()
    assert loss == 0
    assert vectors.grad.eq(0).all()


def test_a_text_with_everything_excluded_contributes_nothing():
    vectors = embeddings(4).requires_grad_()
    excluded = torch.zeros(4, 4, dtype=torch.bool)
    excluded[3] = True
    excluded[:, 3] = True
    loss = supervised_contrastive(vectors, torch.tensor([0, 0, 1, 1]), excluded_UU=excluded)
    loss.backward()
    expected = supervised_contrastive(embeddings(4)[:3], torch.tensor([0, 0, 1]))
    torch.testing.assert_close(loss, expected)
    assert vectors.grad[3].eq(0).all()
    assert vectors.grad.isfinite().all()


def test_a_low_temperature_does_not_overflow():
    vectors = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    loss = supervised_contrastive(vectors, torch.tensor([0, 0, 1]), temperature=1e-3)
    loss.backward()
    assert loss.item() == pytest.approx((2000 + math.log(2)) / 2)
    assert vectors.grad.isfinite().all()


def test_bf16_under_autocast_is_computed_in_float32():
    vectors, labels = embeddings(8, 64).bfloat16(), torch.arange(8) // 2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = supervised_contrastive(vectors, labels)
    assert loss.dtype == torch.float32
    assert loss == supervised_contrastive(vectors.float(), labels)


def test_a_zero_vector_gives_finite_gradients():
    vectors = torch.zeros(4, 3, requires_grad=True)
    supervised_contrastive(vectors, torch.tensor([0, 0, 1, 1])).backward()
    assert vectors.grad.isfinite().all()


@pytest.mark.parametrize(
    ("vectors", "labels", "excluded", "named"),
    [
        ((4,), (4,), None, "embeddings_UD"),
        ((0, 3), (0,), None, "at least one row"),
        ((4, 3), (4, 1), None, "labels_U"),
        ((4, 3), (4,), (4, 1), "excluded_UU"),
    ],
)
def test_wrong_shapes_are_refused(vectors, labels, excluded, named):
    with pytest.raises(ValueError, match=named):
        supervised_contrastive(
            torch.ones(vectors),
            torch.zeros(labels),
            excluded_UU=None if excluded is None else torch.zeros(excluded, dtype=torch.bool),
        )
