"""What a folder says about a cross-encoder: every form it is stored in, and what is refused."""

import json

import pytest

from tenor.errors import ModelError
from tenor.formats.cross_encoder import (
    ACTIVATIONS,
    CrossEncoderLayout,
    read_cross_encoder,
    write_activation,
)
from tenor.formats.cross_encoder_card import cross_encoder_card


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "config.json", {"architectures": ["BertForSequenceClassification"]})
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def write(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value))


def settings(folder, **values):
    write(folder / "modules.json", [{"type": "sentence_transformers.base.Transformer", "path": ""}])
    write(folder / "config_sentence_transformers.json", {"model_type": "CrossEncoder", **values})


def test_a_plain_folder(folder):
    assert read_cross_encoder(folder) == CrossEncoderLayout(transformer=folder, has_head=True)
    write(folder / "config.json", {"architectures": ["BertModel"]})
    assert read_cross_encoder(folder) == CrossEncoderLayout(transformer=folder, has_head=False)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_that_was_written_is_read(name, folder):
    write(folder / "config.json", {"sbert_ce_default_activation_function": "torch.nn.Tanh"})
    write_activation(folder, name)
    assert read_cross_encoder(folder).activation == name
    assert "sbert_ce" not in (folder / "config.json").read_text()


def test_the_layout_of_version_6(folder):
    settings(folder, activation_fn="torch.nn.modules.linear.Identity", prompts={"query": "q: "})
    write(folder / "sentence_bert_config.json", {"max_seq_length": 12, "do_lower_case": True})
    assert read_cross_encoder(folder) == CrossEncoderLayout(
        transformer=folder,
        has_head=True,
        activation="identity",
        max_seq_length=12,
        do_lower_case=True,
    )


def test_an_activation_that_is_unknown_or_code_of_its_own(folder, caplog):
    write(folder / "config.json", {"sentence_transformers": {"activation_fn": "mine.Activation"}})
    assert read_cross_encoder(folder).activation is None
    assert "never run" in caplog.text
    write(folder / "config.json", {"sentence_transformers": {"activation_fn": "torch.nn.PReLU"}})
    with pytest.raises(ModelError, match=r"torch.nn.PReLU.*must be one of identity"):
        read_cross_encoder(folder)


def test_what_cannot_be_read_is_refused(folder):
    settings(folder, default_prompt_name="query", prompts={"query": "q: "})
    with pytest.raises(ModelError, match="default prompt"):
        read_cross_encoder(folder)
    settings(folder)
    steps = [{"type": "x.Transformer", "path": ""}, {"type": "x.LogitScore", "path": "1"}]
    write(folder / "modules.json", steps)
    with pytest.raises(ModelError, match="Transformer, LogitScore"):
        read_cross_encoder(folder)
    write(folder / "modules.json", [{"type": "x.Transformer", "path": "../other"}])
    with pytest.raises(ModelError, match="points out of its folder"):
        read_cross_encoder(folder)


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="Pickled weights"):
        read_cross_encoder(folder)


def test_the_card_says_what_was_trained_and_measured():
    result = {
        "metrics": {"spearman": 0.81},
        "intervals": {"spearman": (0.79, 0.83)},
        "n": 100,
        "truncated": 0,
        "data": {"path": "/somewhere/test.csv", "sha256": "ab"},
    }
    text = cross_encoder_card(
        name="scorer",
        base_model="all-MiniLM-L6-v2",
        labels=("score",),
        activation="sigmoid",
        max_seq_length=512,
        training={"loss": "bce", "rows": 10},
        evaluation=[result],
    )
    assert "pipeline_tag: text-ranking" in text
    assert "base_model: sentence-transformers/all-MiniLM-L6-v2" in text
    assert "0.8100 [0.7900, 0.8300]" in text and "/somewhere" not in text
    assert 'CrossEncoder("scorer")' in text and "model.rank(" in text
    labels = cross_encoder_card(
        name="judge",
        base_model="x",
        labels=("yes", "no"),
        activation="identity",
        max_seq_length=64,
        training=None,
        evaluation=[],
    )
    assert "pipeline_tag: text-classification" in labels
    assert "| Labels | yes, no |" in labels and "model.rank(" not in labels
