"""`tenor evaluate mteb` as a person runs it; skipped where the extra `mteb` is not installed."""

import json
from importlib.util import find_spec

import pytest
from cyclopts import App

from mteb_tasks import write_tasks
from tenor.cli import mteb_commands
from tenor.errors import ConfigError, MissingExtraError, ModelError
from tiny import tiny_model
from tiny_labels import tiny_encoder_classifier


@pytest.fixture
def run(tmp_path, capsys):
    model = tiny_model(tmp_path / "run" / "model")
    app = App()
    mteb_commands.add_to(app)

    def start(*flags, model=model):
        arguments = ["mteb", model, *flags]
        app(arguments, exit_on_error=False, result_action="return_value")
        return capsys.readouterr()

    return start


@pytest.mark.skipif(find_spec("mteb") is None, reason="needs the extra `mteb`")
def test_json_is_one_object_on_stdout_and_a_table_has_a_line_a_task(run, tmp_path, monkeypatch):
    data, out = write_tasks(tmp_path / "data"), str(tmp_path / "out")
    flags = ("--data", str(data), "--task", "sts", "--task", "topics", "--out", out)
    result = json.loads(run(*flags, "--json").out)
    assert [row["task"] for row in result["tasks"]] == ["sts", "topics"]
    assert result["model"]["name"] == "local/run"
    assert (tmp_path / "out" / "results" / "local__run").is_dir()
    monkeypatch.setenv("COLUMNS", "140")
    printed = run(*flags).out
    for text in ("local/run", "cosine_spearman", "accuracy", "stored before", "mean", "results:"):
        assert text in printed, text


@pytest.mark.skipif(find_spec("mteb") is None, reason="needs the extra `mteb`")
def test_models_that_mteb_does_not_measure_are_refused(run, tmp_path):
    tiny_encoder_classifier().save(tmp_path / "classifier", card="A classifier.")
    with pytest.raises(ModelError, match="evaluate classification"):
        run("--task", "STS12", model=str(tmp_path / "classifier"))
    with pytest.raises(ConfigError, match="cross-encoder"):
        run("--task", "STS12", "--rerank", str(tmp_path / "run" / "model"))


def test_without_mteb_the_extra_is_named_before_a_model_is_loaded(run, monkeypatch):
    monkeypatch.setattr("tenor.evaluation.mteb_tasks.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"tenor\[mteb\]"):
        run("--task", "STS12", model="no/such/model/here")
