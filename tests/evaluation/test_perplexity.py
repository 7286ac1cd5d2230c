"""Perplexity, and that a model is measured on the same masked tokens every time."""

import numpy as np
import pytest
import torch

from tenor.evaluation.perplexity import likelihood, perplexity
from tenor.models.masked_lm import MaskedLM
from tenor.training.denoising import vocabulary_facts
from tenor.training.masking import Masking, cut_in_blocks
from tiny import random_texts, tiny_model


def test_perplexity_is_of_tokens_not_of_texts():
    losses, tokens = np.array([1.0, 30.0]), np.array([1.0, 10.0])
    result = likelihood(losses, tokens, "x", 0.0)
    assert result.metrics["perplexity"] == pytest.approx(np.exp(31 / 11))
    assert result.per_item["log_likelihood"].mean() == pytest.approx(-31 / 11)
    low, high = result.intervals["perplexity"]
    assert low == pytest.approx(np.e)
    assert high == pytest.approx(np.exp(3))


def test_a_measure_masks_the_same_tokens_every_time(tmp_path):
    model = MaskedLM.load(tiny_model(tmp_path / "model"), device="cpu", dtype="fp32")
    ids = cut_in_blocks(model.tokenizer, random_texts(30, words=(3, 30)))
    measure = perplexity(ids, Masking(facts=vocabulary_facts(model.tokenizer)), "x.txt", 3)
    first = measure(model)
    torch.rand(7)
    again = measure(model)
    assert first.metrics == again.metrics
    assert len(ids) / 2 < first.n <= len(ids)  # of a short block chance may mask nothing
    assert first.data == {"name": "held-out text of x.txt"}
