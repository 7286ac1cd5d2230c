"""The same loss and gradients as sentence-transformers' DenoisingAutoEncoderLoss."""

import numpy as np
import pytest
import torch

from decoder_weights import copy_from
from tenor.data.noise import Noise
from tenor.models.decoder import Decoder
from tenor.models.embedder import Embedder
from tenor.training.denoising import DenoisingAutoEncoder, DenoisingBatch, vocabulary_facts
from tiny import random_texts, tiny_encoder, tiny_tokenizer

sentence_transformers = pytest.importorskip("sentence_transformers")

TEXTS = list(dict.fromkeys(random_texts(8, words=(3, 12))))


@pytest.fixture
def folder(tmp_path):
    embedder = Embedder(tiny_encoder(std=0.1), tiny_tokenizer(), pooling=("cls",))
    embedder.save(tmp_path / "model", card="A tiny model.")
    return str(tmp_path / "model")


def padded(rows):
    blocks = {
        "input_ids": torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long),
        "attention_mask": torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long),
    }
    for number, row in enumerate(rows):
        blocks["input_ids"][number, : len(row)] = torch.as_tensor(np.asarray(row, dtype=np.int64))
        blocks["attention_mask"][number, : len(row)] = 1
    return blocks


def theirs(folder, *, tie):
    from sentence_transformers.sentence_transformer.losses import DenoisingAutoEncoderLoss

    model = sentence_transformers.SentenceTransformer(folder, device="cpu")
    loss = DenoisingAutoEncoderLoss(
        model, decoder_name_or_path=None if tie else folder, tie_encoder_decoder=tie
    )
    with torch.no_grad():
        for parameter in loss.decoder.parameters():  # nothing is neutral
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return loss.eval()


def ours(folder, loss, *, tie):
    model = Embedder.load(folder, device="cpu", dtype="fp32")
    state = loss.encoder.transformers_model.state_dict()
    model.encoder.transformer.load_state_dict(state, strict=False)
    decoder = Decoder.of(model.encoder, model.dimensions, tie=tie)
    copy_from(decoder, loss.decoder)
    return DenoisingAutoEncoder(model, decoder)


@pytest.mark.parametrize("tie", [True, False])
def test_loss_and_gradients_are_the_same(folder, tie):
    loss = theirs(folder, tie=tie)
    model = ours(folder, loss, tie=tie).eval()
    ids = tiny_tokenizer()(TEXTS)
    texts = np.argsort(-ids.lengths, kind="stable")
    facts = vocabulary_facts(tiny_tokenizer())
    batch = DenoisingBatch.of(ids, texts, Noise(), facts, 5, filler_id=0)
    rows = torch.split(batch.damaged.token_ids, batch.damaged.lengths.tolist())
    damaged = padded([rows[place].numpy() for place in batch.place.tolist()])
    expected = loss([damaged, padded([ids[text] for text in texts])], None)
    found = model(batch, int((batch.targets >= 0).sum()))
    assert found.item() == pytest.approx(expected.item(), abs=1e-4)
    expected.backward()
    found.backward()
    peer = dict(loss.encoder.transformers_model.named_parameters())
    for name, parameter in model.encoder.transformer.named_parameters():
        if "pooler" not in name:
            torch.testing.assert_close(parameter.grad, peer[name].grad, atol=1e-5, rtol=1e-3)
