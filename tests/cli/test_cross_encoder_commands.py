"""The commands of cross-encoders: what they take, and what goes to stdout."""

import json

import numpy as np
import pytest
from cyclopts import App

from tenor.cli.cross_encoder_commands import cross_encoder, pairs
from tenor.errors import ModelError
from tiny import random_texts, tiny_model, write_csv
from tiny_pairs import tiny_cross_encoder

ROWS = 12


@pytest.fixture
def app():
    app = App(result_action="return_value")
    app.command(cross_encoder)
    app.command(pairs)
    return app


@pytest.fixture
def scored(tmp_path):
    columns = {
        "sentence1": random_texts(ROWS, words=(2, 9)),
        "sentence2": random_texts(ROWS, seed=1, words=(2, 9)),
        "score": np.linspace(0, 5, ROWS).round(2),
    }
    return write_csv(tmp_path / "scored.csv", columns)


@pytest.fixture
def model(tmp_path):
    tiny_cross_encoder().save(tmp_path / "model")
    return str(tmp_path / "model")


def test_figures_as_one_json_object(app, model, scored, capsys):
    app(["pairs", model, scored, "--json", "--dtype", "fp32"])
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"].keys() == {"pearson", "spearman"}
    assert found["n"] == ROWS
    assert found["model"]["name"] == model and len(found["model"]["sha256"]) == 64
    assert found["data"]["path"] == scored


def test_figures_as_a_table(app, model, scored, capsys):
    app(["pairs", model, scored, "--max-seq-length", "8"])
    shown = capsys.readouterr().out
    assert "spearman" in shown and "95 % interval" in shown and "n = 12" in shown
    assert " 0 texts truncated" not in shown


def test_a_model_that_does_not_suit_the_data(app, scored, tmp_path):
    tiny_cross_encoder(classes=3).save(tmp_path / "labels")
    with pytest.raises(ModelError, match="needs a single score"):
        app(["pairs", str(tmp_path / "labels"), scored])


def test_a_run_from_flags(app, scored, tmp_path):
    start = tiny_model(tmp_path / "start")
    flags = ["--train", scored, "--out", str(tmp_path / "run"), "--model", start]
    app(["cross-encoder", *flags, "--batch-size", "4", "--negatives", "2", "--device", "cpu"])
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
