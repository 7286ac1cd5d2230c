"""Objectives over all pairs of a batch: which texts are positives, and which are no pair."""

import numpy as np
import pytest
import torch

from tenor.errors import ConfigError
from tenor.losses.cosine_pairs import cosine_pairs
from tenor.losses.supervised_contrastive import supervised_contrastive
from tenor.training.batch import TrainingData
from tenor.training.few_shot_objectives import (
    LOSSES,
    make_few_shot_objective,
    make_soft_objective,
)
from tiny import tiny_tokenizer

TEXTS = ["the cat", "a dog sits", "red", "blue sky near", "one fish"]


def batch_of(target, texts=TEXTS):
    data = TrainingData.of({"text": texts}, np.asarray(target), tiny_tokenizer())
    return data.batch(np.arange(len(texts)))


def in_order(embeddings, batch):
    return embeddings[batch.columns["text"]]


def test_one_label_a_text():
    batch = batch_of([0, 0, 1, 1, 2])
    embeddings = torch.randn(5, 6)
    rows = in_order(embeddings, batch)
    same = batch.target[:, None] == batch.target[None, :]
    for name, expected in (
        ("supervised-contrastive", supervised_contrastive(rows, batch.target, temperature=0.2)),
        ("cosine-pairs", cosine_pairs(rows, same)),
    ):
        found = make_few_shot_objective(name, temperature=0.2)(embeddings, batch)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", LOSSES)
def test_texts_that_share_a_label_are_drawn_together(name):
    target = np.float32([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]])
    batch = batch_of(target)
    embeddings = torch.randn(5, 6, requires_grad=True)
    objective = make_few_shot_objective(name, temperature=0.2)
    optimizer = torch.optim.SGD([embeddings], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        objective(embeddings, batch).backward()
        optimizer.step()
    unit = torch.nn.functional.normalize(in_order(embeddings.detach(), batch))
    cosines = unit @ unit.T
    assert cosines[0, 1] > 0.8 and cosines[0, 2] < 0.3 and cosines[1, 2] < 0.3


def test_two_texts_without_a_label_are_no_pair():
    target = np.float32([[1, 0], [1, 0], [0, 1], [0, 0], [0, 0]])
    batch = batch_of(target)
    embeddings = torch.randn(5, 6)
    like = torch.zeros(5, 5)
    like[0, 1] = like[1, 0] = 1
    excluded = torch.zeros(5, 5, dtype=torch.bool)
    excluded[3:, 3:] = True
    expected = cosine_pairs(in_order(embeddings, batch), like, excluded_UU=excluded)
    found = make_few_shot_objective("cosine-pairs")(embeddings, batch)
    torch.testing.assert_close(found, expected)


def test_a_text_is_no_pair_with_itself():
    batch = batch_of([0, 0, 1, 1, 2], [*TEXTS[:4], TEXTS[0]])  # once more, with another label
    embeddings = torch.randn(4, 6)
    same = torch.zeros(5, 5, dtype=torch.bool)
    same[0, 4] = same[4, 0] = True
    rows = in_order(embeddings, batch)
    like = batch.target[:, None] == batch.target[None, :]
    for name, expected in (
        ("cosine-pairs", cosine_pairs(rows, like, excluded_UU=same)),
        ("supervised-contrastive", supervised_contrastive(rows, batch.target, excluded_UU=same)),
    ):
        torch.testing.assert_close(make_few_shot_objective(name)(embeddings, batch), expected)


def test_labels_that_are_certain_teach_the_same():
    certain = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2]]
    embeddings = torch.randn(5, 6)
    hard = make_few_shot_objective("cosine-pairs")(embeddings, batch_of([0, 0, 1, 1, 2]))
    for multi_label in (False, True):
        soft = make_soft_objective(multi_label=multi_label)(embeddings, batch_of(certain))
        torch.testing.assert_close(soft, hard)


def test_pairs_count_as_far_as_they_are_probable():
    shares = np.float32([[0.5, 0.5], [0.9, 0.2], [0.0, 1.0]])
    batch = batch_of(shares, TEXTS[:3])
    embeddings = torch.randn(3, 6)
    for multi_label, likeness in (
        (False, torch.from_numpy(shares @ shares.T)),
        (True, torch.tensor([[0, 0.505, 0.5], [0.505, 0, 0.2], [0.5, 0.2, 0]])),
    ):
        found = make_soft_objective(multi_label=multi_label)(embeddings, batch)
        torch.testing.assert_close(found, cosine_pairs(in_order(embeddings, batch), likeness))


def test_a_loss_that_does_not_exist():
    with pytest.raises(ConfigError, match="one of supervised-contrastive, cosine-pairs"):
        make_few_shot_objective("triplet")
