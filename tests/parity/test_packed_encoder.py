"""Encoders on packed texts against plain `transformers`, each text alone and in a padded batch."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tenor.models.encoder import Encoder
from tenor.tokens.packed import PackedBatch
from tiny import (
    FIRST,
    PACKED,
    PADDED,
    SIZE,
    TinyEmbedder,
    random_ids,
    tiny_encoder,
    tiny_transformer,
)

TOLERANCE = 1e-5
LENGTHS = [41, 23, 23, 22, 12, 11, 9, 4, 3, 1]  # ModernBERT's local layers see 4 to each side
EVERY = [*PACKED, *PADDED, "fnet"]


def assert_close(found, expected, what=""):
    error = (found - expected).abs().max().item()
    assert error <= TOLERANCE, f"{what}: {error}"


def alone(transformer, ids, row):
    text = torch.from_numpy(ids[row].astype(np.int64))[None]
    inputs = {"input_ids": text}
    if ids.types is not None:
        types = ids.types[ids.offsets[row] : ids.offsets[row + 1]]
        inputs["token_type_ids"] = torch.from_numpy(types.astype(np.int64))[None]
    return transformer(**inputs).last_hidden_state[0]


def padded(transformer, ids):
    """Real tokens of a padded batch with an attention mask, in the order of the row."""
    longest = int(ids.lengths.max())
    tokens = torch.full((len(ids), longest), transformer.config.pad_token_id)
    types = torch.zeros_like(tokens)
    for row, length in enumerate(ids.lengths):
        tokens[row, :length] = torch.from_numpy(ids[row].astype(np.int64))
        if ids.types is not None:
            start = ids.offsets[row]
            types[row, :length] = torch.from_numpy(ids.types[start : start + length].astype(int))
    mask = torch.arange(longest) < torch.from_numpy(ids.lengths)[:, None]
    inputs = {"input_ids": tokens, "attention_mask": mask.long()}
    if ids.types is not None:
        inputs["token_type_ids"] = types
    return transformer(**inputs).last_hidden_state[mask]


@pytest.fixture(params=EVERY)
def case(request):
    """An encoder, its plain twin, texts, and a function of the tokens whose gradients are O(1)."""
    types = request.param in ("bert", "albert", "electra")
    transformer = tiny_transformer(request.param, seed=1)
    plain = copy.deepcopy(transformer)
    ids = random_ids(LENGTHS, types=types)
    weights = torch.randn(int(ids.lengths.sum()), plain.config.hidden_size)

    def backward(hidden):
        (hidden * weights + 0.1 * hidden**2).sum().div(len(weights)).backward()

    return SimpleNamespace(encoder=Encoder(transformer), plain=plain, ids=ids, backward=backward)


def gradients(module, prefix=""):
    return {
        name.removeprefix(prefix): parameter.grad
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("name", EVERY)
def test_which_architectures_run_packed(name):
    assert tiny_encoder(name).packed == (name in PACKED)
    assert not tiny_encoder(name, packed=False).packed


@pytest.mark.parametrize("rounded", [True, False])
def test_output_and_gradients_are_those_of_each_text_alone(case, rounded):
    batch = PackedBatch.of(case.ids, filler_id=FIRST, rounded=rounded)
    real = int(case.ids.lengths.sum())
    found = case.encoder(batch)
    assert found.shape == (batch.tokens, 32)
    expected = torch.cat([alone(case.plain, case.ids, row) for row in range(len(case.ids))])
    assert_close(found[:real], expected)

    case.backward(found[:real])
    case.backward(expected)
    ours, theirs = gradients(case.encoder, "transformer."), gradients(case.plain)
    assert ours.keys() == theirs.keys()
    for parameter in theirs:
        assert_close(ours[parameter], theirs[parameter], parameter)


@pytest.mark.parametrize("case", [*PACKED, *PADDED], indirect=True)  # padding changes FNet's output
def test_output_and_gradients_are_those_of_a_padded_batch(case):
    real = int(case.ids.lengths.sum())
    found = case.encoder(PackedBatch.of(case.ids))[:real]
    expected = padded(case.plain, case.ids)
    assert_close(found, expected)

    case.backward(found)
    case.backward(expected)
    ours, theirs = gradients(case.encoder, "transformer."), gradients(case.plain)
    assert ours.keys() == theirs.keys()
    for parameter in theirs:
        assert_close(ours[parameter], theirs[parameter], parameter)


def test_the_neighbours_of_a_text_do_not_matter(case):
    ids = case.ids
    for row in (1, 5, 8):
        expected = case.encoder(PackedBatch.of(ids, [row]))[: ids.lengths[row]]
        for rows in ([0, row], [row, 9, 7], [2, 3, row, 4, 6]):
            found = case.encoder(PackedBatch.of(ids, rows))
            start = sum(int(ids.lengths[other]) for other in rows[: rows.index(row)])
            assert_close(found[start : start + int(ids.lengths[row])], expected, str(rows))


def test_type_ids_count():
    encoder = tiny_encoder("bert")
    with_types, without = random_ids(LENGTHS, types=True), random_ids(LENGTHS)
    found = encoder(PackedBatch.of(with_types)) - encoder(PackedBatch.of(without))
    assert found.abs().max() > 0.01


def test_modernbert_reads_beyond_its_local_window_only_in_global_layers():
    """Two local layers of 4 tokens to each side carry a token 8 places, not 9."""
    encoder = tiny_encoder("modernbert", layer_types=["sliding_attention"] * 2, num_hidden_layers=2)
    assert encoder.packed
    ids = random_ids([40])
    changed = random_ids([40])
    changed.ids[20] = FIRST + (changed.ids[20] - FIRST + 1) % (SIZE - FIRST)
    moved = (encoder(PackedBatch.of(ids)) - encoder(PackedBatch.of(changed)))[:40].abs().amax(1)
    assert torch.equal(moved > 0, (torch.arange(40) - 20).abs() <= 8)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "modernbert", "deberta-v2"])
def test_dropout_is_active_in_training_and_reproducible(name):
    encoder = tiny_encoder(name, dropout=0.1).train()
    batch = PackedBatch.of(random_ids(LENGTHS))
    torch.manual_seed(1)
    first, second = encoder(batch), encoder(batch)
    torch.manual_seed(1)
    again = encoder(batch)
    assert torch.equal(first, again)
    assert not torch.allclose(first, second, atol=0.01)
    encoder.eval()
    assert torch.equal(encoder(batch), encoder(batch))


@pytest.mark.parametrize("name", [*PACKED, *PADDED])
def test_bf16_is_close_to_fp32(name):
    model = TinyEmbedder(tiny_encoder(name, std=0.1))
    batch = PackedBatch.of(random_ids(LENGTHS))
    weights = torch.randn(len(LENGTHS), 32)

    def run(dtype):
        model.encoder.set_dtype(dtype)
        model.zero_grad()
        vectors = model(batch)
        (vectors * weights).sum().backward()
        with torch.inference_mode():
            inferred = model(batch)
        return vectors, inferred, gradients(model)

    vectors, _, expected = run("fp32")
    found, inferred, low = run("bf16")
    assert model.encoder.dtype == torch.bfloat16
    for other in (found, inferred):
        assert other.dtype == torch.float32
        assert not torch.equal(vectors, other), "nothing was computed in bf16"
        assert torch.cosine_similarity(vectors, other).min() > 0.999
    assert low.keys() == expected.keys()
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in low.values())
    joint = torch.cat([g.flatten() for g in expected.values()])
    error = torch.cat([g.flatten() for g in low.values()]) - joint
    assert error.norm() / joint.norm() < 0.05


def test_an_architecture_that_cannot_work_in_bf16_stays_in_fp32(caplog):
    encoder = tiny_encoder("fnet", dtype="bf16")
    assert encoder.dtype == torch.float32
    assert "FNetModel stays in fp32" in caplog.text
    batch = PackedBatch.of(random_ids(LENGTHS))
    assert torch.equal(encoder(batch), tiny_encoder("fnet")(batch))


@pytest.mark.minilm
def test_the_real_minilm(minilm):
    from sentence_transformers import SentenceTransformer

    from tenor.models.embedder import Embedder

    texts = [
        "A man is playing a guitar.",
        "word " * 400,
        "",
        "The girl is styling her hair, and nobody minds.",
    ]
    expected = SentenceTransformer(str(minilm), device="cpu").encode(texts)
    found = Embedder.load(minilm, device="cpu", dtype="fp32").encode(texts)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)
