"""Training a cross-encoder from files to a saved model, for each kind of data."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder as Peer

from tenor.errors import ConfigError, DataError
from tenor.formats.locate import hash_model
from tenor.models.cross_encoder import CrossEncoder
from tenor.recipes.cross_encoder import CrossEncoderConfig, train_cross_encoder
from tiny import WIDTH, random_texts, tiny_model, write_csv
from tiny_pairs import random_pairs, tiny_cross_encoder

ROWS = 16
# kind, loss that suits it, the deciding figure
KINDS = {
    "scored": ("bce", "spearman"),
    "labelled_pairs": ("bce", "average_precision"),
    "nli": ("cross-entropy", "accuracy"),
    "pairs": ("mnr", "ndcg@10"),
    "triplets": ("mnr", "ndcg@10"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


def write(folder, kind, name="train", *, seed=0):
    left, right, other = (
        random_texts(ROWS, seed=seed + number, words=(3, 9)) for number in (1, 2, 3)
    )
    columns = {
        "scored": lambda: {
            "sentence1": left,
            "sentence2": right,
            "score": np.linspace(0, 5, ROWS).round(2),
        },
        "labelled_pairs": lambda: {
            "sentence1": left,
            "sentence2": right,
            "label": np.arange(ROWS) % 2,
        },
        "nli": lambda: {"premise": left, "hypothesis": right, "label": np.arange(ROWS) % 3},
        "pairs": lambda: {"anchor": left, "positive": right},
        "triplets": lambda: {"anchor": left, "positive": right, "negative": other},
        "texts": lambda: {"text": left, "label": np.arange(ROWS) % 2},
    }[kind]()
    return write_csv(folder / f"{name}-{kind}.csv", columns)


@pytest.fixture
def config(model, tmp_path):
    return CrossEncoderConfig(
        train=write(tmp_path, "scored"),
        out=str(tmp_path / "run"),
        model=model,
        batch_size=8,
        learning_rate=1e-3,
        dtype="fp32",
        device="cpu",
        negatives=2,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_from_a_file_to_a_model(kind, config, tmp_path, caplog):
    loss, metric = KINDS[kind]
    caplog.set_level(logging.INFO, logger="tenor")
    config = replace(
        config,
        train=write(tmp_path, kind),
        validation=write(tmp_path, kind, "validation", seed=50),
    )
    result = train_cross_encoder(config)
    assert (result["loss"], result["metric"], result["rows"]) == (loss, metric, ROWS)
    assert f"loss {loss}: " in caplog.text
    assert "evaluation texts occurs in the training data" in caplog.text
    assert result["steps"] == 2
    for when in ("before", "after"):
        assert metric in result[when]["metrics"]
    assert result["difference"]["low"] <= result["difference"]["value"]
    stored = json.loads((tmp_path / "run" / "result.json").read_text())
    assert stored["loss"] == loss
    folder = tmp_path / "run" / "model"
    assert stored["model"]["sha256"] == hash_model(folder)
    trained = CrossEncoder.load(folder, device="cpu", dtype="fp32")
    pairs = random_pairs(5)
    expected = Peer(str(folder), device="cpu").predict(pairs)
    np.testing.assert_allclose(trained.score(pairs), expected, atol=1e-5)
    if kind == "nli":
        assert trained.labels == ("entailment", "neutral", "contradiction")
    card = (folder / "README.md").read_text()
    assert "cross-encoder" in card and metric in card and loss in card


def test_the_same_run_gives_the_same_weights(config, tmp_path):
    first = train_cross_encoder(config)
    again = train_cross_encoder(replace(config, out=str(tmp_path / "again")))
    other = train_cross_encoder(replace(config, out=str(tmp_path / "other"), seed=1))
    assert first["model"]["sha256"] == again["model"]["sha256"] != other["model"]["sha256"]


def one_type(folder):
    """A cross-encoder whose tokenizer gives token types that its encoder does not know."""
    tiny_cross_encoder("roberta", type_vocab_size=1, dropout=0.1).save(folder)
    return str(folder)


@pytest.mark.parametrize("start", ["bert", "roberta"])
def test_frozen_blocks_run_once_and_stay_as_they_are(start, config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    if start == "roberta":
        config = replace(config, model=one_type(tmp_path / "roberta"))
    config = replace(config, epochs=3, freeze="1", log_every=1)
    cached = train_cross_encoder(config)
    assert cached["prefix_cache"]["depth"] == 1
    assert f"output of 1 frozen blocks for {ROWS} texts" in caplog.text
    plain = train_cross_encoder(replace(config, out=str(tmp_path / "plain"), prefix_cache="off"))
    assert plain["prefix_cache"] is None
    runs = (tmp_path / "run", tmp_path / "plain")
    found, expected = (load_file(run / "model" / "model.safetensors") for run in runs)
    for name, value in expected.items():
        if not name.endswith("key.bias"):  # its gradient is rounding, which Adam scales up
            torch.testing.assert_close(found[name], value, atol=1e-5, rtol=0, msg=name)
    before = CrossEncoder.load(config.model, device="cpu", dtype="fp32").state_dict()
    after = CrossEncoder.load(runs[0] / "model", device="cpu", dtype="fp32").state_dict()
    same = {name for name, value in before.items() if torch.equal(after[name], value)}
    assert all("embeddings" in n or "layer.0." in n or n.endswith("key.bias") for n in same)
    assert any("layer.0." in name for name in same)


def test_lists_drawn_anew_every_epoch_are_frozen_without_a_cache(config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    config = replace(config, train=write(tmp_path, "triplets"), epochs=3, freeze="1")
    result = train_cross_encoder(config)
    assert result["prefix_cache"] is None
    assert "put together anew in every epoch" in caplog.text
    everything = sum(
        value.numel() for value in CrossEncoder.load(config.model, device="cpu").parameters()
    )
    assert 0 < result["trained_parameters"] < everything


def test_a_new_pooler_is_trained_with_the_head(config, tmp_path):
    path = tiny_model(tmp_path / "encoder")
    stored = load_file(f"{path}/model.safetensors")
    kept = {name: value for name, value in stored.items() if "pooler" not in name}
    save_file(kept, f"{path}/model.safetensors", metadata={"format": "pt"})
    result = train_cross_encoder(replace(config, model=path, freeze="all"))
    assert result["trained_parameters"] == (WIDTH + 1) * WIDTH + WIDTH + 1
    old = train_cross_encoder(replace(config, freeze="all", out=str(tmp_path / "old")))
    assert old["trained_parameters"] == WIDTH + 1


@pytest.mark.parametrize("kind", ["scored", "pairs"])
def test_an_interrupted_run_goes_on_to_the_same_weights(kind, config, tmp_path, monkeypatch):
    from tenor.training.trainer import Trainer

    config = replace(config, train=write(tmp_path, kind), epochs=3, save_every=1)
    whole = train_cross_encoder(config)
    config = replace(config, out=str(tmp_path / "stopped"))
    step = Trainer.training_step

    def stop(self, *args, **kwargs):
        if self.state.global_step == 3:
            raise RuntimeError("killed")
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", stop)
    with pytest.raises(RuntimeError, match="killed"):
        train_cross_encoder(config)
    monkeypatch.setattr(Trainer, "training_step", step)
    resumed = train_cross_encoder(replace(config, resume=True))
    assert resumed["model"]["sha256"] == whole["model"]["sha256"]
    assert train_cross_encoder(replace(config, resume=True)) == resumed  # done: nothing to do


def test_a_cross_encoder_can_be_trained_further(config, tmp_path):
    train_cross_encoder(config)
    first = CrossEncoder.load(tmp_path / "run" / "model", device="cpu", dtype="fp32")
    config = replace(
        config,
        model=str(tmp_path / "run" / "model"),
        out=str(tmp_path / "second"),
        learning_rate=1e-9,
    )
    train_cross_encoder(config)
    second = CrossEncoder.load(tmp_path / "second" / "model", device="cpu", dtype="fp32")
    pairs = random_pairs(5)
    np.testing.assert_allclose(second.score(pairs), first.score(pairs), atol=1e-5)


def test_the_loss_can_be_chosen(config, tmp_path):
    nli = replace(config, train=write(tmp_path, "triplets"), loss="bce")
    assert train_cross_encoder(nli)["loss"] == "bce"
    labels = replace(
        config,
        train=write(tmp_path, "labelled_pairs"),
        loss="cross-entropy",
        out=str(tmp_path / "b"),
    )
    assert train_cross_encoder(labels)["loss"] == "cross-entropy"
    assert CrossEncoder.load(tmp_path / "b" / "model").classes == 2
    scored = replace(config, loss="mnr", out=str(tmp_path / "c"), hold_out=0.2)
    assert train_cross_encoder(scored)["loss"] == "mnr"
    with pytest.raises(ConfigError, match="a loss for scored"):
        train_cross_encoder(replace(config, loss="cross-entropy", out=str(tmp_path / "d")))


def test_rows_held_out_are_not_trained_on(config):
    result = train_cross_encoder(replace(config, hold_out=0.25))
    assert result["rows"] == 12 and result["after"]["n"] == 4


def test_what_was_cut_is_counted(config):
    result = train_cross_encoder(replace(config, max_seq_length=8))
    assert result["truncated"] > 0 and result["distinct_pairs"] == ROWS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("out", ""),
        ("train", ""),
        ("hold_out", 1.0),
        ("on_bad_row", "ignore"),
        ("device", "tpu"),
        ("negatives", -1),
        ("scale", 0.0),
        ("batch_size", 0),
    ],
)
def test_a_wrong_setting_is_named(field, value, config):
    with pytest.raises(ConfigError, match=field):
        replace(config, **{field: value})


def test_data_without_pairs_is_refused(config, tmp_path):
    with pytest.raises(ConfigError, match="labelled_texts"):
        train_cross_encoder(replace(config, train=write(tmp_path, "texts")))
    with pytest.raises(DataError, match="labelled_texts"):
        train_cross_encoder(replace(config, validation=write(tmp_path, "texts")))
