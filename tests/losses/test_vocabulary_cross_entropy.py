"""The fused loss is the plain one: same values, same gradients, a fraction of the memory."""

import importlib

import pytest
import torch
from torch.nn import functional as F

from tenor.losses.vocabulary_cross_entropy import vocabulary_cross_entropy, vocabulary_losses

module = importlib.import_module("tenor.losses.vocabulary_cross_entropy")
TOKENS, WIDTH, VOCABULARY = 200, 16, 97


def tensors(*, scale=1.0):
    hidden = (torch.randn(TOKENS, WIDTH) * scale).requires_grad_()
    weight, bias = torch.randn(VOCABULARY, WIDTH).requires_grad_(), torch.randn(VOCABULARY)
    targets = torch.randint(0, VOCABULARY, (TOKENS,))
    targets[::7] = -1
    return hidden, weight, bias.requires_grad_(), targets


def plain(hidden, weight, bias, targets):
    return F.cross_entropy(F.linear(hidden, weight, bias), targets, ignore_index=-1)


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 64 tokens, so that 200 tokens make four."""
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", 64 * VOCABULARY)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_is_exactly_cross_entropy_of_the_logits(scale):
    leaves = tensors(scale=scale)
    ours = vocabulary_cross_entropy(*leaves)
    found = torch.autograd.grad(ours, leaves[:3])
    theirs = plain(*leaves)
    expected = torch.autograd.grad(theirs, leaves[:3])
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= 1e-5 * max(1.0, b.abs().max().item())


@pytest.mark.usefixtures("small_chunks")
def test_bf16_products_keep_an_fp32_softmax():
    leaves = tensors()
    ours = vocabulary_cross_entropy(*leaves, dtype=torch.bfloat16)
    found = torch.autograd.grad(ours, leaves[:3])
    expected = torch.autograd.grad(plain(*leaves), leaves[:3])
    assert ours.dtype == torch.float32
    assert ours.item() == pytest.approx(plain(*leaves).item(), rel=0.01)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        assert F.cosine_similarity(a.flatten(), b.flatten(), dim=0) > 0.999


def test_upstream_gradient_and_divisor_scale_the_gradients():
    leaves = tensors()
    counted = int((leaves[3] >= 0).sum())
    (once,) = torch.autograd.grad(vocabulary_cross_entropy(*leaves), leaves[:1])
    loss = vocabulary_cross_entropy(*leaves, divisor=2 * counted)
    (thrice,) = torch.autograd.grad(3 * loss, leaves[:1])
    torch.testing.assert_close(thrice, 1.5 * once)


def test_never_holds_all_logits(monkeypatch):
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", 64 * VOCABULARY)
    largest = []
    original = module._log_softmax

    def watched(x, low, bias):
        largest.append(len(x) * len(low))
        return original(x, low, bias)

    monkeypatch.setattr(module, "_log_softmax", watched)
    vocabulary_cross_entropy(*tensors())
    assert len(largest) == 4
    assert max(largest) <= 64 * VOCABULARY


def test_frozen_parts_get_no_gradient_and_none_is_needed_to_evaluate():
    hidden, weight, bias, targets = tensors()
    weight.requires_grad_(False)
    vocabulary_cross_entropy(hidden, weight, bias, targets).backward()
    assert weight.grad is None
    assert hidden.grad is not None
    with torch.no_grad():
        assert not vocabulary_cross_entropy(hidden, weight, bias, targets).requires_grad


def test_losses_of_single_tokens_add_up_to_the_mean():
    leaves = tensors()
    each = vocabulary_losses(*leaves)
    counted = leaves[3] >= 0
    assert torch.all(each[~counted] == 0)
    assert each.sum() / counted.sum() == pytest.approx(plain(*leaves).item(), rel=1e-5)


def test_a_batch_without_targets_costs_nothing():
    hidden, weight, bias, targets = tensors()
    loss = vocabulary_cross_entropy(hidden, weight, bias, torch.full_like(targets, -1))
    loss.backward()
    assert loss.item() == 0
    assert torch.all(weight.grad == 0)


def test_sparse_lookups_are_added_to_the_dense_gradient_of_a_tied_weight():
    weight = torch.randn(VOCABULARY, WIDTH).requires_grad_()
    ids = torch.randint(0, VOCABULARY, (TOKENS,))

    def loss(sparse):
        hidden = F.embedding(ids, weight, sparse=sparse).tanh()
        return vocabulary_cross_entropy(hidden, weight, None, ids)

    (dense,) = torch.autograd.grad(loss(False), weight)
    loss(True).backward()
    assert not weight.grad.is_sparse
    torch.testing.assert_close(weight.grad, dense)


def test_backward_runs_once():
    loss = vocabulary_cross_entropy(*tensors())
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="used up"):
        loss.backward()


@pytest.mark.parametrize(
    ("hidden", "weight", "bias", "targets"),
    [((4, 3), (5, 2), None, 4), ((4, 3), (5, 3), None, 3), ((4, 3), (5, 3), 4, 4)],
)
def test_shapes_that_do_not_fit_are_refused(hidden, weight, bias, targets):
    with pytest.raises(ValueError, match="must have the shape"):
        vocabulary_cross_entropy(
            torch.zeros(hidden),
            torch.zeros(weight),
            None if bias is None else torch.zeros(bias),
            torch.zeros(targets, dtype=torch.long),
        )
