"""TSDAE's decoder against `transformers`' own, and what it shares with which encoder."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoConfig, BertLMHeadModel

from decoder_weights import copy_from
from tenor.models.attention import causal_attention
from tenor.models.decoder import Decoder
from tenor.tokens.packed import Layout, PackedBatch
from tiny import CONFIGS, WIDTH, random_ids, tiny_encoder

LENGTHS = [19, 18, 11, 7, 7, 2]


def batch_of(lengths=LENGTHS, **options):
    return PackedBatch.of(random_ids(lengths), **options)


def their_decoder():
    config = AutoConfig.for_model("bert", **CONFIGS["bert"])
    config.update({"is_decoder": True, "add_cross_attention": True})
    config.update({"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0})
    model = BertLMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def test_is_berts_decoder_with_full_cross_attention():
    theirs = their_decoder()
    ours = Decoder.of(tiny_encoder(), WIDTH, tie=False)
    copy_from(ours, theirs)
    batch, memory = batch_of(), torch.randn(len(LENGTHS), WIDTH)
    logits = F.linear(ours(batch, memory), ours.words.weight, ours.head.bias)
    start = 0
    for text, length in enumerate(LENGTHS):
        ids = batch.token_ids[None, start : start + length]
        expected = theirs(input_ids=ids, encoder_hidden_states=memory[text][None, None]).logits[0]
        found = logits[start : start + length]
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
        start += length


def test_attention_to_one_key_is_a_linear_map_of_its_value():
    """The full form: queries, keys, scores and softmax, over a memory of one vector."""
    tokens, heads = 9, 4
    full = nn.MultiheadAttention(WIDTH, heads, batch_first=True)
    layer = Decoder.of(tiny_encoder(), WIDTH).layers[0]
    layer.cross_value.load_state_dict(
        {"weight": full.in_proj_weight[2 * WIDTH :], "bias": full.in_proj_bias[2 * WIDTH :]}
    )
    layer.cross_output.load_state_dict(full.out_proj.state_dict())
    memory = torch.randn(1, WIDTH)
    expected, _ = full(torch.randn(1, tokens, WIDTH), memory[None], memory[None])
    torch.testing.assert_close(layer.remember(memory).expand(tokens, -1), expected[0])


def test_causal_attention_is_torchs_with_its_gradients():
    layout = Layout.of(torch.tensor(LENGTHS).numpy())
    qkv = [torch.randn(sum(LENGTHS), 4, 8, requires_grad=True) for _ in range(3)]
    found = causal_attention(*qkv, layout)
    expected = torch.cat(
        [
            F.scaled_dot_product_attention(
                *(x.transpose(0, 1) for x in parts), is_causal=True
            ).transpose(0, 1)
            for parts in zip(*(x.split(LENGTHS) for x in qkv), strict=True)
        ]
    )
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(found)
    for a, b in zip(
        torch.autograd.grad(found, qkv, upstream),
        torch.autograd.grad(expected, qkv, upstream),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_attention_dropout_has_the_gradient_of_its_own_mask():
    layout = Layout.of(torch.tensor([5, 4]).numpy())
    q, k, v = (torch.randn(9, 2, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))

    def seeded(*qkv):
        torch.manual_seed(3)
        return causal_attention(*qkv, layout, 0.3)

    assert torch.autograd.gradcheck(seeded, (q, k, v))


def test_no_token_sees_a_later_one_or_another_text():
    decoder = Decoder.of(tiny_encoder(), WIDTH).eval()
    batch, memory = batch_of(), torch.randn(len(LENGTHS), WIDTH)
    before = decoder(batch, memory)
    place = 10  # within the first text
    batch.token_ids[place] += 1
    after = decoder(batch, memory)
    changed = (before - after).abs().amax(1) > 0
    assert not changed[:place].any()
    assert changed[place : LENGTHS[0]].all()
    assert not changed[LENGTHS[0] :].any()


def test_each_text_hangs_on_its_own_vector():
    decoder = Decoder.of(tiny_encoder(), WIDTH).eval()
    batch, memory = batch_of(), torch.randn(len(LENGTHS), WIDTH)
    before = decoder(batch, memory)
    memory[1] += 1
    changed = (before - decoder(batch, memory)).abs().amax(1) > 1e-6
    ends = torch.tensor(LENGTHS).cumsum(0)
    assert changed[ends[0] : ends[1]].all()
    assert changed.sum() == LENGTHS[1]


@pytest.mark.parametrize(
    "name", ["bert", "roberta", "xlm-roberta", "distilbert", "electra", "albert"]
)
def test_shares_layers_and_embeddings_where_it_can(name):
    encoder = tiny_encoder(name)
    decoder = Decoder.of(encoder, WIDTH)
    own = {id(parameter) for parameter in encoder.parameters()}
    new = [n for n, p in decoder.named_parameters() if id(p) not in own]
    assert decoder.tied == "embeddings and layers"
    assert all(".cross_" in name or name.startswith("head.") for name in new)
    assert len(decoder.layers) == encoder.transformer.config.num_hidden_layers


@pytest.mark.parametrize("name", ["modernbert", "mpnet", "deberta-v2", "fnet"])
def test_other_architectures_share_their_word_embeddings(name, caplog):
    encoder = tiny_encoder(name)
    with caplog.at_level("INFO", "tenor"):
        decoder = Decoder.of(encoder, WIDTH)
    assert decoder.tied == "embeddings"
    assert "cannot serve a decoder" in caplog.text
    assert decoder.words is encoder.transformer.get_input_embeddings()
    predicted = decoder(batch_of(), torch.randn(len(LENGTHS), WIDTH))
    assert predicted.isfinite().all()


def test_untied_starts_as_a_copy_and_shares_nothing():
    encoder = tiny_encoder()
    decoder = Decoder.of(encoder, WIDTH, tie=False)
    own = {parameter.data_ptr() for parameter in encoder.parameters()}
    assert not any(parameter.data_ptr() in own for parameter in decoder.parameters())
    words = encoder.transformer.get_input_embeddings()
    assert torch.equal(decoder.words.weight, words.weight)
    assert decoder.tied == "nothing"


def test_new_weights_come_from_torchs_generator_alone():
    made = []
    for _ in range(2):
        torch.manual_seed(4)
        made.append(Decoder.of(tiny_encoder(), WIDTH).layers[0].cross_value.weight)
    assert torch.equal(*made)
