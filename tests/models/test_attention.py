"""Attention over a packed row against torch's own, text by text."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tenor.errors import ModelError
from tenor.models.attention import LAYOUT, grouped_attention, packed_attention
from tenor.tokens.packed import Layout

HEADS, WIDTH = 4, 8
LENGTHS = {
    "ragged": [21, 20, 17, 9, 8, 3, 2, 1],
    "equal": [6] * 5,
    "unsorted": [2, 19, 5, 5, 30, 1],
}
LAYER = SimpleNamespace(is_causal=False)


def tensors(lengths, key_heads=HEADS):
    return [
        torch.randn(1, heads, sum(lengths), WIDTH, requires_grad=True)
        for heads in (HEADS, key_heads, key_heads)
    ]


def text_by_text(query, key, value, lengths, *, window=None, scale=None):
    parts = []
    for q, k, v in zip(*(x.split(lengths, dim=2) for x in (query, key, value)), strict=True):
        place = torch.arange(q.shape[2])
        near = None if window is None else (place[:, None] - place).abs() < window
        parts.append(
            F.scaled_dot_product_attention(q, k, v, attn_mask=near, scale=scale, enable_gqa=True)
        )
    return torch.cat(parts, dim=2).transpose(1, 2)


def on_the_cpu(query, key, value, lengths, *, window=None, scale=None, dropout=0.0):
    layout = Layout.of(np.array(lengths))
    options = {"sliding_window": window, "scaling": scale, "dropout": dropout, LAYOUT: layout}
    out, weights = packed_attention(LAYER, query, key, value, None, **options)
    assert weights is None
    return out


def elsewhere(query, key, value, lengths, *, window=None, scale=None):
    """The path of other devices, run here."""
    key, value = (x.repeat_interleave(HEADS // x.shape[1], dim=1) for x in (key, value))
    rows = (x[0].transpose(0, 1) for x in (query, key, value))
    layout = Layout.of(np.array(lengths))
    return grouped_attention(*rows, layout, scale or WIDTH**-0.5, 0.0, window, False)[None]


@pytest.mark.parametrize("run", [on_the_cpu, elsewhere])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("window", [None, 1, 4, 100])
@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_output_and_gradients_are_those_of_torch(run, lengths, window, key_heads):
    given = tensors(lengths, key_heads)
    twins = [x.detach().clone().requires_grad_() for x in given]
    scale = 0.7 if key_heads == 2 else None
    found = run(*given, lengths, window=window, scale=scale)
    expected = text_by_text(*twins, lengths, window=window, scale=scale)
    assert found.shape == (1, sum(lengths), HEADS, WIDTH)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for ours, theirs in zip(given, twins, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_gradients_are_those_of_finite_differences(dropout):
    """With dropout too: each call draws the same mask."""
    lengths = LENGTHS["ragged"]
    given = tensors(lengths)
    weights, moves = (
        torch.randn(1, sum(lengths), HEADS, WIDTH),
        [torch.randn_like(x) for x in given],
    )

    def value(step):
        torch.manual_seed(5)
        moved = [x + step * move for x, move in zip(given, moves, strict=True)]
        return (on_the_cpu(*moved, lengths, window=9, dropout=dropout) * weights).sum()

    value(0.0).backward()
    slope = sum((x.grad * move).sum() for x, move in zip(given, moves, strict=True))
    with torch.no_grad():
        differences = (value(5e-3) - value(-5e-3)) / 1e-2
    torch.testing.assert_close(slope, differences, rtol=5e-3, atol=0)


def test_dropout_keeps_the_mean_and_drops_weights():
    lengths = [12] * 3
    query, key, value = tensors(lengths)
    expected = on_the_cpu(query, key, value, lengths)
    draws = [on_the_cpu(query, key, value, lengths, dropout=0.2).detach() for _ in range(400)]
    assert not torch.equal(draws[0], draws[1])
    error = (torch.stack(draws).mean(0) - expected).abs()
    assert error.mean() < 0.02


def test_bf16_is_close_to_fp32():
    lengths = LENGTHS["ragged"]
    given = tensors(lengths)
    low = [x.detach().bfloat16().requires_grad_() for x in given]
    expected, found = on_the_cpu(*given, lengths), on_the_cpu(*low, lengths)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0)
    expected.sum().backward()
    found.sum().backward()
    for ours, theirs in zip(low, given, strict=True):
        assert ours.grad.dtype == torch.bfloat16
        torch.testing.assert_close(ours.grad.float(), theirs.grad, atol=0.06, rtol=0.02)


def test_an_architecture_that_does_not_hand_the_layout_down_is_refused():
    given = tensors([3])
    layout = Layout.of(np.array([3]))
    with pytest.raises(ModelError, match="does not route"):
        packed_attention(LAYER, *given, None)
    with pytest.raises(ModelError, match="does not route"):
        packed_attention(LAYER, *given, torch.zeros(1, 1, 3, 3), **{LAYOUT: layout})
    with pytest.raises(ModelError, match="decoders"):
        packed_attention(SimpleNamespace(is_causal=True), *given, None, **{LAYOUT: layout})
