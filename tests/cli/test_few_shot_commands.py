"""The commands of few-shot classification."""

import json

import joblib
import pytest
from cyclopts import App
from sklearn.linear_model import LogisticRegression

from tenor.cli import few_shot_commands
from tenor.errors import ModelError
from tenor.models.classifier import TextClassifier
from tenor.models.embedder import Embedder
from tiny import tiny_model
from tiny_labels import random_labelled


@pytest.fixture
def run():
    app, train = App(), App(name="train")
    few_shot_commands.add_to(app, train)
    app.command(train)
    return lambda *arguments: app(
        [str(each) for each in arguments], exit_on_error=False, result_action="return_value"
    )


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "train.csv"
    rows = zip(*random_labelled(24), strict=True)
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return path


def test_train_few_shot(run, texts, tmp_path, capsys):
    model = tiny_model(tmp_path / "model")
    run(
        "train", "few-shot", "--train", texts, "--out", tmp_path / "run", "--model", model,
        "--shots", 4, "--steps", 3, "--device", "cpu", "--dtype", "fp32", "--labels-as-text",
        "--template", "about {}", "--template", "{}", "--label-words.weather", "rain", "--json",
    )  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert result["labelled_texts"] == 12 and result["rows"] == 18
    loaded = TextClassifier.load(tmp_path / "run" / "model", device="cpu")
    assert loaded.labels == ("animal", "colour", "weather")


def test_train_few_shot_from_names(run, tmp_path):
    model = tiny_model(tmp_path / "model")
    run(
        "train", "few-shot", "--labels", "cat,dog", "--out", tmp_path / "run", "--model", model,
        "--steps", 2, "--device", "cpu", "--dtype", "fp32",
    )  # fmt: skip
    loaded = TextClassifier.load(tmp_path / "run" / "model", device="cpu")
    assert loaded.labels == ("cat", "dog")


def test_convert_setfit(run, tmp_path, capsys):
    folder = tmp_path / "setfit"
    tiny_model(folder)
    texts, labels = random_labelled(24)
    embedder = Embedder.load(folder, device="cpu", dtype="fp32")
    head = LogisticRegression().fit(embedder.encode(texts), labels)
    joblib.dump(head, folder / "model_head.pkl")
    with pytest.raises(ModelError, match="--allow-pickle"):
        run("convert-setfit", folder, "--out", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    run("convert-setfit", folder, "--out", tmp_path / "new", "--allow-pickle", "--json")
    said = json.loads(capsys.readouterr().out)
    assert said["labels"] == ["animal", "colour", "weather"] and not said["multi_label"]
    loaded = TextClassifier.load(tmp_path / "new", device="cpu", dtype="fp32")
    assert loaded.predict(texts) == head.predict(embedder.encode(texts)).tolist()
    assert loaded.sha256 == said["model"]["sha256"]
