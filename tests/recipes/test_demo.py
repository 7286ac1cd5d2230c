"""The demo from end to end, on packages written here and a tiny model."""

import json
import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenor.data import docstrings
from tenor.errors import ConfigError, DataError, TrainingError
from tenor.models.embedder import Embedder
from tenor.recipes.demo import DemoConfig, run_demo
from tenor.training.trainer import Trainer
from tiny import random_texts, tiny_model

PACKAGES, FUNCTIONS = 12, 8
READ = docstrings.read_docstrings


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """An environment of a few packages, whose docstrings' halves share their words."""
    root = tmp_path_factory.mktemp("site-packages")
    count = PACKAGES * FUNCTIONS
    summaries = random_texts(count, seed=1, words=(6, 9))
    details = random_texts(count, seed=2, words=(11, 14))
    for package in range(PACKAGES):
        source = ""
        for number in range(package * FUNCTIONS, (package + 1) * FUNCTIONS):
            summary, detail = summaries[number].capitalize(), details[number]
            source += (
                f'def f{number}(x):\n    """{summary}.\n\n    {summary} {detail}.\n    """\n\n'
            )
        folder = root / f"package{package}"
        folder.mkdir()
        (folder / "__init__.py").write_text(source)
    return root


@pytest.fixture
def config(packages, tmp_path, monkeypatch):
    """Settings of a small demo, where these packages are installed and MiniLM is tiny."""
    pytest.importorskip("jinja2", reason="the extra report is not installed")
    start = tiny_model(tmp_path / "minilm")
    load = Embedder.load

    def tiny_load(cls, name, **options):
        return load(start if name == "all-MiniLM-L6-v2" else name, **options)

    monkeypatch.setattr(docstrings, "read_docstrings", lambda: READ([packages]))
    monkeypatch.setattr(Embedder, "load", classmethod(tiny_load))
    return DemoConfig(
        out=str(tmp_path / "demo"),
        pairs=40,
        batch_size=8,
        learning_rate=3e-3,
        max_seq_length=24,
        queries=20,
        dtype="fp32",
    )


def test_the_demo_from_end_to_end(config, capsys):
    summary = run_demo(config)
    shown = capsys.readouterr().out
    out = Path(config.out)
    assert json.loads((out / "demo.json").read_text()) == json.loads(json.dumps(summary))
    for side in ("before", "after"):
        assert 0 < summary[side]["metrics"]["ndcg@10"] <= 1
        low, high = summary[side]["intervals"]["ndcg@10"]
        assert low < high
    assert summary["before"]["n"] == summary["after"]["n"] == 20
    assert summary["before"]["metrics"] != summary["after"]["metrics"]

    result = json.loads((out / "run" / "result.json").read_text())
    assert (result["rows"], result["steps"]) == (40, 5)
    assert result["metric"] == "ndcg@10"
    assert result["demo"] == json.loads(json.dumps(summary))
    trained = Embedder.load(out / "run" / "model", device="cpu", dtype="fp32")
    assert trained.max_seq_length == 24

    page = (out / "report.html").read_text()
    assert "--pairs 40 --batch-size 8 --learning-rate 0.003" in page
    assert f"{summary['after']['metrics']['ndcg@10']:.3f}" in page
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)  # it works offline
    for question in ("invert a matrix", "read a CSV file into a table"):
        assert question in shown
        assert question in page
    assert "ndcg@10" in shown

    documents = [json.loads(line) for line in (out / "documents.jsonl").read_text().splitlines()]
    assert len(documents) > 20

    run_demo(replace(config, ask="the cat sits"))
    shown = capsys.readouterr().out
    assert "the cat sits" in shown
    scores = trained.encode([d["text"] for d in documents]) @ trained.encode("the cat sits")
    assert documents[int(np.argmax(scores))]["id"] in shown

    run_demo(replace(config, pairs=16))  # again, in the same folder
    assert json.loads((out / "run" / "result.json").read_text())["rows"] == 16


def test_an_interrupted_demo_goes_on_where_it_stopped(config, tmp_path, monkeypatch):
    straight = run_demo(config)
    config = replace(config, out=str(tmp_path / "interrupted"))
    step, interrupted = Trainer.training_step, []

    def interrupt(self, *given, **options):
        if self.state.global_step == 2 and not interrupted:
            interrupted.append(True)
            signal.raise_signal(signal.SIGINT)
        return step(self, *given, **options)

    monkeypatch.setattr(Trainer, "training_step", interrupt)
    with pytest.raises(TrainingError, match=r"interrupted at step 3 of 5.*--resume"):
        run_demo(config)
    with pytest.raises(DataError, match=r"installed Python packages.*another --out"):
        run_demo(replace(config, resume=True, pairs=32))
    for _ in range(2):  # from the checkpoint, then from the training that is done
        resumed = run_demo(replace(config, resume=True))
        assert resumed["after"]["metrics"] == straight["after"]["metrics"]
    assert json.loads((Path(config.out) / "run" / "result.json").read_text())["steps"] == 5


def test_a_folder_of_something_else_is_not_deleted(config):
    out = Path(config.out)
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"out = .*a new folder"):
        run_demo(config)
    assert (out / "thesis.tex").exists()


def test_too_few_packages_are_said(config, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(docstrings, "read_docstrings", lambda: READ([tmp_path / "empty"]))
    with pytest.raises(DataError, match="no documented Python function"):
        run_demo(config)


@pytest.mark.parametrize("made", [True, False])
def test_asking_without_a_demo_is_refused(made, config):
    if made:
        Path(config.out).mkdir()
    with pytest.raises(ConfigError, match="run `tenor demo` first"):
        run_demo(replace(config, ask="invert a matrix"))
