"""Flags of `tenor train augmented` become its settings; `--json` prints one object."""

import json

import pytest
from cyclopts import App

import tenor.recipes.augmented as recipe
from tenor.cli.augmented_commands import augmented
from tenor.errors import ConfigError


@pytest.fixture
def run(monkeypatch):
    seen = []

    def train(config):
        seen.append(config)
        return {"kept": "gold-silver", "comparison": {"metric": "spearman_cosine"}}

    monkeypatch.setattr(recipe, "train_augmented", train)
    app = App(name="augmented")
    app.default(augmented)

    def run(*flags):
        needed = ("--gold", "g.csv", "--pool", "p.txt", "--out", "run")
        app([*needed, *flags], exit_on_error=False, result_action="return_value")
        return seen[-1]

    return run


def test_flags_are_settings(run, capsys):
    flags = "--strategy both --top-k 3 --resample kde --cross-encoder ce --model m --epochs 2"
    config = run(*flags.split(), "--engine", "ray", "--address", "auto", "--workers", "2")
    assert (config.gold, config.pool, config.out) == ("g.csv", "p.txt", "run")
    assert (config.strategy, config.top_k, config.resample) == ("both", 3, "kde")
    assert (config.cross_encoder, config.model, config.epochs) == ("ce", "m", 2)
    assert (config.engine, config.address, config.workers) == ("ray", "auto", 2)
    assert capsys.readouterr().out == ""


def test_json_is_one_object_on_stdout(run, capsys):
    run("--json")
    assert json.loads(capsys.readouterr().out)["kept"] == "gold-silver"


def test_a_wrong_value_is_named_with_what_is_allowed(run):
    with pytest.raises(Exception, match="strategy") as found:
        run("--strategy", "magic")
    cause = found.value if isinstance(found.value, ConfigError) else found.value.__cause__
    assert "semantic, bm25, both, random" in str(cause or found.value)
