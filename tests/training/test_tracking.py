"""Runs followed in tensorboard and trackio: offline, in the run's folder."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.errors import ConfigError, MissingExtraError
from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive
from tenor.training import tracking
from tenor.training.arguments import TrainingArguments
from tenor.training.tracking import open_tracker
from tiny import tiny_model


def settings(tmp_path, **changes):
    texts = [f"the cat and the boat {n}" for n in range(24)]
    file = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"anchor": texts, "positive": [f"about {t}" for t in texts]}), file)
    return ContrastiveConfig(
        train=str(file), validation=str(file), out=str(tmp_path / "run"), batch_size=4, log_every=1,
        model=str(tiny_model(tmp_path / "start")), **changes,
    )  # fmt: skip


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), purge_orphaned_data=True)
    found.Reload()
    tags = found.Tags()["scalars"]
    return {tag: {event.step: event.value for event in found.Scalars(tag)} for tag in tags}, found


def test_a_wrong_name_and_a_missing_extra_are_said_before_anything_is_done(monkeypatch):
    with pytest.raises(ConfigError, match="tensorboard or trackio"):
        TrainingArguments(track="wandb")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"tenor\[tensorboard\]"):
        TrainingArguments(track="tensorboard")


def test_tensorboard_has_the_figures_of_the_log(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra `tensorboard`")
    train_contrastive(settings(tmp_path, track="tensorboard", epochs=2))
    values, found = scalars(tmp_path / "run" / "tensorboard")
    assert sorted(values["train/loss"]) == list(range(1, 13))
    assert sorted(values["eval/ndcg@10"]) == [6, 12]
    (text,) = found.Tensors("settings/text_summary")
    assert b"batch_size" in text.tensor_proto.string_val[0]


def test_a_run_that_goes_on_voids_what_was_tracked_beyond_its_checkpoint(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra `tensorboard`")
    first = open_tracker("tensorboard", tmp_path, {})
    for step in range(1, 9):
        first.write(step, {"train/loss": 1.0})
    first.close()
    second = open_tracker("tensorboard", tmp_path, {}, first_step=4)
    second.write(5, {"train/loss": 2.0})
    second.close()
    values, _ = scalars(tmp_path / "tensorboard")
    assert values["train/loss"] == {1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0, 5: 2.0}


def test_a_run_that_starts_again_at_its_first_step_voids_all_that_was_tracked(
    tmp_path, monkeypatch
):
    begun = []

    class Writer:
        """torch's, which purges from a step on."""

        def __init__(self, folder, purge_step=None):
            begun.append(purge_step)

        def add_text(self, *_):
            pass

    stub = SimpleNamespace(SummaryWriter=Writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stub)
    monkeypatch.setattr(tracking, "find_spec", lambda name: stub)
    for first_step in (0, 0, 4):
        open_tracker("tensorboard", tmp_path, {}, first_step=first_step)
    assert begun == [1, 1, 5]


def test_tensorboard_shows_nothing_of_what_was_started_again(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra `tensorboard`")
    for count, loss in ((8, 1.0), (2, 2.0)):
        run = open_tracker("tensorboard", tmp_path, {})
        for step in range(1, count + 1):
            run.write(step, {"train/loss": loss})
        run.close()
    values, _ = scalars(tmp_path / "tensorboard")
    assert values["train/loss"] == {1: 2.0, 2: 2.0}


def test_trackio_keeps_its_database_in_the_runs_folder(tmp_path):
    pytest.importorskip("trackio", reason="needs the extra `trackio`")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tenor.training.tracking import open_tracker\n"
        "from pathlib import Path\n"
        "t = open_tracker('trackio', Path(sys.argv[2]), {'batch_size': 4})\n"
        "t.write(1, {'train/loss': 2.5}); t.write(2, {'train/loss': 1.5, 'bad': float('nan')})\n"
        "t.close()\n"
    )
    run = tmp_path / "run"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRACKIO")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parents[2] / "src"), str(run)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**environment, "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""  # that is for a command's answer
    (database,) = (run / "trackio").glob("*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select step, metrics from metrics order by step").fetchall()
    assert [step for step, _ in rows] == [1, 2]
    assert "1.5" in str(rows[1][1])
