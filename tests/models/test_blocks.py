"""Blocks of an encoder: running only some of them, and going on from what they made."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from tenor.errors import ModelError
from tenor.models.blocks import Blocks
from tenor.models.encoder import Encoder
from tenor.tokens.packed import PackedBatch
from tenor.tokens.token_states import TokenStates
from tiny import CONFIGS, random_ids, tiny_encoder

WITH_BLOCKS = [name for name in CONFIGS if name != "albert"]
IDS = random_ids([23, 12, 9, 9, 4, 1])
BATCH = PackedBatch.of(IDS)
REAL = int(IDS.lengths.sum())


def close(found, expected):
    return (found[:REAL] - expected[:REAL]).abs().max().item() < 1e-5


@pytest.mark.parametrize("packed", [None, False])
@pytest.mark.parametrize("name", WITH_BLOCKS)
@torch.no_grad()
def test_going_on_from_every_depth_gives_the_whole(name, packed):
    encoder = tiny_encoder(name, packed=packed)
    expected = encoder(BATCH)
    found = None
    for depth in range(len(encoder.blocks) + 1):
        assert encoder.resumes(depth)
        if found is not None:  # from the depth before
            on = encoder.states(replace(BATCH, states=found), depth)
            assert close(on, encoder.states(BATCH, depth))
        found = TokenStates(depth, encoder.states(BATCH, depth))
        assert close(encoder(replace(BATCH, states=found)), expected)
    assert close(encoder(BATCH), expected)  # nothing of it stays


@pytest.mark.parametrize("name", ["bert", "modernbert", "deberta-v2"])
def test_only_what_is_needed_runs(name):
    encoder = tiny_encoder(name)
    blocks, ran = encoder.blocks, []
    states = TokenStates(1, encoder.states(BATCH, 1).detach())
    for number, block in enumerate(blocks.modules):
        inner = next(each for each in block.modules() if isinstance(each, nn.Linear))
        inner.register_forward_hook(lambda *_, number=number: ran.append(number))
    table = encoder.transformer.get_input_embeddings()
    table.register_forward_hook(lambda *_: ran.append("embeddings"))
    encoder(replace(BATCH, states=states)).sum().backward()
    assert set(ran) == set(range(1, len(blocks)))
    assert all(each.grad is None for each in blocks.modules[0].parameters())
    assert all(each.grad is not None for each in blocks.modules[1].parameters())
    ran.clear()
    encoder.states(BATCH, 1)
    assert set(ran) == {"embeddings", 0}


def test_gradients_of_the_rest_are_those_of_a_whole_run():
    encoder = tiny_encoder()
    weights = torch.randn(BATCH.tokens, 32)
    (encoder(BATCH)[:REAL] * weights[:REAL]).sum().backward()
    expected = {name: each.grad for name, each in encoder.named_parameters() if "layer.1" in name}
    encoder.zero_grad()
    states = TokenStates(1, encoder.states(BATCH, 1).detach())
    (encoder(replace(BATCH, states=states))[:REAL] * weights[:REAL]).sum().backward()
    for name, each in encoder.named_parameters():
        if name in expected:
            assert torch.allclose(each.grad, expected[name], atol=1e-4), name


def test_in_bf16_states_come_in_bf16():
    encoder = tiny_encoder(dtype="bf16")
    if encoder.dtype != torch.bfloat16:
        pytest.skip("no bf16 here")
    with torch.no_grad():
        states = TokenStates(1, encoder.states(BATCH, 1))
        assert states.vectors.dtype == torch.bfloat16
        found, expected = encoder(replace(BATCH, states=states)), encoder(BATCH)
    assert torch.equal(found[:REAL], expected[:REAL])


def test_finding_the_blocks_changes_nothing():
    encoder = tiny_encoder().train()
    encoder.transformer.pooler.requires_grad_(False)
    wanted = {name: each.requires_grad for name, each in encoder.named_parameters()}
    assert len(encoder.blocks) == 2
    assert {name: each.requires_grad for name, each in encoder.named_parameters()} == wanted
    assert encoder.training and encoder.transformer.training
    assert all(each.grad is None for each in encoder.parameters())
    assert len(copy.deepcopy(encoder).blocks) == 2


def test_a_copy_runs_its_own_blocks():
    encoder = tiny_encoder()
    assert encoder.resumes(1)
    other = copy.deepcopy(encoder)
    with torch.no_grad():
        for each in other.blocks.modules[1].parameters():
            each.add_(0.5)
        states = TokenStates(1, encoder.states(BATCH, 1))
        assert not close(other(replace(BATCH, states=states)), encoder(BATCH))
        assert close(other(replace(BATCH, states=states)), other(BATCH))


class Parallel(nn.Module):
    """Two lists that take turns, as XLM's attentions and feed-forward layers do."""

    def __init__(self):
        super().__init__()
        self.attentions = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.ffns = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))

    def forward(self, x):
        for attention, ffn in zip(self.attentions, self.ffns, strict=True):
            x = ffn(attention(x))
        return x


def test_an_architecture_without_a_row_of_blocks_is_told():
    model = Parallel()
    with pytest.raises(ModelError, match="not made of blocks"):
        Blocks(model, lambda: model(torch.ones(1, 4)))


def test_an_encoder_that_cannot_go_on_says_so():
    """T5's first block computes position biases for those after it."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=64, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4)
    encoder = Encoder(T5EncoderModel(config).eval())
    assert len(encoder.blocks) == 2
    assert not encoder.resumes(1)
