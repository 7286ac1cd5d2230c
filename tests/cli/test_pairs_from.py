"""`tenor train contrastive --pairs-from`: flags, messages, going on."""

import json
import tomllib

import pytest

from tenor.cli import main
from tiny import tiny_model


@pytest.fixture
def run(capsys):
    """Run a command: its exit code, stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        found = capsys.readouterr()
        return stop.value.code, found.out, found.err

    return run


@pytest.fixture
def articles(tmp_path):
    path = tmp_path / "articles.txt"
    path.write_text(
        "".join(
            f"The {n} cats sit on the {n} trees. Then {n} dogs run far away.\n" for n in range(8)
        )
    )
    return path


def test_pairs_are_made_shown_and_trained_on(articles, tmp_path, run):
    model, out = tiny_model(tmp_path / "model"), tmp_path / "run"
    code, said, err = run(
        "train", "contrastive", "--pairs-from", articles, "--how", "consecutive", "--out", out,
        "--model", model, "--batch-size", "4", "--per-document", "1", "--hold-out", "0.25",
    )  # fmt: skip
    assert (code, said) == (0, "")
    for expected in ("8 documents", "made 8 pairs", "such as '", "held out: 2 pairs", "saved"):
        assert expected in err
    assert json.loads((out / "result.json").read_text())["rows"] == 6
    stored = tomllib.loads((out / "config.toml").read_text())
    assert (stored["how"], stored["per_document"]) == ("consecutive", 1)
    code, _, err = run("train", "contrastive", "--out", out, "--resume")
    assert code == 0
    assert "done already" in err


def test_wrong_use_ends_in_2_and_says_what_to_do(articles, tmp_path, run):
    train = ["train", "contrastive", "--out", tmp_path / "run"]
    cases = {
        "--pairs-from": train,
        "one of simcse, title": [*train, "--pairs-from", articles],
        "train = ": [*train, "--pairs-from", articles, "--how", "cloze", "--train", articles],
        "left out without pairs_from": [*train, "--train", articles, "--how", "cloze"],
        "left out with how = 'cloze'": [
            *train, "--pairs-from", articles, "--how", "cloze", "--window", "2",
        ],
        "a validation file": [
            *train, "--pairs-from", articles, "--how", "simcse", "--hold-out", "0.1",
        ],
    }  # fmt: skip
    for said, arguments in cases.items():
        code, out, err = run(*arguments)
        assert (code, out) == (2, ""), said
        assert said in err
        assert "Traceback" not in err
