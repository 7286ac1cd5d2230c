"""`tenor sweep freeze` as a person runs it."""

import json

import pytest
from cyclopts import App

from tenor.cli import sweep_commands
from tiny import tiny_model
from tiny_labels import random_labelled


@pytest.fixture
def run(tmp_path, capsys):
    model = tiny_model(tmp_path / "start")
    files = {}
    for name, rows, seed in (("train", 24, 0), ("test", 12, 9)):
        texts, labels = random_labelled(rows, seed=seed)
        files[name] = tmp_path / f"{name}.csv"
        lines = "".join(f"{t},{n}\n" for t, n in zip(texts, labels, strict=True))
        files[name].write_text("text,label\n" + lines)
    app = App()
    sweep_commands.add_to(app)

    def start(*flags):
        arguments = ["sweep", "freeze", "--train", str(files["train"]), "--test",
                     str(files["test"]), "--out", str(tmp_path / "out"), "--model", model,
                     "--epochs", "1", "--batch-size", "8", "--device", "cpu", *flags]  # fmt: skip
        app(arguments, exit_on_error=False, result_action="return_value")
        return capsys.readouterr()

    return start


def test_json_is_one_object_on_stdout(run):
    printed = run("--depths", "0,2", "--json")
    result = json.loads(printed.out)
    assert [row["depth"] for row in result["rows"]] == [0, 2]
    assert set(result["rows"][1]["against"]) == {"macro_f1", "accuracy"}


def test_a_table_with_a_line_for_each_depth(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    printed = run("--depths", "0,1")
    for text in ("frozen blocks of 2", "macro_f1", "against 0", "trained parameters"):
        assert text in printed.out, text
