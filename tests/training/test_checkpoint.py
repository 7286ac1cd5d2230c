import json

import numpy as np
import pytest
import torch
from torch import nn

from tenor.errors import TrainingError
from tenor.training import checkpoint
from tenor.training.checkpoint import (
    latest,
    load_modules,
    load_optimizer,
    prune,
    save_checkpoint,
    save_modules,
)
from tenor.training.objectives import make_objective
from tenor.training.steps import Plain
from tiny import TinyEmbedder, tiny_data, tiny_encoder

DATA = tiny_data("labelled", 16)


def adamw(parameters):
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-2, fused=True)


def sgd(parameters):
    return torch.optim.SGD(list(parameters), lr=1e-2, momentum=0.9)


class Run:
    def __init__(self, make=adamw, seed=0):
        self.model = TinyEmbedder(tiny_encoder(dropout=0.1, seed=seed))
        torch.manual_seed(seed)
        self.objective = make_objective("softmax", dimensions=32, classes=2)
        self.modules = {"model": self.model, "objective": self.objective}
        self.optimizer = make(p for m in self.modules.values() for p in m.parameters())

    def train(self, steps, start=0):
        self.model.train()
        for step in range(start, start + steps):
            torch.manual_seed(step)
            rows = np.random.default_rng(step).permutation(16)[:8]
            Plain(self.objective)(self.model, DATA.batch(rows)).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    def save(self, folder, **state):
        save_checkpoint(folder, self.modules, self.optimizer, state)


def assert_identical(found, expected):
    for prefix, module in expected.items():
        for name, value in module.state_dict().items():
            assert torch.equal(found[prefix].state_dict()[name], value), name


@pytest.mark.parametrize("make", [adamw, sgd])
def test_a_resumed_run_ends_in_bit_identical_weights(tmp_path, make):
    straight = Run(make)
    straight.train(3)
    straight.save(tmp_path / "checkpoint-3", trainer={"step": 3, "loss": 0.1 + 0.2})
    straight.train(4, start=3)

    resumed = Run(make, seed=9)
    resumed.train(1)  # whatever it was before
    load_modules(tmp_path / "checkpoint-3", resumed.modules)
    load_optimizer(tmp_path / "checkpoint-3", resumed.optimizer)
    resumed.train(4, start=3)
    assert_identical(resumed.modules, straight.modules)
    stored = json.loads((tmp_path / "checkpoint-3" / "trainer.json").read_text())
    assert stored == {"step": 3, "loss": 0.1 + 0.2}


def test_the_learning_rate_of_the_moment_is_kept(tmp_path):
    run = Run()
    run.train(1)
    for group in run.optimizer.param_groups:
        group["lr"] = 0.0012345678901234567
    run.save(tmp_path / "checkpoint-1")
    other = Run()
    load_optimizer(tmp_path / "checkpoint-1", other.optimizer)
    for ours, theirs in zip(other.optimizer.param_groups, run.optimizer.param_groups, strict=True):
        assert {k: v for k, v in ours.items() if k != "params"} == {
            k: v for k, v in theirs.items() if k != "params"
        }


def test_no_file_of_a_checkpoint_is_a_pickle(tmp_path):
    run = Run()
    run.train(1)
    run.save(tmp_path / "checkpoint-1", trainer={})
    names = {path.suffix for path in (tmp_path / "checkpoint-1").iterdir()}
    assert names == {".safetensors", ".json"}


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("after", range(6))
def test_an_interrupted_save_leaves_no_half_checkpoint(tmp_path, monkeypatch, error, after):
    run = Run()
    run.train(1)
    run.save(tmp_path / "checkpoint-1")
    count, sync = 0, checkpoint.sync

    def failing(path):
        nonlocal count
        count += 1
        if count > after:
            raise error
        sync(path)

    monkeypatch.setattr(checkpoint, "sync", failing)
    try:
        run.save(tmp_path / "checkpoint-2", trainer={})
    except type(error):
        pass
    found = latest(tmp_path)
    if count > 5:  # all files are on the disk; only the folder's own entry was not yet
        assert found == tmp_path / "checkpoint-2"
    else:
        assert found == tmp_path / "checkpoint-1"
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]
    again = Run()
    load_modules(found, again.modules)
    load_optimizer(found, again.optimizer)


def test_a_checkpoint_can_be_written_again(tmp_path):
    run = Run()
    run.train(1)
    run.save(tmp_path / "checkpoint-1")
    run.train(1)
    run.save(tmp_path / "checkpoint-1")
    again = Run()
    load_modules(tmp_path / "checkpoint-1", again.modules)
    assert_identical(again.modules, run.modules)


def test_the_newest_is_the_one_of_the_highest_step(tmp_path):
    assert latest(tmp_path / "nowhere") is None
    assert latest(tmp_path) is None
    run = Run(sgd)
    for step in (9, 10, 100, 20):
        run.save(tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-200").mkdir()  # a save that was cut off, or a deletion
    (tmp_path / ".saving-abc").mkdir()
    (tmp_path / "best").mkdir()
    assert latest(tmp_path) == tmp_path / "checkpoint-100"
    (tmp_path / "checkpoint-200").rmdir()
    prune(tmp_path, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-100", "checkpoint-20", "best"}
    prune(tmp_path, 5)
    assert latest(tmp_path) == tmp_path / "checkpoint-100"


def test_weights_of_another_model_are_refused(tmp_path):
    save_modules(tmp_path, Run().modules)
    deeper = {"model": TinyEmbedder(tiny_encoder(num_hidden_layers=3))}
    shallower = {"model": TinyEmbedder(tiny_encoder(num_hidden_layers=1))}
    wider = {"model": TinyEmbedder(tiny_encoder(intermediate_size=48))}
    for modules in (deeper, shallower, wider):
        with pytest.raises(TrainingError, match="belongs to another model"):
            load_modules(tmp_path, modules)


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path):
    def tied():
        first, second = nn.Linear(50, 50), nn.Linear(50, 50)
        second.weight = first.weight
        return nn.Sequential(first, second, nn.BatchNorm1d(50))

    model, other = tied(), tied()
    save_modules(tmp_path, {"model": model})
    assert (tmp_path / checkpoint.MODULES).stat().st_size < 1.5 * 4 * 50 * 50
    load_modules(tmp_path, {"model": other})
    assert_identical({"model": other}, {"model": model})
    assert other[0].weight is other[1].weight


def test_saving_modules_over_older_ones_is_whole_or_not_at_all(tmp_path, monkeypatch):
    model = nn.Linear(3, 3)
    save_modules(tmp_path, {"model": model})
    before = (tmp_path / checkpoint.MODULES).read_bytes()

    def failing(path):
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "sync", failing)
    with pytest.raises(OSError, match="disk full"):
        save_modules(tmp_path, {"model": nn.Linear(3, 3)})
    assert (tmp_path / checkpoint.MODULES).read_bytes() == before
