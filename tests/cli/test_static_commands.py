"""The commands that make and ask static embedders."""

import json

import pytest
from cyclopts import App

from tenor.cli.static_commands import add_to
from tenor.errors import ConfigError
from tenor.models.static import StaticEmbedder
from tenor.tokens.words import word_tokenizer
from tiny import random_texts, tiny_model


@pytest.fixture
def run():
    app, train = App(name="tenor"), App(name="train")
    add_to(app, train)
    app.command(train)

    def call(*tokens):
        return app([*map(str, tokens)], exit_on_error=False, result_action="return_value")

    return call


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(random_texts(300, words=(4, 9))) + "\n")
    return path


@pytest.fixture
def static(tmp_path):
    words = ["cat", "dog", "car"]
    table = [[0, 0], [1, 0.1], [1, 0.2], [0, 1]]
    StaticEmbedder(table, word_tokenizer(words)).save(tmp_path / "static")
    return tmp_path / "static"


def test_neighbours_prints_one_json_object(static, run, capsys):
    run("neighbours", static, "cat", "--count", "1", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed["text"] == "cat"
    assert [hit["word"] for hit in printed["neighbours"]] == ["dog"]


def test_neighbours_prints_a_table(static, run, capsys):
    run("neighbours", static, "cat")
    out = capsys.readouterr().out
    assert out.index("dog") < out.index("car")
    with pytest.raises(ConfigError, match="zebra"):
        run("neighbours", static, "zebra")


def test_distill_takes_the_model_by_place_or_by_name(texts, run, tmp_path):
    model = tiny_model(tmp_path / "teacher")
    options = ("--text", texts, "--dimensions", "8", "--device", "cpu")
    run("distill", model, "--out", tmp_path / "one", *options)
    run("distill", "--model", model, "--out", tmp_path / "two", *options)
    results = [json.loads((tmp_path / n / "result.json").read_text()) for n in ("one", "two")]
    assert results[0]["base_model"] == results[1]["base_model"]
    assert results[0]["model"]["sha256"] == results[1]["model"]["sha256"]


def test_train_word2vec(texts, run, tmp_path):
    pytest.importorskip("gensim")
    run("train", "word2vec", "--train", texts, "--out", tmp_path / "run", "--dimensions", "8",
        "--epochs", "1", "--no-lower-case", "--algorithm", "cbow")  # fmt: skip
    assert StaticEmbedder.load(tmp_path / "run" / "model").dimensions == 8
