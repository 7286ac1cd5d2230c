"""Training that ends before its last step, and why."""

import json
import time

import pytest
import torch

from tenor.errors import ConfigError
from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive
from tenor.training.arguments import TrainingArguments
from tenor.training.objectives import make_objective
from tenor.training.steps import Plain
from tenor.training.trainer import Trainer
from tiny import TinyEmbedder, random_texts, tiny_data, tiny_model, write_csv

DATA = tiny_data("pairs", 16)


def make(folder, *, evaluator=None, step=None, **options):
    """A trainer of four steps an epoch."""
    arguments = TrainingArguments(**{"epochs": 4, "batch_size": 4, **options})
    torch.manual_seed(0)
    objective = make_objective("mnr", dimensions=32)
    return Trainer(
        TinyEmbedder(), step or Plain(objective), DATA, arguments, folder, objective=objective,
        evaluator=evaluator, metric=None if evaluator is None else "figure",
    )  # fmt: skip


def test_so_many_steps_and_a_learning_rate_that_falls_over_them(tmp_path):
    rates = []
    with make(tmp_path, max_steps=6, warmup=0.0, log_every=1) as trainer:
        assert trainer.total_steps == 6
        trainer.train()
        rates = [e["learning_rate"] for e in trainer.state.log_history if "learning_rate" in e]
        assert trainer.state.global_step == 6 and trainer.stopping.reason is None
    assert rates[-1] < 0.2 * rates[0] and rates == sorted(rates, reverse=True)


def test_more_steps_than_the_epochs_make_change_nothing(tmp_path):
    with make(tmp_path, epochs=1, max_steps=100) as trainer:
        trainer.train()
        assert trainer.state.global_step == trainer.total_steps == 4


def test_fewer_steps_than_an_epoch_are_evaluated_and_saved(tmp_path):
    seen = []

    def evaluator(model):
        seen.append(1)
        return {"figure": 1.0}

    with make(tmp_path, max_steps=3, evaluator=evaluator) as trainer:
        trainer.train()
        assert trainer.state.global_step == 3 and len(seen) == 1
        assert trainer.latest_checkpoint().endswith("checkpoint-3")


def test_the_time_limit_evaluates_once_more_and_stops(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    plain = Plain(make_objective("mnr", dimensions=32))
    seen = []

    def step(model, batch):
        now[0] += 30.0
        return plain(model, batch)

    def evaluator(model):
        seen.append(now[0])
        return {"figure": float(len(seen))}

    with make(tmp_path, evaluator=evaluator, step=step, max_minutes=2.9) as trainer:
        trainer.train()
        # Six steps of half a minute; evaluated after the epoch of four, and at the end.
        assert trainer.state.global_step == 6 and seen == [120.0, 180.0]
        assert trainer.stopping.reason == "max_minutes"
        assert trainer.state.best_global_step == 6


def test_what_still_gains_is_not_hopeless(tmp_path):
    figures = iter([0.1, 0.2, 0.25, 0.42, 0.45, 0.46, 0.6, 0.6])  # at 2, 4, ... of 16 steps
    with make(
        tmp_path, evaluator=lambda model: {"figure": next(figures)}, stop_below=0.5,
        evaluate_every=2,
    ) as trainer:  # fmt: skip
        trainer.train()
        # 0.42 + 0.17 would reach it; 0.45 + 0.03 would not.
        assert trainer.state.global_step == 10 and trainer.stopping.reason == "stop_below"


@pytest.mark.parametrize(("figure", "steps"), [(0.4, 8), (0.6, 16)])
def test_what_is_hopeless_by_the_middle_stops_there(figure, steps, tmp_path):
    with make(
        tmp_path, evaluator=lambda model: {"figure": figure}, stop_below=0.5, evaluate_every=2
    ) as trainer:
        trainer.train()
        assert trainer.state.global_step == steps
        assert trainer.stopping.reason == ("stop_below" if steps == 8 else None)


def test_a_good_start_is_not_hopeless(tmp_path):
    figures = iter([0.6, *[0.3] * 20])
    with make(
        tmp_path, evaluator=lambda model: {"figure": next(figures)}, stop_below=0.5,
        evaluate_every=4,
    ) as trainer:  # fmt: skip
        trainer.train()
        assert trainer.state.global_step == 16


def test_a_run_says_why_it_ended_and_can_have_another_limit_when_resumed(tmp_path):
    pairs = {"anchor": random_texts(24), "positive": random_texts(24, seed=1)}
    config = ContrastiveConfig(
        train=write_csv(tmp_path / "t.csv", pairs), out=str(tmp_path / "run"), batch_size=4,
        model=tiny_model(tmp_path / "m"), max_minutes=1e-9, hold_out=0.2, device="cpu",
    )  # fmt: skip
    result = train_contrastive(config)
    assert result["steps"] == 1 and result["stopped"] == "max_minutes"
    assert result["after"] is not None and (tmp_path / "run" / "model").is_dir()
    assert "max_minutes" not in (tmp_path / "run" / "config.toml").read_text()
    assert json.loads((tmp_path / "run" / "result.json").read_text())["stopped"] == "max_minutes"


@pytest.mark.parametrize("wrong", [{"max_steps": 0}, {"max_minutes": 0.0}, {"max_minutes": -1.0}])
def test_limits_must_leave_something(wrong):
    with pytest.raises(ConfigError, match="above 0"):
        TrainingArguments(**wrong)
