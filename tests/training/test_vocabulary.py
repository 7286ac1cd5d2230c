import numpy as np
import pytest
import torch
from torch import nn

from tenor.tokens.packed import PackedBatch
from tenor.training.objectives import make_objective
from tenor.training.steps import Plain
from tenor.training.vocabulary import UsedVocabulary
from tiny import SIZE, TinyEmbedder, random_ids, tiny_data, tiny_encoder

OBJECTIVE = make_objective("mnr", dimensions=32)


def optimizer_of(model):
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.0, fused=True)


def train(model, optimizer, data, steps, start=0):
    model.train()
    for step in range(start, start + steps):
        torch.manual_seed(step)
        rows = np.random.default_rng(step).permutation(len(data))[:6]
        Plain(OBJECTIVE)(model, data.batch(rows)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def embedding_of(model):
    return model.encoder.transformer.get_input_embeddings()


@pytest.fixture(params=["bert", "roberta", "albert", "modernbert"])
def make(request):
    return lambda: TinyEmbedder(tiny_encoder(request.param, dropout=0.1))


def assert_same(found, expected):
    for name, value in expected.state_dict().items():
        assert (found.state_dict()[name] - value).abs().max() <= 1e-7, name


def test_trained_models_are_the_same_with_and_without(make):
    data = tiny_data(rows=12)
    plain, cut = make(), make()
    before = embedding_of(plain).weight.detach().clone()
    train(plain, optimizer_of(plain), data, 8)

    vocabulary = UsedVocabulary(UsedVocabulary.applies(cut, 0.0), data)
    rows = embedding_of(cut).weight.shape[0]
    assert rows < SIZE
    train(cut, optimizer_of(cut), vocabulary.data, 8)
    vocabulary.restore()
    assert_same(cut, plain)
    moved = (embedding_of(cut).weight != before).any(1)
    assert 0 < moved.sum() < SIZE, "words of the data moved, the others did not"


def test_between_steps_the_model_can_be_whole(make):
    data, batch = tiny_data(rows=12), PackedBatch.of(random_ids([9, 7, 4], seed=3))
    plain, cut = make(), make()
    optimizer_plain, optimizer_cut = optimizer_of(plain), optimizer_of(cut)
    embedding = UsedVocabulary.applies(cut, 0.0)
    parameter, padding = embedding.weight, embedding.padding_idx
    vocabulary = UsedVocabulary(embedding, data)
    for start in (0, 3, 6):
        train(plain, optimizer_plain, data, 3, start)
        train(cut, optimizer_cut, vocabulary.data, 3, start)
        with vocabulary.whole(), torch.no_grad():
            assert_same(cut, plain)
            assert embedding.padding_idx == padding
            torch.testing.assert_close(cut.eval()(batch), plain.eval()(batch), atol=1e-5, rtol=0)
        assert embedding.weight is parameter
        assert parameter.shape[0] < SIZE


def test_weights_loaded_while_whole_are_kept(make):
    data = tiny_data(rows=12)
    model, other = make(), make()
    with torch.no_grad():
        embedding_of(other).weight.mul_(2.0)
    vocabulary = UsedVocabulary(UsedVocabulary.applies(model, 0.0), data)
    with vocabulary.whole():
        model.load_state_dict(other.state_dict())
    vocabulary.restore()
    assert_same(model, other)


def test_an_error_while_whole_leaves_the_model_cut(make):
    model, data = make(), tiny_data(rows=12)
    vocabulary = UsedVocabulary(UsedVocabulary.applies(model, 0.0), data)
    with pytest.raises(KeyboardInterrupt), vocabulary.whole():
        raise KeyboardInterrupt
    train(model, optimizer_of(model), vocabulary.data, 1)


def test_tokens_of_the_data_point_to_their_rows():
    model, data = TinyEmbedder(), tiny_data(rows=12)
    full = embedding_of(model).weight.detach().clone()
    vocabulary = UsedVocabulary(UsedVocabulary.applies(model, 0.0), data)
    compact = embedding_of(model).weight.detach()
    assert torch.equal(compact[vocabulary.data.ids.ids], full[data.ids.ids])
    assert torch.equal(compact[vocabulary.data.filler_id], full[data.filler_id])
    assert vocabulary.data.ids.lengths.tolist() == data.ids.lengths.tolist()


def test_it_applies_only_where_the_result_stays_the_same():
    model = TinyEmbedder()
    assert UsedVocabulary.applies(model, 0.0) is embedding_of(model)
    assert UsedVocabulary.applies(model, 0.01) is None
    assert UsedVocabulary.applies(nn.Linear(2, 2), 0.0) is None
    assert UsedVocabulary.applies(TinyEmbedder(tiny_encoder("mpnet")), 0.0) is None
    assert UsedVocabulary.applies(TinyEmbedder(tiny_encoder("bert", packed=False)), 0.0) is None

    tied = TinyEmbedder()
    tied.head = nn.Linear(32, SIZE, bias=False)
    tied.head.weight = embedding_of(tied).weight
    assert UsedVocabulary.applies(tied, 0.0) is None

    frozen = TinyEmbedder()
    embedding_of(frozen).weight.requires_grad_(False)
    assert UsedVocabulary.applies(frozen, 0.0) is None
