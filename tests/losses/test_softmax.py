import pytest
import torch
from torch.nn import functional

from tenor.losses.softmax import softmax

U = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
V = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
LABELS = torch.tensor([2, 0])


def test_the_features_stand_in_the_order_given():
    weight = torch.linspace(-1, 1, 18).reshape(3, 6)
    features = torch.cat([U * V, V, (U - V).abs()], dim=1)
    loss = softmax(U, V, LABELS, weight, concatenate=("u*v", "v", "|u-v|"))
    torch.testing.assert_close(loss, functional.cross_entropy(features @ weight.T, LABELS))


def test_the_classifier_is_trained_too():
    weight = torch.linspace(-1, 1, 18, dtype=torch.float64).reshape(3, 6).requires_grad_()
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda weight, bias: softmax(U.double(), V.double(), LABELS, weight, bias), (weight, bias)
    )


@pytest.mark.parametrize(
    ("weight", "bias", "labels", "concatenate", "named"),
    [
        ((3, 4), None, (2,), ("u", "v", "|u-v|"), r"weight_KF .*\(K, 6\)"),
        ((3, 6), (2,), (2,), ("u", "v", "|u-v|"), "bias_K"),
        ((3, 6), None, (3,), ("u", "v", "|u-v|"), "labels_B"),
        ((3, 4), None, (2,), ("u", "v+u"), r"v\+u"),
        ((3, 0), None, (2,), (), "at least one"),
    ],
)
def test_what_does_not_fit_is_refused(weight, bias, labels, concatenate, named):
    with pytest.raises(ValueError, match=named):
        softmax(
            U,
            V,
            torch.zeros(labels, dtype=torch.int64),
            torch.ones(weight),
            None if bias is None else torch.ones(bias),
            concatenate=concatenate,
        )
