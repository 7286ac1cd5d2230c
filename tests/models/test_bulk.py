"""Bulk work: what it keeps of memory, and what it says of time."""

import os

import pytest

from tenor.models.bulk import KERNELS, TRAINING_KERNELS, duration, keep_few_kernels
from tenor.recipes.contrastive import ContrastiveConfig
from tenor.recipes.fit import Fit

CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


@pytest.mark.parametrize(("chunk_tokens", "kept"), [(0, TRAINING_KERNELS), (2_048, KERNELS)])
def test_training_keeps_few_compiled_kernels(chunk_tokens, kept, tmp_path, monkeypatch):
    monkeypatch.setenv(CAPACITY, "")  # so that it is as before afterwards
    monkeypatch.delenv(CAPACITY)
    config = ContrastiveConfig(train="rows.jsonl", out="run", chunk_tokens=chunk_tokens)
    Fit(config, tmp_path / "run")
    assert os.environ[CAPACITY] == str(kept)


def test_what_the_user_says_of_kernels_counts(monkeypatch):
    monkeypatch.setenv(CAPACITY, "512")
    keep_few_kernels()
    assert os.environ[CAPACITY] == "512"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (89.0, "89 s"), (90.0, "1.5 min"), (5_399.0, "90.0 min"), (5_400.0, "1.5 h")],
)
def test_a_time_to_come_in_words(seconds, words):
    assert duration(seconds) == words
