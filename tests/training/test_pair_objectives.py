"""Objectives of a cross-encoder: which loss suits which data, and that training works."""

import numpy as np
import pytest
import torch

from tenor.errors import ConfigError
from tenor.training.arguments import TrainingArguments
from tenor.training.candidate_data import CandidateData
from tenor.training.pair_objectives import (
    LOSSES,
    choose_pair_loss,
    make_pair_objective,
    pair_data,
)
from tenor.training.steps import GradCache, Plain
from tenor.training.trainer import Trainer
from tiny import random_texts, tiny_tokenizer
from tiny_pairs import random_pairs, tiny_cross_encoder

KINDS = {
    "scored": "bce",
    "labelled_pairs": "bce",
    "nli": "cross-entropy",
    "pairs": "mnr",
    "triplets": "mnr",
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_chosen_by_the_data(kind):
    loss, why = choose_pair_loss("auto", kind)
    assert loss == KINDS[kind] and why
    assert choose_pair_loss(loss, kind) == (loss, "as asked")


def test_a_loss_that_does_not_suit_the_data_is_refused():
    with pytest.raises(ConfigError, match="a loss for nli, which the data is: cross-entropy, mnr"):
        choose_pair_loss("bce", "nli")
    with pytest.raises(ConfigError, match="one of auto, bce, mse, cross-entropy, mnr"):
        choose_pair_loss("cosine", "scored")
    with pytest.raises(ConfigError, match="one of auto"):
        make_pair_objective("cosine")
    for asked in ("auto", "bce"):
        with pytest.raises(ConfigError, match="labelled_texts"):
            choose_pair_loss(asked, "labelled_texts")


def data_for(loss, rows=16):
    tokenizer = tiny_tokenizer(60)
    pairs = random_pairs(rows)
    columns = {"left": [left for left, _ in pairs], "right": [right for _, right in pairs]}
    if loss == "mnr":
        columns = {"anchor": columns["left"], "positive": columns["right"]}
        return CandidateData.lists(columns, tokenizer, negatives=2, seed=0), 1
    if loss == "cross-entropy":
        return pair_data(columns, np.arange(rows) % 3, tokenizer), 3
    return pair_data(columns, (np.arange(rows) % 2).astype(np.float32), tokenizer), 1


def test_a_pair_that_stands_twice_is_kept_once():
    columns = {"left": ["a", "b", "a"], "right": ["b", "a", "b"]}
    data = pair_data(columns, np.array([0.0, 1.0, 1.0], np.float32), tiny_tokenizer())
    assert len(data.ids) == 2 and len(data) == 3
    assert len(data.batch(np.arange(3)).texts) == 2


@pytest.mark.parametrize("loss", LOSSES)
def test_training_lowers_the_loss(loss, tmp_path):
    data, classes = data_for(loss)
    model = tiny_cross_encoder(classes=classes, std=0.1, max_length=60)
    objective = make_pair_objective(loss)
    everything = data.batch(np.arange(len(data)))
    with torch.no_grad():
        before = Plain(objective)(model, everything)
    arguments = TrainingArguments(epochs=15, batch_size=8, learning_rate=5e-3, dtype="fp32")
    trainer = Trainer(model, Plain(objective), data, arguments, tmp_path, objective=objective)
    trainer.train()
    trainer.finish()
    with torch.no_grad():
        after = Plain(objective)(model, everything)
    assert after < 0.7 * before


@pytest.mark.parametrize("loss", LOSSES)
def test_cached_gradients_are_those_of_the_plain_step(loss):
    data, classes = data_for(loss)
    model = tiny_cross_encoder(classes=classes, max_length=60)
    objective = make_pair_objective(loss)
    batch = data.batch(np.arange(8))
    gradients = []
    for step in (Plain(objective), GradCache(objective, 40)):
        model.zero_grad()
        step(model, batch).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for plain, cached in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, cached, atol=1e-5, rtol=1e-4)


def test_bce_takes_lists_too():
    columns = {"anchor": random_texts(6, seed=1), "positive": random_texts(6, seed=2)}
    data = CandidateData.lists(columns, tiny_tokenizer(), negatives=9, seed=0)
    batch = data.batch(np.arange(6))
    logits = torch.randn(len(batch.texts), 1)
    index = torch.stack(list(batch.columns.values()), dim=1)
    counts = index != index[:, :1]
    own = logits[index[:, 0], 0]
    others = logits[index, 0][counts]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.cat([own, others]), torch.cat([torch.ones(6), torch.zeros(len(others))])
    )
    torch.testing.assert_close(make_pair_objective("bce")(logits, batch), expected)
