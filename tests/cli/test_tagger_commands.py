"""The commands of taggers: what they take, and what goes to stdout."""

import json

import pytest
from cyclopts import App

from tenor.cli.tagger_commands import add_to
from tiny import tiny_model
from tiny_tags import tagged_rows, tiny_tagger, write_jsonl


@pytest.fixture
def app():
    app = App(result_action="return_value")
    add_to(app, app)
    return app


@pytest.fixture
def data(tmp_path):
    return write_jsonl(tmp_path / "data.jsonl", tagged_rows(20))


@pytest.fixture
def model(tmp_path):
    tiny_tagger(seed=3).save(tmp_path / "model")
    return str(tmp_path / "model")


def test_figures_as_one_json_object(app, model, data, capsys):
    app(["tagging", model, data, "--json", "--dtype", "fp32", "--examples", "2"])
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["metrics"].keys() >= {"precision", "recall", "f1", "macro_f1"}
    assert [row["type"] for row in found["per_type"]] == ["ANIMAL", "COLOUR", "PLACE"]
    assert found["n"] == 20 and found["model"]["name"] == model
    assert len(found["examples"]["missed"]) <= 2 and "missed" in found["notes"]
    assert "20 texts with" in said.err


def test_figures_as_a_table(app, model, data, capsys):
    app(["tagging", model, data, "--max-seq-length", "10"])
    shown = capsys.readouterr().out
    assert "all spans" in shown and "ANIMAL" in shown and "wrong boundary" in shown
    assert "line" in shown and "n = 20 texts" in shown


def test_a_run_from_flags(app, data, tmp_path):
    start = tiny_model(tmp_path / "start")
    flags = ["--train", data, "--out", str(tmp_path / "run"), "--model", start, "--device", "cpu"]
    app(["tagger", *flags, "--epochs", "1", "--label-pieces", "all", "--no-split-long"])
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
