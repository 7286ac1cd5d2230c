"""What a folder says about a tagger."""

import json

import pytest

from tenor.errors import ModelError
from tenor.formats.tagger import is_tagger, read_tagger
from tenor.formats.tagger_card import tagger_card
from tiny import tiny_model
from tiny_tags import tiny_tagger


def test_taggers_are_told_from_encoders_and_embedders(tmp_path):
    tiny_tagger().save(tmp_path / "tagger")
    tiny_model(tmp_path / "embedder")
    assert is_tagger(tmp_path / "tagger") and not is_tagger(tmp_path / "embedder")
    assert not is_tagger(tmp_path)
    assert read_tagger(tmp_path / "tagger").has_head
    layout = read_tagger(tmp_path / "embedder")
    assert not layout.has_head and layout.max_seq_length == 24


def test_a_folder_without_a_transformer_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        read_tagger(tmp_path)


def test_the_card_tells_what_was_lost_and_measured():
    result = {
        "metrics": {"f1": 0.5},
        "intervals": {"f1": (0.4, 0.6)},
        "n": 10,
        "truncated": 0,
        "data": {"path": "/secret/data.conll", "sha256": "0" * 64},
    }
    card = tagger_card(
        name="run",
        base_model="sentence-transformers/all-MiniLM-L6-v2",
        labels=["O", "B-A", "I-A"],
        max_seq_length=128,
        training={"lost": {"words": 5, "spans": 2}, "rows": 7},
        evaluation=[result],
    )
    assert "0.5000 [0.4000, 0.6000]" in card and "data.conll" in card and "/secret" not in card
    assert "| Spans that these words were a part of | 2 |" in card
    assert "base_model: sentence-transformers/all-MiniLM-L6-v2" in card
    json.dumps(card)
