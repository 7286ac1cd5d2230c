"""Pooling of packed texts against the Pooling module of sentence-transformers."""

import pytest
import torch
from sentence_transformers.sentence_transformer.modules import Pooling as PeerPooling

from tenor.errors import ConfigError
from tenor.models.pooling import POOLING_MODES, Pooling
from tenor.tokens.packed import PackedBatch
from tiny import random_ids

PEER_NAMES = {
    "cls": "cls",
    "mean": "mean",
    "max": "max",
    "mean_sqrt_len": "mean_sqrt_len_tokens",
    "last": "lasttoken",
    "weighted_mean": "weightedmean",
}
COMBINATIONS = [
    *((mode,) for mode in POOLING_MODES),
    ("mean", "max"),
    ("cls", "mean_sqrt_len", "last"),
    ("weighted_mean", "mean", "max", "cls", "last", "mean_sqrt_len"),
]
# Equal and unequal lengths, so that some groups are ragged and some are not.
LENGTHS = [40, 22, 21, 17, 9, 9, 9, 8, 5, 4]
WIDTH = 16


def padded(hidden, lengths):
    block = torch.full((len(lengths), max(lengths), WIDTH), 7.0)  # what stands there must not count
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    block[mask] = hidden[: sum(lengths)]
    return block, mask.long()


@pytest.mark.parametrize("order", ["sorted", "mixed"])
@pytest.mark.parametrize("skip", [0, 3])
@pytest.mark.parametrize("modes", COMBINATIONS, ids="+".join)
def test_values_and_gradients_are_those_of_the_peer(modes, skip, order):
    lengths = LENGTHS if order == "sorted" else [LENGTHS[i] for i in (3, 9, 0, 5, 8, 1, 6, 2, 7, 4)]
    batch = PackedBatch.of(random_ids(lengths))
    hidden = torch.randn(batch.tokens, WIDTH, requires_grad=True)
    found = Pooling(modes, WIDTH)(hidden, batch, skip)

    twin = hidden.detach().clone().requires_grad_()
    block, mask = padded(twin, lengths)
    peer = PeerPooling(WIDTH, tuple(PEER_NAMES[mode] for mode in modes), include_prompt=not skip)
    features = {"token_embeddings": block, "attention_mask": mask, "prompt_length": skip}
    expected = peer(features)["sentence_embedding"]

    assert found.shape == (len(lengths), WIDTH * len(modes))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(hidden.grad, twin.grad, atol=1e-6, rtol=0)


@pytest.mark.parametrize("modes", COMBINATIONS, ids="+".join)
def test_bf16_tokens_are_pooled_in_fp32(modes):
    batch = PackedBatch.of(random_ids([60, 60, 50, 3]))
    hidden = torch.randn(batch.tokens, WIDTH).bfloat16()
    found = Pooling(modes, WIDTH)(hidden, batch)
    assert found.dtype == torch.float32
    expected = Pooling(modes, WIDTH)(hidden.float(), batch)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_text_cut_down_to_its_prompt_keeps_its_last_token():
    batch = PackedBatch.of(random_ids([8, 3, 2]))
    hidden = torch.randn(batch.tokens, WIDTH)
    for mode in POOLING_MODES:
        found = Pooling((mode,), WIDTH)(hidden, batch, skip=5)
        torch.testing.assert_close(found[1], hidden[10])
        torch.testing.assert_close(found[2], hidden[12])


@pytest.mark.parametrize("modes", [(), ("average",), ("mean", "median")])
def test_a_mode_that_does_not_exist_is_refused(modes):
    with pytest.raises(ConfigError, match="pooling"):
        Pooling(modes, WIDTH)
