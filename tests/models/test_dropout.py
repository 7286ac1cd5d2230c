import pytest
import torch

from tenor.models.dropout import FastDropout, apply_kept, draw_kept


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
def test_rate_and_scale(p):
    x = torch.ones(400, 503)
    y = FastDropout(p)(x)
    dropped = (y == 0).float().mean().item()
    spread = (p * (1 - p) / x.numel()) ** 0.5
    assert abs(dropped - p) < 4 * spread
    torch.testing.assert_close(y[y != 0].unique(), torch.tensor([1 / (1 - p)]), rtol=2e-4, atol=0)
    assert abs(y.mean().item() - 1) < 4 * spread / (1 - p)


def test_neighbours_are_dropped_independently():
    """Four elements share one random word: none of them may follow another."""
    kept = draw_kept(torch.Size([200_000, 8]), 0.5).float()
    correlations = torch.corrcoef(kept.T) - torch.eye(8)
    assert correlations.abs().max() < 0.01


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 7), (2, 3, 4), (0, 4)])
def test_any_shape(shape):
    assert draw_kept(torch.Size(shape), 0.3).shape == shape
    assert FastDropout(0.3)(torch.ones(shape)).shape == shape


def test_the_backward_pass_drops_the_same_elements():
    x = torch.randn(60, 50, requires_grad=True)
    y = FastDropout(0.3)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x, y)
    assert torch.equal(x.grad == 0, y == 0)


def test_draws_follow_the_global_seed():
    dropout, x = FastDropout(0.2), torch.ones(50, 50)
    torch.manual_seed(3)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(first, second)


def test_nothing_is_dropped_in_evaluation_or_at_rate_0():
    x = torch.randn(5, 5)
    assert torch.equal(FastDropout(0.5).eval()(x), x)
    assert torch.equal(FastDropout(0.0)(x), x)
    assert not FastDropout(1.0)(x).any()


def test_bf16_stays_bf16():
    kept = draw_kept(torch.Size([100]), 0.1)
    x = torch.randn(100).bfloat16()
    y = apply_kept(x, kept, 0.1)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), apply_kept(x.float(), kept, 0.1), rtol=1e-2, atol=0)
