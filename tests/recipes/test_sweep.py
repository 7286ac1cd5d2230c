"""The freeze sweep, from files to a table and a chart; and freezing in the recipes themselves."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenor.errors import ConfigError, TrainingError
from tenor.formats.locate import hash_model
from tenor.models.classifier import TextClassifier
from tenor.models.embedder import Embedder
from tenor.recipes import sweep_depth
from tenor.recipes.classifier import ClassifierConfig, train_classifier
from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive
from tenor.recipes.sweep import FreezeSweepConfig, sweep_freeze
from tenor.recipes.tagger import TaggerConfig, train_tagger
from tenor.training.trainer import Trainer
from tiny import tiny_model
from tiny_labels import random_labelled


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


def write(folder, name, rows, seed):
    texts, labels = random_labelled(rows, seed=seed)
    path = folder / f"{name}.jsonl"
    lines = (json.dumps({"text": t, "label": n}) for t, n in zip(texts, labels, strict=True))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def config(start, tmp_path):
    return FreezeSweepConfig(
        train=write(tmp_path, "train", 48, 0),
        test=write(tmp_path, "test", 30, 50),
        out=str(tmp_path / "sweep"),
        model=start,
        batch_size=8,
        epochs=2,
        learning_rate=3e-3,
        dtype="fp32",
        device="cpu",
    )


def test_every_depth_is_trained_and_compared(config, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    result = sweep_freeze(config)
    rows, out = result["rows"], Path(config.out)
    assert [row["depth"] for row in rows] == [0, 1, 2] and result["blocks"] == 2
    trained = [row["trained_parameters"] for row in rows]
    assert trained == sorted(trained, reverse=True) and trained[2] < 2_000 < trained[1]
    assert result["metric"] == "macro_f1" and result["against_depth"] == 0
    assert rows[0]["against"] == {"macro_f1": None, "accuracy": None}
    for row in rows[1:]:
        change = row["against"]["macro_f1"]
        figures = row["test"]["metrics"]["macro_f1"] - rows[0]["test"]["metrics"]["macro_f1"]
        assert change["value"] == pytest.approx(figures)
        assert change["low"] <= change["value"] <= change["high"]
    # The second depth goes on from what the first one's blocks made.
    assert rows[0]["prefix_cache"] is None
    assert [row["prefix_cache"]["made_from_depth"] for row in rows[1:]] == [0, 1]
    assert "from that of 1" in caplog.text and not (out / "prefix-cache").exists()
    for row in rows:
        assert row["model"]["sha256"] == hash_model(out / f"depth-{row['depth']}" / "model")
        assert row["steps"] == 12 and row["train_seconds"] > 0 and row["learning_rate"] == 3e-3
        assert row["peak_bytes"] is None or row["peak_bytes"] > 1e8
    assert json.loads((out / "result.json").read_text())["rows"] == rows
    assert result["data"]["test"]["rows"] == 30 and "evaluation texts" in result["overlap"]
    drawing = (out / "freeze.svg").read_text()
    assert drawing.startswith("<svg") and "xmlns" in drawing and "frozen blocks" in drawing


def test_the_cache_changes_nothing_but_the_time(config, tmp_path):
    config = replace(config, depths="1")
    shared = sweep_freeze(config)["rows"][0]
    plain = sweep_freeze(replace(config, share_cache=False, out=str(tmp_path / "plain")))["rows"][0]
    assert plain["prefix_cache"] is None and shared["prefix_cache"] is not None
    assert shared["train_loss"] == pytest.approx(plain["train_loss"], abs=1e-5)
    assert shared["test"]["metrics"] == pytest.approx(plain["test"]["metrics"], abs=1e-4)


def test_a_sweep_that_was_killed_goes_on_where_it_was(config, monkeypatch, tmp_path):
    whole = sweep_freeze(replace(config, out=str(tmp_path / "whole")))
    step = Trainer.training_step

    def stop(self, *args, **kwargs):
        if self.frozen.depth == 1 and self.state.global_step == 9:
            raise RuntimeError("killed")
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", stop)
    with pytest.raises(RuntimeError, match="killed"):
        sweep_freeze(config)
    with pytest.raises(ConfigError, match="--resume"):
        sweep_freeze(config)
    ran = []

    def watched(self, *args, **kwargs):
        ran.append(self.frozen.depth)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", watched)
    result = sweep_freeze(replace(config, resume=True))
    assert ran == [1] * 6 + [2] * 12  # from the checkpoint of the first epoch on
    for row, expected in zip(result["rows"], whole["rows"], strict=True):
        assert row["test"]["metrics"] == pytest.approx(expected["test"]["metrics"])
        assert row["model"]["sha256"] == expected["model"]["sha256"]
    before = len(ran)
    assert sweep_freeze(replace(config, resume=True)) == json.loads(
        Path(config.out, "result.json").read_text()
    )
    assert len(ran) == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depths": "0,x"}, "such as 0,2,4,6"),
        ({"depths": ""}, "such as 0,2,4,6"),
        ({"head": "logistic"}, "linear or mlp"),
        ({"test": ""}, "test"),
        ({"class_weights": "some"}, "class_weights"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"layer_decay": 2.0}, "layer_decay"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_read(wrong, message, config):
    with pytest.raises(ConfigError, match=message):
        replace(config, **wrong)


def test_more_blocks_than_there_are_leave_no_folder(config):
    with pytest.raises(ConfigError, match="from 0 to 2"):
        sweep_freeze(replace(config, depths="0,7"))
    assert not Path(config.out).exists()


def test_one_process_only(config, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="without torchrun"):
        sweep_freeze(config)


def test_the_deepest_is_trained_at_the_rate_of_a_head(config):
    config = replace(config, depths="1,2", learning_rate=None, epochs=1)
    rows = sweep_freeze(config)["rows"]
    assert [row["learning_rate"] for row in rows] == [1e-4, 1e-3]
    assert [row["head_learning_rate"] for row in rows] == [1e-3, 1e-3]


def test_memory_is_measured_for_each_depth(config, monkeypatch):
    peaks = iter([7e8, 6e8])
    monkeypatch.setattr(sweep_depth, "restart_peak", lambda: True)
    monkeypatch.setattr(sweep_depth, "peak_bytes", lambda: next(peaks))
    rows = sweep_freeze(replace(config, depths="0,1", epochs=1))["rows"]
    assert [row["peak_bytes"] for row in rows] == [7e8, 6e8]


# -- freezing in the recipes ----------------------------------------------------------------


def unchanged(folder, start):
    """Which parameters of the encoder are those of the start."""
    kept = Embedder.load(start, device="cpu").encoder.transformer.state_dict()
    from safetensors.numpy import load_file

    found = load_file(Path(folder) / "model" / "model.safetensors")
    found = {name.removeprefix("bert."): value for name, value in found.items()}
    return {
        name
        for name, value in kept.items()
        if name in found and np.array_equal(value.numpy(), found[name])
    }


def of_block(names, number):
    return [name for name in names if f"layer.{number}." in name]


def test_a_classifier_on_frozen_blocks(config, start, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    result = train_classifier(
        ClassifierConfig(
            train=config.train, out=config.out, model=start, batch_size=8, epochs=2, dtype="fp32",
            learning_rate=3e-3, freeze="1", layer_decay=0.9, device="cpu",
        )
    )  # fmt: skip
    kept = unchanged(config.out, start)
    assert len(of_block(kept, 0)) == 16 and not of_block(kept, 1)
    assert any("word_embeddings" in name for name in kept)
    assert result["prefix_cache"]["depth"] == 1 and "frozen blocks for" in caplog.text
    assert f"{result['trained_parameters']:,} parameters are trained" in caplog.text
    model = TextClassifier.load(f"{config.out}/model", device="cpu")
    assert all(each.requires_grad for each in model.parameters())


def test_an_embedder_on_frozen_blocks(tmp_path, start):
    path = tmp_path / "pairs.csv"
    path.write_text("anchor,positive\n" + "".join(f"the cat {n},a dog {n}\n" for n in "abcdefgh"))
    result = train_contrastive(
        ContrastiveConfig(
            train=str(path), out=str(tmp_path / "run"), model=start, batch_size=4, epochs=2,
            freeze="last-1", learning_rate=1e-2, dtype="fp32", device="cpu",
        )
    )  # fmt: skip
    kept = unchanged(tmp_path / "run", start)
    assert len(of_block(kept, 0)) == 16 and not of_block(kept, 1)
    assert result["prefix_cache"]["depth"] == 1
    with pytest.raises(ConfigError, match="last-1"):
        train_contrastive(
            ContrastiveConfig(
                train=str(path), out=str(tmp_path / "all"), model=start, freeze="all", device="cpu"
            )
        )


def test_a_tagger_on_frozen_blocks(tmp_path, start):
    path = tmp_path / "tags.jsonl"
    rows = [{"tokens": ["the", "cat", n], "ner_tags": ["O", "B-ANIMAL", "O"]} for n in "abcdefgh"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = train_tagger(
        TaggerConfig(
            train=str(path), out=str(tmp_path / "run"), model=start, batch_size=4, epochs=2,
            freeze="1", learning_rate=1e-2, dtype="fp32", device="cpu",
        )
    )  # fmt: skip
    kept = unchanged(tmp_path / "run", start)
    assert len(of_block(kept, 0)) == 16 and not of_block(kept, 1)
    assert result["prefix_cache"]["depth"] == 1
