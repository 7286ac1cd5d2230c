from dataclasses import replace

import numpy as np
import pytest
import torch

from tenor.models.embedder import Embedder
from tenor.training.objectives import make_objective
from tenor.training.steps import GradCache, Plain, make_step
from tiny import TinyEmbedder, tiny_data, tiny_encoder, tiny_tokenizer

ROWS = 24


@pytest.fixture(scope="module")
def batch():
    return tiny_data("triplets", ROWS).batch(np.arange(ROWS))


@pytest.fixture
def objective():
    return make_objective("mnr", dimensions=32)


def gradients(step, model, batch, seed=5):
    model.zero_grad()
    torch.manual_seed(seed)
    loss = step(model, batch)
    loss.backward()
    return loss.item(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def assert_equal(found, expected, tolerance=1e-5):
    assert abs(found[0] - expected[0]) <= tolerance
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).abs().max() <= tolerance, name
    assert max(gradient.abs().max() for gradient in expected[1].values()) > 0.1


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("tokens", [1, 50, 10_000])
@pytest.mark.parametrize("name", ["bert", "mpnet"])  # one packed, one padded
def test_cached_gradients_are_the_plain_ones(batch, objective, name, tokens, pooling):
    model = TinyEmbedder(tiny_encoder(name), pooling)
    expected = gradients(Plain(objective), model, batch)
    assert_equal(gradients(GradCache(objective, tokens), model, batch), expected)


def test_with_one_chunk_dropout_is_the_plain_one_too(batch, objective):
    model = TinyEmbedder(tiny_encoder(dropout=0.2)).train()
    expected = gradients(Plain(objective), model, batch)
    assert_equal(gradients(GradCache(objective, 10_000), model, batch), expected)
    other = gradients(Plain(objective), model, batch, seed=6)
    assert abs(other[0] - expected[0]) > 1e-3, "dropout was not active"


def test_both_passes_over_a_chunk_drop_the_same(batch, objective):
    """With many chunks and dropout, gradients are those of the cached forward pass itself."""
    model = TinyEmbedder(tiny_encoder(dropout=0.2)).train()
    found = gradients(GradCache(objective, 50), model, batch)
    # The same chunks, one after the other, with all their graphs kept.
    chunks = list(batch.chunks(50, np.arange(len(batch.texts))))
    assert len(chunks) > 3
    place = torch.from_numpy(np.argsort(np.concatenate(chunks)))

    def kept(model, batch):
        return objective(torch.cat([model(batch.packed(c)) for c in chunks])[place], batch)

    assert_equal(found, gradients(kept, model, batch))


def test_the_random_state_after_a_cached_step_is_that_of_its_forward_pass(batch, objective):
    model = TinyEmbedder(tiny_encoder(dropout=0.2)).train()
    loss = GradCache(objective, 50)(model, batch)
    before = torch.get_rng_state()
    loss.backward()
    assert torch.equal(torch.get_rng_state(), before)


def test_cached_gradients_add_up_over_backward_calls(batch, objective):
    """Gradient accumulation: two half-weighted steps are one step."""
    model = TinyEmbedder()
    expected = gradients(Plain(objective), model, batch)
    model.zero_grad()
    for _ in range(2):
        (GradCache(objective, 50)(model, batch) / 2).backward()
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert_equal((expected[0], found), expected)


def test_a_chunk_at_a_time_is_in_memory(batch, objective):
    """What autograd keeps of the encoder is never more than a chunk."""
    model = TinyEmbedder()
    sizes = []
    model.encoder.register_forward_hook(
        lambda _, args, out: sizes.append((len(out), out.requires_grad))
    )
    GradCache(objective, 64)(model, batch).backward()
    half = len(sizes) // 2
    assert half > 3
    assert max(tokens for tokens, _ in sizes) == 64
    assert not any(graph for _, graph in sizes[:half])
    assert all(graph for _, graph in sizes[half:])


def test_parameters_of_the_objective_get_their_gradients():
    batch = tiny_data("labelled", ROWS).batch(np.arange(ROWS))
    objective = make_objective("softmax", dimensions=32, classes=2)
    model = TinyEmbedder()
    found = []
    for step in (Plain(objective), GradCache(objective, 50)):
        objective.zero_grad()
        step(model, batch).backward()
        found.append({n: p.grad.clone() for n, p in objective.named_parameters()})
    assert found[0].keys() == {"classifier.weight", "classifier.bias"}
    for name, gradient in found[0].items():
        assert gradient.abs().max() > 1e-3
        torch.testing.assert_close(found[1][name], gradient, atol=1e-5, rtol=0)


@pytest.mark.parametrize("tokens", [0, 40])
def test_softmax_is_given_vectors_as_long_as_they_are(tokens):
    """Of a model that scales them to length 1; ranking is given those of length 1."""
    batch = tiny_data("labelled", ROWS).batch(np.arange(ROWS))
    encoder = tiny_encoder()
    unscaled, scaled = TinyEmbedder(encoder), Embedder(encoder, tiny_tokenizer(), normalize=True)
    objective = make_objective("softmax", dimensions=32, classes=2)
    expected = gradients(Plain(objective), unscaled, batch)
    found = gradients(make_step(objective, tokens), scaled.train(), batch)
    assert_equal(found, expected)
    assert scaled(batch.packed()).norm(dim=1).allclose(torch.ones(len(batch.texts)))

    cosine = make_objective("mnr", dimensions=32)
    other = tiny_data("pairs", ROWS).batch(np.arange(ROWS))
    lengths = []
    make_step(lambda x, b: lengths.append(x.norm(dim=1)) or cosine(x, b), tokens)(scaled, other)
    assert lengths[0].allclose(torch.ones(len(other.texts)))


@pytest.mark.parametrize("tokens", [0, 40])
@pytest.mark.parametrize("name", ["bert", "mpnet"])  # one packed, one padded
def test_a_text_that_is_encoded_twice_is_dropped_from_twice(name, tokens, objective):
    """SimCSE: two masks in training, whether or not the two stand in one chunk."""
    data = tiny_data("pairs", ROWS)
    place = data.columns["anchor"]
    columns = {"anchor": place, "positive": place}
    batch = replace(data, columns=columns, columns_apart=True).batch(np.arange(ROWS))
    model, seen = TinyEmbedder(tiny_encoder(name, dropout=0.2)), []

    def watched(embeddings, batch):
        seen.append([embeddings[batch.columns[side]].detach() for side in columns])
        return objective(embeddings, batch)

    step = GradCache(watched, tokens) if tokens else Plain(watched)
    step(model.eval(), batch)
    loss = step(model.train(), batch)
    torch.testing.assert_close(*seen[0], atol=1e-5, rtol=0)
    one, other = seen[1]
    assert ((one - other).abs().amax(dim=1) > 1e-3).all()
    loss.backward()
    assert max(p.grad.abs().max() for p in model.parameters() if p.grad is not None) > 0.1


def test_training_in_bf16_follows_fp32():
    """The products must see every update of the weights, whatever the optimiser."""
    data, curves = tiny_data("pairs", ROWS), []
    for dtype in ("fp32", "bf16"):
        model = TinyEmbedder(tiny_encoder(std=0.1, dtype=dtype))
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=True)
        step = Plain(make_objective("mnr", dimensions=32))
        curves.append([])
        for number in range(12):
            loss = step(model, data.batch(np.arange(ROWS)))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            curves[-1].append(loss.item())
            if number == 5:  # an evaluation between two steps
                with torch.inference_mode():
                    model(data.batch(np.arange(3)).packed())
    fp32, bf16 = curves
    assert fp32[-1] < 0.5 * fp32[0]
    assert bf16 == pytest.approx(fp32, rel=0.1, abs=0.05)
