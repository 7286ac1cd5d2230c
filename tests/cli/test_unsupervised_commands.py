"""The commands on raw text: their flags are the recipes' settings, and help stays quick."""

import subprocess
import sys

import pytest
from cyclopts import App

from tenor.cli.unsupervised_commands import mlm, tsdae


@pytest.fixture
def app():
    made = App(name="train")
    made.command(tsdae)
    made.command(mlm)
    return made


def test_flags_become_settings(app, monkeypatch):
    seen = []

    def stub(config):
        seen.append(config)
        return {}

    monkeypatch.setattr("tenor.recipes.tsdae.train_tsdae", stub)
    monkeypatch.setattr("tenor.recipes.mlm.train_mlm", stub)
    common = ["--train", "texts.txt", "--out", "run"]
    run = {"exit_on_error": False, "result_action": "return_value"}
    app(["tsdae", *common, "--no-tie", "--noise", "swap", "--noise-ratio", "0.2"], **run)
    app(["mlm", *common, "--from-scratch", "--layers", "2", "--whole-words"], **run)
    assert (seen[0].tie, seen[0].noise, seen[0].noise_ratio) == (False, "swap", 0.2)
    assert (seen[1].from_scratch, seen[1].layers, seen[1].whole_words) == (True, 2, True)


def test_help_imports_nothing_heavy():
    code = (
        "import sys, tenor.cli.unsupervised_commands; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
