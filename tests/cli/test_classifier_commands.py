"""The commands of classifiers, as a person types them."""

import json

import pytest

from tenor.cli import main
from tiny import tiny_model
from tiny_labels import random_labelled
from tiny_tags import tiny_tagger


@pytest.fixture
def data(tmp_path):
    texts, labels = random_labelled(48)
    path = tmp_path / "train.csv"
    rows = zip(texts, labels, strict=True)
    path.write_text("text,label\n" + "".join(f"{t},{label}\n" for t, label in rows))
    return str(path)


@pytest.fixture
def start(tmp_path):
    return tiny_model(tmp_path / "start")


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.mark.parametrize("head", ["linear", "logistic"])
def test_train_evaluate_and_predict(head, start, data, tmp_path, capsys):
    out = tmp_path / "run"
    flags = ["--model", start, "--head", head, "--batch-size", 8, "--learning-rate", 3e-3]
    flags += ["--hold-out", 0.25, "--class-weights", "balanced", "--dtype", "fp32"]
    assert run("train", "classifier", "--train", data, "--out", out, *flags) == 0
    assert "macro_f1" in capsys.readouterr().err

    assert run("evaluate", "classification", out / "model", data, "--json") == 0
    printed = capsys.readouterr().out
    result = json.loads(printed)
    assert printed.count("\n") == 1
    assert {"accuracy", "macro_f1", "roc_auc"} <= result["metrics"].keys()
    assert [row["label"] for row in result["per_label"]] == ["animal", "colour", "weather"]
    assert len(result["model"]["sha256"]) == 64 and result["n"] == 48

    assert run("evaluate", "classification", out / "model", data) == 0
    shown = capsys.readouterr().out
    assert "macro_f1" in shown and "animal" in shown

    labels = tmp_path / "labels.jsonl"
    options = ("--out", labels, "--all-probabilities")
    assert run("predict", out / "model", data, *options) == 0
    captured = capsys.readouterr()
    assert captured.out == "" and "48 rows" in captured.err
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    assert len(rows) == 48
    expected = {"text", "label", "predicted_label", "predicted_probability"}
    assert rows[0].keys() == expected | {
        f"probability_{n}" for n in ("animal", "colour", "weather")
    }
    right = sum(row["label"] == row["predicted_label"] for row in rows) / 48
    assert right == pytest.approx(result["metrics"]["accuracy"])


def test_wrong_use_is_told(start, data, tmp_path, capsys):
    assert run("predict", start, data, "--out", tmp_path / "out.csv") == 2
    assert "tenor train classifier" in capsys.readouterr().err
    settings = ("--train", data, "--out", tmp_path / "run")
    assert run("train", "classifier", *settings, "--freeze", "some") == 2
    assert "none, embeddings, a number of blocks" in capsys.readouterr().err
    other = tmp_path / "other.csv"
    other.write_text("text,label\na,plant\n")
    assert run("train", "classifier", *settings, "--model", start, "--head", "logistic") == 0
    assert run("evaluate", "classification", tmp_path / "run" / "model", other) == 2
    assert "'plant' is none of those that the model has" in capsys.readouterr().err


def test_predict_takes_a_tagger_too(tmp_path, capsys):
    tiny_tagger().save(tmp_path / "tagger")
    path = tmp_path / "texts.txt"
    path.write_text("the cat sits\na dog runs far\n")
    out = tmp_path / "spans.jsonl"
    assert run("predict", tmp_path / "tagger", path, "--out", out) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["text"] for row in rows] == ["the cat sits", "a dog runs far"]
    assert all(isinstance(row["spans"], list) for row in rows)
    assert run("predict", tmp_path / "tagger", path, "--out", out, "--threshold", 0.3) == 2
    assert "left out with a tagger" in capsys.readouterr().err


def test_several_seeds_are_a_table_or_one_object(start, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    out = tmp_path / "run"
    flags = ["--model", start, "--batch-size", 8, "--hold-out", 0.25, "--dtype", "fp32"]
    flags += ["--max-steps", 2, "--seeds", 2]
    assert run("train", "classifier", "--train", data, "--out", out, *flags) == 0
    shown = " ".join(capsys.readouterr().out.split())  # however it is wrapped
    result = json.loads((out / "result.json").read_text())
    found = result["figures"]["validation"]["after"]["macro_f1"]
    assert f"{found['mean']:.4f} ± {found['deviation']:.4f}" in shown
    assert "2 seeds" in shown and "luckiest of 2" in shown
    assert str(out / "model") in shown
    assert run("train", "classifier", "--out", out, "--resume", "--json") == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == result and printed.count("\n") == 1


def test_one_seed_prints_nothing_but_what_is_asked_for(start, data, tmp_path, capsys):
    flags = ["--model", start, "--batch-size", 8, "--max-steps", 1, "--dtype", "fp32"]
    assert run("train", "classifier", "--train", data, "--out", tmp_path / "a", *flags) == 0
    assert capsys.readouterr().out == ""
    assert (
        run("train", "classifier", "--train", data, "--out", tmp_path / "b", *flags, "--json") == 0
    )
    assert json.loads(capsys.readouterr().out)["steps"] == 1
