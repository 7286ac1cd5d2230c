"""Real runs, really killed: they end in the very bytes of a run that nobody touched."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tiny import random_texts, tiny_model, write_csv

pytestmark = pytest.mark.slow

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
ENVIRONMENT.pop("RANK", None)
WEIGHTS = "model/model.safetensors"
PATIENCE = 240  # seconds


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Flags of a run of 24 steps with dropout, checkpoints and evaluations."""
    folder = tmp_path_factory.mktemp("files")
    rows = {"anchor": random_texts(48, seed=1), "positive": random_texts(48, seed=2)}
    held = {"anchor": random_texts(8, seed=3), "positive": random_texts(8, seed=4)}
    return {
        "train": write_csv(folder / "train.csv", rows),
        "validation": write_csv(folder / "validation.csv", held),
        "model": tiny_model(folder / "model"),
        "epochs": "4",
        "batch-size": "8",
        "learning-rate": "1e-3",
        "save-every": "2",
        "evaluate-every": "5",
        "log-every": "1",
        "dtype": "fp32",
        "device": "cpu",
    }


def command(out, files):
    flags = [part for name, value in files.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "tenor", "train", "contrastive", "--out", str(out), *flags]


def resume(out):
    return [sys.executable, "-m", "tenor", "train", "contrastive", "--out", str(out), "--resume"]


def finish(arguments):
    done = subprocess.run(
        arguments, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.fixture(scope="module")
def untouched(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("untouched") / "run"
    finish(command(out, files))
    return out


def send(arguments, number, when):
    """Start a run, send it a signal as soon as `when()`, and return its status and words."""
    process = subprocess.Popen(
        arguments, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        end = time.monotonic() + PATIENCE
        while not when():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "the moment to send the signal never came"
            time.sleep(0.0002)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        return process.returncode, said
    finally:
        process.kill()
        process.wait()


def steps(out):
    return sorted(
        int(path.name.rsplit("-", 1)[1]) for path in Path(out).glob("checkpoints/checkpoint-*")
    )


def lines(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def assert_identical(out, untouched):
    assert (out / WEIGHTS).read_bytes() == (untouched / WEIGHTS).read_bytes()
    found, expected = (json.loads((run / "result.json").read_text()) for run in (out, untouched))
    for key in ("steps", "best_step", "before", "after", "difference"):
        for side in (found, expected):
            if isinstance(side[key], dict):
                side[key].pop("seconds", None)
                side[key].pop("model", None)
        assert found[key] == expected[key]
    assert [line["step"] for line in lines(out) if "loss" in line] == list(range(1, 25))
    logged = [[line["loss"] for line in lines(run) if "loss" in line] for run in (out, untouched)]
    assert logged[0] == logged[1]
    assert not [path for path in (out / "checkpoints").iterdir() if path.name.startswith(".")]


def test_killed_twice_and_resumed_it_ends_in_the_same_bytes(files, untouched, tmp_path):
    out = tmp_path / "run"
    status, _ = send(command(out, files), signal.SIGKILL, lambda: steps(out))
    assert status == -signal.SIGKILL
    assert not (out / "result.json").exists()
    at = steps(out)[-1]

    def saving():
        """A later checkpoint is being written at this moment."""
        return steps(out)[-1] >= at + 4 and any((out / "checkpoints").glob(".saving-*"))

    status, said = send(resume(out), signal.SIGKILL, saving)
    assert status == -signal.SIGKILL
    assert f"going on from step {at}" in said
    finish(resume(out))
    assert_identical(out, untouched)
    assert steps(out) == [22, 24]


def test_interrupted_it_saves_says_so_and_can_go_on(files, untouched, tmp_path):
    out = tmp_path / "run"
    status, said = send(command(out, files), signal.SIGINT, lambda: steps(out))
    assert status == 1
    assert "stopping after this step" in said
    at = steps(out)[-1]
    assert f"interrupted at step {at} of 24" in said
    assert str(out) in said and "--resume" in said
    assert "Traceback" not in said
    assert f"going on from step {at}" in finish(resume(out))
    assert_identical(out, untouched)


def test_two_processes_train_the_weights_of_one(files, tmp_path):
    """Without dropout, whose masks belong to a process's own texts."""
    files = {**files, "model": tiny_model(tmp_path / "model", dropout=0.0), "epochs": "2"}
    one, two = tmp_path / "one", tmp_path / "two"
    finish(command(one, files))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    joint = command(two, files)
    said = finish([joint[0], *torchrun, *joint[1:]])
    assert said.count("loss mnr:") == 1  # once, not once a process
    assert "find_unused_parameters" not in said  # torch warns where it searched in vain
    found, expected = (load_file(run / WEIGHTS) for run in (two, one))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if name.endswith("key.bias"):
            continue  # it changes no attention: its gradient is rounding, which Adam scales up
        assert (found[name] - value).abs().max() <= 1e-5, name
    result = json.loads((two / "result.json").read_text())
    assert result["steps"] == 12
    losses = [[line["loss"] for line in lines(run) if "loss" in line] for run in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
