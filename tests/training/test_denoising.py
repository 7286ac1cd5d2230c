"""TSDAE's step: the right targets, noise from the step's seed, the encoder learns through it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tenor.data.noise import Noise
from tenor.models.decoder import Decoder
from tenor.models.embedder import Embedder
from tenor.training.arguments import TrainingArguments
from tenor.training.batch import TrainingData
from tenor.training.denoising import (
    Denoising,
    DenoisingAutoEncoder,
    DenoisingBatch,
    vocabulary_facts,
)
from tenor.training.trainer import Trainer
from tiny import random_texts, tiny_encoder, tiny_tokenizer

TEXTS = list(dict.fromkeys(random_texts(24, words=(3, 12))))


def auto_encoder(name="bert", *, tie=True, **options):
    embedder = Embedder(tiny_encoder(name, **options), tiny_tokenizer(), pooling=("cls",))
    return DenoisingAutoEncoder(
        embedder, Decoder.of(embedder.encoder, embedder.dimensions, tie=tie)
    )


def data_and_step(texts=TEXTS, noise=None):
    tokenizer = tiny_tokenizer()
    data = TrainingData.of({"text": texts}, None, tokenizer)
    return data, Denoising(noise or Noise(), vocabulary_facts(tokenizer))


def test_predicts_each_next_token_of_the_original_and_nothing_else():
    data, step = data_and_step()
    texts = np.array([3, 0, 5])
    batch = DenoisingBatch.of(data.ids, texts, step.noise, step.facts, 1, filler_id=0)
    start = 0
    for text in texts:
        ids = torch.from_numpy(data.ids[text]).long()
        rows = slice(start, start + len(ids) - 1)
        assert batch.original.token_ids[rows].tolist() == ids[:-1].tolist()
        assert batch.targets[rows].tolist() == ids[1:].tolist()
        start = rows.stop
    assert torch.all(batch.targets[start:] == -1)
    assert len(batch.targets) == batch.original.tokens


def test_each_original_is_rebuilt_from_its_own_damaged_text():
    data, step = data_and_step()
    texts = np.arange(10)
    batch = DenoisingBatch.of(data.ids, texts, step.noise, step.facts, 1, filler_id=0)
    damaged = torch.split(batch.damaged.token_ids, batch.damaged.lengths.tolist())
    assert sorted(batch.damaged.lengths[:10], reverse=True) == batch.damaged.lengths[:10].tolist()
    for text, place in zip(texts, batch.place.tolist(), strict=True):
        remaining = iter(data.ids[text].tolist())
        assert all(token in remaining for token in damaged[place].tolist())


def test_loss_is_plain_cross_entropy_of_the_decoders_logits():
    model = auto_encoder()
    data, step = data_and_step()
    batch = DenoisingBatch.of(data.ids, np.arange(6), step.noise, step.facts, 1, filler_id=0)
    predicted = model.decoder(batch.original, model.embedder(batch.damaged)[batch.place])
    logits = F.linear(predicted, model.decoder.words.weight, model.decoder.head.bias)
    expected = F.cross_entropy(logits, batch.targets, ignore_index=-1)
    count = int((batch.targets >= 0).sum())
    assert model(batch, count).item() == pytest.approx(expected.item(), rel=1e-5)
    assert model.losses(batch).sum().item() / count == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["bert", "distilbert", "albert", "modernbert", "mpnet"])
@pytest.mark.parametrize("tie", [True, False])
def test_trains_any_architecture(name, tie):
    torch.manual_seed(0)
    model = auto_encoder(name, tie=tie)
    data, step = data_and_step()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = step(model.train(), data.batch(np.arange(len(TEXTS))))
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
    named = model.embedder.named_parameters()
    assert all(p.grad is not None for name, p in named if "pooler" not in name)


def test_the_steps_noise_comes_from_torchs_generator():
    model = auto_encoder().eval()
    data, step = data_and_step()
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(step(model, data.batch(np.arange(8))).item())
    assert losses[0] == losses[1] != losses[2]


def test_the_trainer_trains_it_whole_and_the_embedder_can_be_trained_on(tmp_path):
    """The vocabulary is not cut, and the tied embeddings get dense gradients all the same."""
    model = auto_encoder(dropout=0.1)
    before = model.encoder.transformer.get_input_embeddings().weight.detach().clone()
    data, step = data_and_step()
    arguments = TrainingArguments(batch_size=8, learning_rate=1e-3, warmup=0.0)
    trainer = Trainer(model, step, data, arguments, tmp_path)
    trainer.train()
    trainer.finish()
    words = model.encoder.transformer.get_input_embeddings()
    assert words.weight.shape == before.shape
    assert not torch.equal(words.weight, before)
    assert not words.sparse


def test_saves_the_embedder_alone(tmp_path):
    model = auto_encoder()
    model.save(tmp_path / "model")
    again = Embedder.load(tmp_path / "model", device="cpu", dtype="fp32")
    assert again.pooling.modes == ("cls",)
    np.testing.assert_array_equal(again.encode(TEXTS), model.embedder.eval().encode(TEXTS))


def test_facts_of_a_real_tokenizer_class():
    facts = vocabulary_facts(tiny_tokenizer())
    assert facts.mask_id == 4
    assert facts.special[[0, 2, 3, 4]].all()
    assert not facts.special[1], "the unknown token is part of the text"
    assert facts.continues.sum() == 26
