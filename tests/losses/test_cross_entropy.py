"""Cross-entropy with weights and smoothing, and that of several labels a text, against torch."""

import pytest
import torch
from torch import nn

from tenor.losses.cross_entropy import cross_entropy
from tenor.losses.multi_label_cross_entropy import multi_label_cross_entropy

LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 1, 2, 0, 0])
TARGETS = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
WEIGHTS = torch.tensor([0.5, 2.0, 1.0])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_that_of_torch(weights, smoothing):
    weight = None if weights is None else weights.double()
    peer = nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)
    found = cross_entropy(LOGITS, LABELS, weights_C=weights, label_smoothing=smoothing)
    torch.testing.assert_close(found, peer(LOGITS, LABELS))


def test_weights_count_a_label_as_often_as_they_say():
    twice = cross_entropy(torch.cat([LOGITS, LOGITS[1:3]]), torch.cat([LABELS, LABELS[1:3]]))
    weighted = cross_entropy(LOGITS, LABELS, weights_C=torch.tensor([1.0, 2.0, 1.0]))
    torch.testing.assert_close(weighted, twice)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_multi_label_cross_entropy_is_that_of_torch(weights):
    weight = None if weights is None else weights.double()
    peer = nn.BCEWithLogitsLoss(pos_weight=weight)
    found = multi_label_cross_entropy(LOGITS, TARGETS, positive_weights_C=weights)
    torch.testing.assert_close(found, peer(LOGITS, TARGETS.double()))


def test_bf16_logits_lose_nothing_more():
    low = LOGITS.to(torch.bfloat16)
    torch.testing.assert_close(cross_entropy(low, LABELS), cross_entropy(low.float(), LABELS))
    found = multi_label_cross_entropy(low, TARGETS, positive_weights_C=WEIGHTS)
    assert found.dtype == torch.float32


@pytest.mark.parametrize(
    "call",
    [
        lambda: cross_entropy(LOGITS, LABELS[:2]),
        lambda: cross_entropy(LOGITS, LABELS, weights_C=torch.ones(2)),
        lambda: cross_entropy(LOGITS[:0], LABELS[:0]),
        lambda: multi_label_cross_entropy(LOGITS, TARGETS[:1]),
        lambda: multi_label_cross_entropy(LOGITS, TARGETS, positive_weights_C=torch.ones(1)),
        lambda: multi_label_cross_entropy(LOGITS[:0], TARGETS[:0]),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call):
    with pytest.raises(ValueError, match="must"):
        call()
