"""Supervised contrastive loss for texts with any number of labels."""

import pytest
import torch

from tenor.losses.multi_label_contrastive import multi_label_contrastive
from tenor.losses.supervised_contrastive import supervised_contrastive


def by_hand(embeddings, labels, temperature):
    unit = torch.nn.functional.normalize(embeddings)
    scores = unit @ unit.T / temperature
    losses = []
    for label in range(labels.shape[1]):
        for i in range(len(labels)):
            others = [j for j in range(len(labels)) if j != i]
            positives = [j for j in others if labels[i, label] and labels[j, label]]
            if positives:
                total = torch.logsumexp(scores[i, others], 0)
                losses.append(total - scores[i, positives].mean())
    return torch.stack(losses).mean()


def test_is_the_formula():
    embeddings = torch.randn(8, 4, dtype=torch.float64)
    labels = (torch.rand(8, 5) < 0.4).long()
    found = multi_label_contrastive(embeddings, labels, temperature=0.3)
    torch.testing.assert_close(found, by_hand(embeddings, labels, 0.3))


def test_one_label_a_text_is_the_ordinary_loss():
    embeddings, classes = torch.randn(9, 4), torch.arange(9) % 3
    labels = torch.nn.functional.one_hot(classes)
    found = multi_label_contrastive(embeddings, labels)
    torch.testing.assert_close(found, supervised_contrastive(embeddings, classes))


def test_an_excluded_pair_is_neither_positive_nor_negative():
    embeddings = torch.randn(5, 4)
    labels = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1]])
    excluded = torch.zeros(5, 5, dtype=torch.bool)
    excluded[4, :] = excluded[:, 4] = True
    found = multi_label_contrastive(embeddings, labels, excluded_UU=excluded)
    torch.testing.assert_close(found, multi_label_contrastive(embeddings[:4], labels[:4]))


def test_without_a_shared_label_there_is_a_gradient_of_nothing():
    embeddings = torch.randn(3, 4, requires_grad=True)
    loss = multi_label_contrastive(embeddings, torch.tensor([[1, 0], [0, 1], [0, 0]]))
    loss.backward()
    assert float(loss.detach()) == 0 and not embeddings.grad.any()


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="labels_UC"):
        multi_label_contrastive(torch.randn(3, 2), torch.ones(2, 2))
