"""Flags of `tenor adapt` become its settings; its answer is a table or one JSON object."""

import json
import subprocess
import sys

import pytest
from cyclopts import App

import tenor.recipes.adapt as recipe
from tenor.cli import main
from tenor.cli.adapt_commands import adapt

RESULT = {
    "metric": "ndcg@10",
    "metrics": {"untouched": 0.5, "supervised-only/1-contrastive": 0.625},
    "intervals": {"untouched": [0.4, 0.6], "supervised-only/1-contrastive": [0.5, 0.7]},
    "differences": {
        "supervised-only/1-contrastive": {
            "against_untouched": {"value": 0.125, "low": 0.1, "high": 0.15},
            "against_the_one_before": {"value": 0.125, "low": 0.1, "high": 0.15},
        }
    },
    "stages": {"supervised-only/1-contrastive": {"stage": "contrastive"}},
    "kept": "supervised-only/1-contrastive",
}
NEEDED = ("--text", "t.txt", "--evaluate", "e.csv", "--out", "run")


@pytest.fixture
def seen(monkeypatch):
    found = []
    monkeypatch.setattr(recipe, "adapt", lambda config: found.append(config) or RESULT)
    return found


@pytest.fixture
def run(seen):
    app = App(name="adapt")
    app.default(adapt)

    def run(*flags):
        app([*NEEDED, *flags], exit_on_error=False, result_action="return_value")
        return seen[-1]

    return run


def test_flags_are_settings(run):
    config = run(
        *("--pairs", "p.csv", "--stages", "mlm,contrastive", "--ablation", "--keep-best"),
        *("--columns.anchor", "title", "--evaluate-columns.positive", "body"),
        *("--unsupervised-epochs", "2", "--supervised-learning-rate", "1e-4"),
        *("--max-texts", "100", "--validation", "v.csv", "--pooling", "cls"),
    )
    assert (config.text, config.pairs, config.evaluate) == ("t.txt", "p.csv", "e.csv")
    assert config.stages == ("mlm", "contrastive")
    assert config.ablation and config.keep_best
    assert (config.columns, config.evaluate_columns) == ({"anchor": "title"}, {"positive": "body"})
    assert (config.unsupervised_epochs, config.supervised_learning_rate) == (2, 1e-4)
    assert (config.max_texts, config.validation, config.pooling) == (100, "v.csv", "cls")


def test_the_table_of_all_models_fits_a_terminal(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    run()
    out = capsys.readouterr().out
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert "untouched 0.5000" in rows
    assert "supervised-only/ 0.6250 +0.1250 +0.1250" in rows
    assert "1-contrastive [0.5000, 0.7000] [+0.1000, +0.1500] [+0.1000, +0.1500]" in rows
    assert "(kept)" in rows


def test_json_is_one_object_on_stdout(run, capsys):
    run("--json")
    assert json.loads(capsys.readouterr().out) == RESULT


def test_settings_of_a_file_and_of_the_run_that_is_resumed(seen, tmp_path, capsys):
    (tmp_path / "config.toml").write_text(
        'text = "t.txt"\nevaluate = "e.csv"\npairs = "p.csv"\nstages = ["tsdae", "contrastive"]\n'
        "keep_best = false\nsupervised_epochs = 3\n"
    )
    for flags in (
        ("--config", str(tmp_path / "config.toml"), "--out", "run"),
        ("--resume", "--out", str(tmp_path)),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["adapt", *flags, "--json"])
        assert stop.value.code == 0
        assert seen[-1].stages == ("tsdae", "contrastive")
        assert (seen[-1].supervised_epochs, seen[-1].resume) == (3, "--resume" in flags)


def test_wrong_usage_is_named(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["adapt", *NEEDED, "--stages", "contrastive"])
    assert stop.value.code == 2
    assert "pairs" in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    code = (
        "import sys, tenor.cli.adapt_commands; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
