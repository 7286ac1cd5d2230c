"""The commands `mine` and `duplicates`: what goes to stdout, and where settings come from."""

import json
import subprocess
import sys

import pytest
from cyclopts import App

from tenor.cli import data_commands
from tenor.data.schema import read_pairs
from tenor.errors import ConfigError
from tiny import random_texts, tiny_model, write_csv

TEXTS = random_texts(30, words=(3, 9))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture
def run(capsys):
    app = App()
    app.command(data_commands.mine)
    app.command(data_commands.duplicates)

    def run(*arguments):
        app([str(argument) for argument in arguments], result_action="return_value")
        return capsys.readouterr().out

    return run


def test_mining_prints_counts_or_one_json_object(model, tmp_path, run):
    pairs = write_csv(tmp_path / "pairs.csv", {"title": TEXTS, "body": TEXTS[::-1]})
    out = tmp_path / "mined.csv"
    arguments = [
        "mine", model, "--train", pairs, "--out", out, "--negatives", "2", "--columns.anchor",
        "title", "--columns.positive", "body", "--relative-margin", "none", "--dtype", "fp32",
    ]  # fmt: skip
    said = run(*arguments, "--json")
    assert said.count("\n") == 1
    report = json.loads(said)
    assert report["rows_written"] == 30
    assert report["dropped"]["relative_margin"] == 0
    assert list(read_pairs(out).columns) == ["anchor", "positive", "negative", "negative_2"]
    said = run(*arguments)
    assert "rows written" in said
    assert "30" in said


def test_duplicates_prints_counts_or_one_json_object(model, tmp_path, run):
    file = write_csv(tmp_path / "texts.csv", {"title": [*TEXTS, TEXTS[4]]})
    out, clusters = tmp_path / "pairs.jsonl", tmp_path / "clusters.csv"
    arguments = [
        "duplicates", model, file, "--out", out, "--column", "title", "--threshold", "0.95",
        "--clusters", clusters,
    ]  # fmt: skip
    report = json.loads(run(*arguments, "--json"))
    assert report["repeats"] == 1
    assert report["pairs"] == len(out.read_text().splitlines())
    assert report["clustered"] == len(clusters.read_text().splitlines()) - 1
    assert "largest cluster" in run(*arguments)


def test_a_wrong_setting_is_named(model, tmp_path, run):
    with pytest.raises(ConfigError, match="threshold = 90"):
        run("duplicates", model, "x.txt", "--out", tmp_path / "p.csv", "--threshold", "90")


def test_the_commands_import_nothing_heavy():
    heavy = "{'torch', 'transformers', 'numpy', 'scipy', 'pyarrow', 'bm25s'}"
    statement = f"import sys, tenor.cli.data_commands; print(*({heavy} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", statement], capture_output=True, text=True, check=True
    )
    assert found.stdout == "\n"
