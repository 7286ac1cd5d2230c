"""`tenor plan` as a person runs it."""

import json
import logging

import pytest

from tenor.cli import main
from tiny import tiny_model, write_csv
from tiny_labels import random_labelled


@pytest.fixture(autouse=True)
def _own_logging():
    """`main` sets the library's logger up for a program; put it back."""
    logger = logging.getLogger("tenor")
    before = (logger.handlers, logger.level, logger.propagate)
    yield
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    model = tiny_model(tmp_path / "start")
    texts, labels = random_labelled(40)
    train = {"text": [*texts, "a lone [text]"], "label": [*labels, "lonely"]}
    folder = tmp_path / "data"
    folder.mkdir()
    write_csv(folder / "train.csv", train)
    write_csv(folder / "test.csv", {"text": texts[:9], "label": labels[:9]})

    def start(*flags, files=("data",)):
        named = [str(tmp_path / file) for file in files]
        with pytest.raises(SystemExit) as stop:
            main(["plan", *named, "--model", model, "--device", "cpu", *flags])
        found = capsys.readouterr()
        return stop.value.code, found.out, found.err

    return start


def test_json_is_one_object_on_stdout(run):
    code, out, err = run("--no-probe", "--json")
    found = json.loads(out)
    assert code == 0 and out.count("\n") == 1
    assert {"files", "findings", "recipes", "unfit", "model"} <= found.keys()
    assert found["recipes"][0]["commands"][0].startswith("tenor train classifier ")
    assert "rows, labelled texts" in err


def test_what_a_person_reads(run, tmp_path):
    code, out, _ = run("--seconds", "1")
    assert code == 0
    for text in (
        "train.csv", "labelled texts", "✗ leak", "single_example", "'lonely' (1)",
        "What fits, in this order", "1. logistic regression", "What will not work",
    ):  # fmt: skip
        assert text in out, text
    # A command stands on one line, however narrow the screen is.
    command = next(line for line in out.splitlines() if "train classifier" in line)
    assert command.endswith("--hold-out 0.2 --device cpu") and str(tmp_path) in command


def test_brackets_and_colons_of_the_user_are_shown_as_they_are(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    folder = tmp_path / "mail [b]"
    folder.mkdir()
    texts, _ = random_labelled(40)
    labels = ["[spam]", "[/spam]", ":smile:"] * 13 + ["[spam]"]
    for name in ("[bold] train.csv", "[x] test.csv"):
        write_csv(folder / name, {"text": texts, "label": labels})
    code, out, err = run("--no-probe", files=(folder.name,))
    assert code == 0, err
    for text in ("[spam] 14", "[/spam] 13", ":smile: 13", "[bold] train.csv", "mail [b], for"):
        assert text in " ".join(out.split()), text


def test_files_by_name_and_wrong_use(run, tmp_path):
    code, out, _ = run("--no-probe", files=("data/train.csv", "data/test.csv"))
    assert code == 0 and "test.csv" in out
    code, _, err = run("--no-probe", files=("nothing.csv",))
    assert code == 2 and "no such file" in err
    code, _, err = run("--no-probe", files=())
    assert code == 2 and "files" in err


def test_settings_may_stand_in_a_file(run, tmp_path):
    config = tmp_path / "plan.toml"
    config.write_text('probe = false\nruns = "elsewhere"\n')
    code, out, _ = run("--config", str(config), "--json")
    assert code == 0 and "elsewhere/logistic" in json.loads(out)["recipes"][0]["commands"][0]


# -- tenor auto -----------------------------------------------------------------------------------

FOUND = {
    "kept": "fine-tuned",
    "validation": {"metric": "macro_f1", "value": 0.75, "interval": [0.5, 0.875], "rows": 9},
    "candidates": [
        {"name": "fine-tuned", "value": 0.75, "interval": [0.5, 0.875], "steps": 1200,
         "seconds": 61.0, "status": "done", "stopped": None, "why": ""},
        {"name": "logistic", "value": 0.5, "interval": [0.25, 0.625], "steps": 0,
         "seconds": 3.0, "status": "done", "stopped": "stop_below", "why": ""},
        {"name": "few-shot", "value": None, "interval": None, "steps": 0, "seconds": None,
         "status": "skipped", "stopped": None, "why": "no time"},
    ],
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """Settings that `tenor auto` was started with."""
    seen = []

    def stub(config):
        seen.append(config)
        return FOUND

    monkeypatch.setattr("tenor.recipes.auto.auto", stub)
    return seen


def auto(*flags):
    with pytest.raises(SystemExit) as stop:
        main(["auto", "some/data", *flags])
    return stop.value.code


def test_auto_takes_its_settings_from_flags(asked, capsys):
    assert auto("--budget", "1h30m", "--out", "o", "--columns.text", "body", "--json") == 0
    assert asked[0].folder == "some/data" and asked[0].budget == "1h30m"
    assert asked[0].columns == {"text": "body"}
    out = capsys.readouterr().out
    assert json.loads(out) == FOUND and out.count("\n") == 1


def test_auto_shows_a_line_for_each_candidate(asked, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert auto() == 0
    out = capsys.readouterr().out
    for text in ("macro_f1", "0.7500", "0.5000 to 0.8750", "1,200", "61 s", "kept", "no time",
                 "hopeless, stopped early"):  # fmt: skip
        assert text in out, text


def test_auto_shows_errors_as_they_are(monkeypatch, capsys):
    failed = {**FOUND["candidates"][2], "status": "failed", "why": "label '[/spam]' is odd"}
    monkeypatch.setattr("tenor.recipes.auto.auto", lambda config: {**FOUND, "candidates": [failed]})
    monkeypatch.setenv("COLUMNS", "120")
    assert auto() == 0
    assert "label '[/spam]' is odd" in capsys.readouterr().out


def test_auto_refuses_a_budget_that_is_none(asked, capsys):
    assert auto("--budget", "soon") == 2
    assert "30m" in capsys.readouterr().err and not asked
