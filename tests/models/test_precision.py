import copy
import io

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tenor.errors import ConfigError
from tenor.models import precision as module
from tenor.models.dropout import FastDropout
from tenor.models.precision import best_dtype, resolve_dtype, set_precision
from tenor.tokens.packed import PackedBatch
from tiny import random_ids, tiny_encoder, tiny_transformer

BF16 = torch.bfloat16


def mixed_linear(**options):
    layer = nn.Linear(48, 40, **options)
    twin = copy.deepcopy(layer)
    set_precision(layer, BF16)
    return layer, twin


def rounded(layer, x):
    """What the layer must give: the product of the rounded factors."""
    bias = None if layer.bias is None else layer.bias.to(BF16)
    return F.linear(x.to(BF16), layer.weight.detach().to(BF16), bias)


def assert_current(layer):
    """The layer multiplies by the weights it has now, with gradients and without."""
    x = torch.randn(7, 48)
    expected = rounded(layer, x).float()
    torch.testing.assert_close(layer(x).float(), expected, atol=0.02, rtol=0.01)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x).float(), expected, atol=0.02, rtol=0.01)


@pytest.mark.parametrize("shape", [(48,), (9, 48), (2, 5, 48)])
@pytest.mark.parametrize("bias", [True, False])
def test_value_and_gradients_are_near_those_of_fp32(shape, bias):
    layer, plain = mixed_linear(bias=bias)
    x = torch.randn(shape, requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    found, expected = layer(x), plain(twin)
    assert found.dtype == BF16
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.02)
    weights = torch.randn_like(expected)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    pairs = [(x, twin), (layer.weight, plain.weight), *([(layer.bias, plain.bias)] * bias)]
    for ours, theirs in pairs:
        assert ours.grad.dtype == torch.float32
        error = (ours.grad - theirs.grad).norm() / theirs.grad.norm()
        assert error < 0.01


def fused_adamw(parameters):
    return torch.optim.AdamW(parameters, lr=0.3, fused=True)


def foreach_adamw(parameters):
    return torch.optim.AdamW(parameters, lr=0.3, foreach=True)


def plain_sgd(parameters):
    return torch.optim.SGD(parameters, lr=3.0, foreach=False)


@pytest.mark.parametrize("make", [fused_adamw, foreach_adamw, plain_sgd])
def test_an_optimizer_step_reaches_the_next_product(make):
    """Fused optimisers do not tell autograd that they wrote: stale weights would go unnoticed."""
    layer, _ = mixed_linear()
    optimizer = make(layer.parameters())
    for _ in range(3):
        before = layer.weight.detach().clone()
        assert_current(layer)
        optimizer.zero_grad()
        layer(torch.randn(9, 48)).float().square().sum().backward()
        optimizer.step()
        assert (layer.weight - before).abs().max() > 0.1
    assert_current(layer)


def test_other_changes_of_the_weights_reach_the_next_product():
    layer, _ = mixed_linear()
    assert_current(layer)
    with torch.no_grad():
        layer.weight.mul_(-2.0)
    assert_current(layer)
    layer.load_state_dict(nn.Linear(48, 40).state_dict())
    assert_current(layer)
    layer.weight.data = torch.randn(40, 48)
    assert_current(layer)
    layer.weight = nn.Parameter(torch.randn(40, 48))
    assert_current(layer)


@pytest.mark.parametrize("packs", [True, False])
def test_training_can_follow_inference_on_the_same_weights(monkeypatch, packs):
    if not packs:  # as on a GPU, where both use the same copy of the weight
        monkeypatch.setattr(module, "_packs", lambda x: False)
    layer, _ = mixed_linear()
    with torch.inference_mode():
        layer(torch.randn(3, 48))
    layer(torch.randn(3, 48)).float().sum().backward()
    assert layer.weight.grad is not None


def test_a_model_made_in_inference_mode_works_there():
    with torch.inference_mode():
        layer, _ = mixed_linear()
        x = torch.randn(3, 48)
        torch.testing.assert_close(layer(x), rounded(layer, x), atol=0.02, rtol=0.01)


@pytest.mark.parametrize("trained", ["weight", "bias"])
def test_a_layer_that_is_half_frozen_still_trains(trained):
    layer, _ = mixed_linear()
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name == trained)
    layer(torch.randn(5, 48)).float().sum().backward()
    gradients = {name for name, p in layer.named_parameters() if p.grad is not None}
    assert gradients == {trained}


def test_back_to_fp32_is_exact():
    layer, plain = mixed_linear()
    x = torch.randn(5, 48)
    layer(x)
    set_precision(layer, torch.float32)
    assert torch.equal(layer(x), plain(x))


def test_copies_and_saved_weights_know_nothing_of_it():
    transformer = tiny_transformer("bert")
    before = {name: value.clone() for name, value in transformer.state_dict().items()}
    encoder = tiny_encoder("bert", dtype="bf16")
    batch = PackedBatch.of(random_ids([9, 4, 3]))
    with torch.inference_mode():
        expected = encoder(batch)  # fills the cache with a weight that cannot be copied
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(encoder)(batch), expected)
    after = encoder.transformer.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    torch.save(encoder.state_dict(), io.BytesIO())


@pytest.mark.parametrize("name", ["bert", "roberta", "electra"])
def test_the_fused_gelu_equals_the_plain_one(name):
    encoder = tiny_encoder(name, dtype="bf16")
    layers = [m for m in encoder.modules() if type(m).__name__ == "GeluIntermediate"]
    assert len(layers) == 2
    x = torch.randn(50, 32)
    for layer in layers:
        with torch.no_grad():
            fused = layer(x).float()
            separate = F.gelu(layer.dense(x).float())
        trained = layer(x).float()
        torch.testing.assert_close(fused, separate, atol=0.02, rtol=0.01)
        torch.testing.assert_close(trained, separate, atol=0.02, rtol=0.01)


def test_another_activation_is_left_alone():
    encoder = tiny_encoder("bert", hidden_act="gelu_new", dtype="bf16")
    assert not [m for m in encoder.modules() if type(m).__name__ == "GeluIntermediate"]
    batch = PackedBatch.of(random_ids([9, 4, 3]))
    expected = tiny_encoder("bert", hidden_act="gelu_new")(batch)
    similar = torch.cosine_similarity(encoder(batch).float(), expected)
    assert similar.min() > 0.99


def test_a_layer_norm_keeps_bf16_and_counts_in_fp32():
    norm = nn.LayerNorm(64)
    with torch.no_grad():
        norm.weight.add_(torch.randn(64) * 0.1)
        norm.bias.add_(torch.randn(64) * 0.1)
    x = (torch.randn(20, 64) + 30).to(BF16)  # far from 0: statistics in bf16 would be far off
    expected = norm(x.float())
    set_precision(norm, BF16)
    found = norm(x)
    assert found.dtype == BF16
    assert norm(x.float()).dtype == BF16
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.01)
    set_precision(norm, torch.float32)
    assert torch.equal(norm(x.float()), expected)


def test_dropout_is_replaced_everywhere():
    encoder = tiny_encoder("bert", dropout=0.1)
    kinds = {type(m) for m in encoder.modules() if isinstance(m, nn.Dropout)}
    assert kinds == {FastDropout}


def test_names_of_dtypes():
    assert resolve_dtype("bf16", "cpu") == BF16
    assert resolve_dtype("fp32", "cpu") == torch.float32
    assert resolve_dtype(torch.float32, "cpu") == torch.float32
    assert resolve_dtype("auto", "cpu") == best_dtype("cpu")
    assert best_dtype("meta") == torch.float32
    for wrong in ("fp16", torch.float16, "bfloat"):
        with pytest.raises(ConfigError, match="dtype"):
            resolve_dtype(wrong, "cpu")
