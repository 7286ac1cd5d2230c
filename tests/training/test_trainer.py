"""The one trainer: what it does in a step, what it keeps, and that it can be stopped anywhere."""

import json
import math

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from tenor.errors import NonFiniteLossError, TrainingError
from tenor.tokens.plan import TrainingPlan
from tenor.training.arguments import TrainingArguments
from tenor.training.checkpoint import latest
from tenor.training.objectives import make_objective
from tenor.training.probe import probe
from tenor.training.run_log import RunLog
from tenor.training.steps import GradCache, Plain
from tenor.training.trainer import Trainer
from tiny import SIZE, TinyEmbedder, tiny_data, tiny_encoder

PAIRS, LABELLED = tiny_data("pairs", 16), tiny_data("labelled", 16)


class Stop(TrainerCallback):
    """Stops with a checkpoint after a step, as an interrupt does."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            control.should_save = control.should_training_stop = True


class Watch(TrainerCallback):
    """Learning rates, and whatever else `look` says, after each step."""

    def __init__(self, look=lambda: None):
        self.look, self.rates, self.seen = look, [], []

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        self.rates.append(kwargs["optimizer"].param_groups[0]["lr"])
        self.seen.append(self.look())


def make(folder, data=PAIRS, loss="mnr", *, name="bert", step=None, chunk=0, seed=0, **options):
    """A trainer over a tiny model with dropout, four steps an epoch."""
    passed = ("evaluator", "metric", "callbacks", "plan")
    given = {key: options.pop(key) for key in passed if key in options}
    defaults = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "log_every": 4}
    arguments = TrainingArguments(seed=seed, **(defaults | options))
    torch.manual_seed(0)
    model = TinyEmbedder(tiny_encoder(name, dropout=0.1, std=0.1))
    objective = make_objective(loss, dimensions=32, classes=2)
    if step is None:
        step = GradCache(objective, chunk) if chunk else Plain(objective)
    return Trainer(model, step, data, arguments, folder, objective=objective, **given)


def weights(trainer):
    modules = {"model": trainer.model, "objective": trainer.objective}
    return {
        f"{prefix}.{name}": value.clone()
        for prefix, module in modules.items()
        for name, value in module.state_dict().items()
    }


def assert_identical(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def train(trainer, *, resume=False):
    trainer.train(resume_from_checkpoint=trainer.latest_checkpoint() if resume else None)
    trainer.finish()
    return weights(trainer)


CASES = {
    "ranking": {},
    "softmax, which has parameters": {"data": LABELLED, "loss": "softmax"},
    "gradient caching": {"chunk": 60},
    "weight decay, so the whole vocabulary": {"weight_decay": 0.01, "seed": 7},
    "padded": {"name": "mpnet", "schedule": "cosine"},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_stopped_and_resumed_run_ends_in_bit_identical_weights(case, tmp_path):
    straight = train(make(tmp_path / "straight", **case))
    for step in (3, 6) if not case else (6,):  # within the first epoch and within the second
        folder = tmp_path / f"stopped-{step}"
        stopped = make(folder, **case, callbacks=[Stop(step)])
        stopped.train()
        assert stopped.state.global_step == step
        torch.manual_seed(99)  # nothing may hang on where the random numbers stand
        assert_identical(train(make(folder, **case), resume=True), straight)


def test_dropout_and_data_are_what_the_seed_decides(tmp_path):
    found = [train(make(tmp_path / str(i), seed=seed)) for i, seed in enumerate((0, 0, 1))]
    assert_identical(found[1], found[0])
    name = "model.encoder.transformer.encoder.layer.0.output.dense.weight"
    assert not torch.equal(found[2][name], found[0][name])


def rows_of(trainer):
    seen = []
    batch = trainer.data.batch

    def noted(rows):
        seen.append(rows.tolist())
        return batch(rows)

    object.__setattr__(trainer.data, "batch", noted)
    return seen


def test_batches_come_from_the_plan_also_after_resuming(tmp_path):
    plan = TrainingPlan(16, 4, seed=0)
    expected = [plan.batch(epoch, index).tolist() for epoch in range(2) for index in range(4)]
    first = make(tmp_path, callbacks=[Stop(6)])
    seen = rows_of(first)
    first.train()
    assert seen[:6] == expected[:6]
    second = make(tmp_path)
    seen = rows_of(second)
    train(second, resume=True)
    assert seen == expected[6:]


def test_a_run_leaves_no_pickle_and_two_checkpoints(tmp_path):
    trainer = make(tmp_path, save_every=1, evaluator=lambda _: {"figure": 1.0}, metric="figure")
    train(trainer)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json"}
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"checkpoint-7", "checkpoint-8", "best"}


def test_the_best_weights_are_kept_with_those_of_the_objective(tmp_path):
    figures = {2: 0.3, 4: 0.9, 6: 0.5, 8: 0.9}  # a tie goes to the earlier
    kept = {}

    def evaluator(model):
        step = trainer.state.global_step
        kept[step] = weights(trainer)
        return {"accuracy": figures[step], "other": 1.0 - figures[step]}

    trainer = make(
        tmp_path, LABELLED, "softmax", evaluate_every=2, evaluator=evaluator, metric="accuracy"
    )
    found = train(trainer)
    assert trainer.state.best_global_step == 4
    assert_identical(found, kept[4])
    classifier = "objective.classifier.weight"
    assert not torch.equal(kept[8][classifier], kept[4][classifier])
    assert not trainer.model.training


def test_the_last_step_is_evaluated_too(tmp_path):
    steps = []

    def evaluator(model):
        steps.append(trainer.state.global_step)
        return {"figure": len(steps)}

    trainer = make(tmp_path, evaluate_every=3, evaluator=evaluator, metric="figure")
    train(trainer)
    assert steps == [3, 6, 8]
    assert trainer.state.best_global_step == 8


def test_the_best_of_before_an_interrupt_stays_the_best(tmp_path):
    def run(folder, **options):
        def evaluator(model):
            return {"figure": -float(trainer.state.global_step)}  # the first is the best

        trainer = make(folder, evaluate_every=2, evaluator=evaluator, metric="figure", **options)
        return trainer

    straight = train(run(tmp_path / "straight"))
    run(tmp_path / "stopped", callbacks=[Stop(5)]).train()
    trainer = run(tmp_path / "stopped")
    assert_identical(train(trainer, resume=True), straight)
    assert trainer.state.best_global_step == 2


def test_training_stops_when_nothing_gets_better(tmp_path):
    figures = iter([0.5, 0.6, 0.6, 0.1, 0.9])
    trainer = make(
        tmp_path,
        evaluate_every=1,
        patience=2,
        evaluator=lambda _: {"figure": next(figures)},
        metric="figure",
    )
    train(trainer)
    assert trainer.state.global_step == 4
    assert trainer.state.best_global_step == 2
    assert trainer.stopping.reason == "patience"


def test_the_evaluator_sees_the_whole_vocabulary_and_no_dropout(tmp_path):
    seen = []

    def evaluator(model):
        embedding = model.encoder.transformer.get_input_embeddings()
        seen.append((len(embedding.weight), model.training))
        return {"figure": 0.0}

    trainer = make(tmp_path, evaluate_every=3, evaluator=evaluator, metric="figure")
    before = weights(trainer)  # cut down already
    name = "model.encoder.transformer.embeddings.word_embeddings.weight"
    assert len(before[name]) < SIZE
    after = train(trainer)
    assert seen == [(SIZE, False)] * 3
    assert len(after[name]) == SIZE
    embeddings = trainer.model.encoder.transformer.get_input_embeddings()
    assert embeddings.padding_idx == 0


class Poison(Plain):
    """From some step on, a loss that is not finite."""

    def __init__(self, loss, trainer_step, value):
        super().__init__(loss)
        self.at, self.value, self.count = trainer_step, value, 0

    def __call__(self, model, batch):
        self.count += 1
        loss = super().__call__(model, batch)
        return loss * self.value if self.count == self.at else loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_rows(value, tmp_path):
    poison = Poison(make_objective("mnr", dimensions=32), 6, value)
    trainer = make(tmp_path, step=poison, save_every=2)
    with pytest.raises(NonFiniteLossError) as error:
        trainer.train()
    assert error.value.step == 6
    assert error.value.rows == TrainingPlan(16, 4, seed=0).batch(1, 1).tolist()
    assert latest(tmp_path / "checkpoints").name == "checkpoint-4"
    resumed = train(make(tmp_path, save_every=2), resume=True)  # with the cause mended
    assert_identical(resumed, train(make(tmp_path / "straight", save_every=2)))


def test_the_objective_is_trained_and_its_gradients_do_not_add_up(tmp_path):
    plan = TrainingPlan(16, 4, seed=0)
    trainer = make(tmp_path, LABELLED, "softmax", max_grad_norm=0.0)
    start = trainer.objective.classifier.weight.clone()
    found, expected = [], []

    def look():
        classifier = trainer.objective.classifier
        found.append(classifier.weight.grad.clone())
        # The same gradient by itself: dropout draws from the step alone.
        step, batch = len(found) - 1, trainer.data.batch(plan.batch(0, len(found) - 1))
        seed = hash((0, step, 0)) & ((1 << 63) - 1)
        torch.manual_seed(seed)
        loss = trainer.step(trainer.model, batch)
        (gradient,) = torch.autograd.grad(loss, [classifier.weight])
        expected.append(gradient)

    trainer.add_callback(Watch(look))
    trainer.add_callback(Stop(3))
    trainer.train()
    assert not torch.equal(trainer.objective.classifier.weight, start)
    assert len(found) == 3
    for ours, alone in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, alone)


@pytest.mark.parametrize("limit", [0.05, 1e6])
def test_clipping_is_that_of_torch(limit, tmp_path):
    """A step by hand, with torch's own clipping, moves the weights as the trainer's does."""
    trainer = make(tmp_path, LABELLED, "softmax", max_grad_norm=limit, warmup=0.0, log_every=1)
    trainer.add_callback(Stop(1))
    by_hand = make(tmp_path / "hand", LABELLED, "softmax", max_grad_norm=limit)
    trainer.train()
    optimizer = by_hand.create_optimizer()
    batch = by_hand.data.batch(TrainingPlan(16, 4, seed=0).batch(0, 0))
    by_hand.model.train()
    torch.manual_seed(hash((0, 0, 0)) & ((1 << 63) - 1))
    by_hand.step(by_hand.model, batch).backward()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
    assert 0.05 < norm < 1e6
    optimizer.step()
    found, expected = weights(trainer), weights(by_hand)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=0)
    assert trainer.state.log_history[0]["grad_norm"] == pytest.approx(norm.item(), rel=1e-4)


def test_clipping_matters(tmp_path):
    """AdamW hides the scale of its first step, not that of its first moments."""
    moments = []
    for limit in (0.01, 0.0):
        trainer = make(tmp_path / str(limit), max_grad_norm=limit, callbacks=[Stop(1)])
        trainer.train()
        state = next(iter(trainer.optimizer.state.values()))
        moments.append(state["exp_avg"].norm())
    assert moments[0] < 0.1 * moments[1]


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_the_learning_rate_rises_and_falls(schedule, tmp_path):
    watch = Watch()
    trainer = make(tmp_path, schedule=schedule, warmup=0.5, epochs=2, callbacks=[watch])
    trainer.train()
    rising = [0, 0.25, 0.5, 0.75]
    progress = np.arange(4) / 4
    falling = {
        "linear": 1 - progress,
        "cosine": (1 + np.cos(np.pi * progress)) / 2,
        "constant": np.ones(4),
    }[schedule]
    assert np.array(watch.rates) == pytest.approx(1e-3 * np.array([*rising, *falling]))


@pytest.mark.parametrize("warmup", [0.0, 0.1])
def test_without_warm_up_and_in_a_run_of_a_few_steps_the_first_has_the_full_rate(warmup, tmp_path):
    watch = Watch()
    make(tmp_path, warmup=warmup, callbacks=[watch]).train()
    assert len(watch.rates) < 10
    assert watch.rates[0] == 1e-3


def test_weight_decay_leaves_biases_and_norms_alone(tmp_path):
    trainer = make(tmp_path, LABELLED, "softmax", weight_decay=0.1)
    decayed, rest = trainer.create_optimizer().param_groups
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.1, 0.0)
    assert all(p.dim() > 1 for p in decayed["params"])
    assert all(p.dim() < 2 for p in rest["params"])
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    count = len(trained) + len(list(trainer.objective.parameters()))
    assert count == len(decayed["params"]) + len(rest["params"])


def test_the_log_has_a_line_for_each_step_and_evaluation(tmp_path):
    said = []
    log = tmp_path / "log.jsonl"
    options = {
        "evaluate_every": 4,
        "evaluator": lambda _: {"ndcg@10": 0.5},
        "metric": "ndcg@10",
        "log_every": 2,
    }
    make(tmp_path, **options, callbacks=[RunLog(log, said.append), Stop(7)]).train()
    with log.open("a") as file:
        file.write('{"step": 7, "lo')  # killed while writing
    make(tmp_path, **options, callbacks=[RunLog(log, said.append)]).train(
        resume_from_checkpoint=str(tmp_path / "checkpoints" / "checkpoint-7")
    )
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [2, 4, 6, 8]
    assert [line for line in lines if "eval_ndcg@10" in line] == [
        {"step": 4, "eval_ndcg@10": 0.5, "epoch": 1.0},
        {"step": 8, "eval_ndcg@10": 0.5, "epoch": 2.0},
    ]
    assert all(math.isfinite(line["loss"]) for line in lines if "loss" in line)
    assert any(text.startswith("step 8/8: loss ") for text in said)
    assert "step 8/8: ndcg@10 0.5000" in said


def test_lines_of_steps_that_are_done_again_are_dropped(tmp_path):
    log = tmp_path / "log.jsonl"
    make(tmp_path, save_every=3, log_every=1, callbacks=[RunLog(log, print), Stop(3)]).train()
    with log.open("a") as file:
        file.write('{"step": 4, "loss": 0.5}\n{"step": 5, "loss": 0.5}\n')
    train(make(tmp_path, save_every=3, log_every=1, callbacks=[RunLog(log, print)]), resume=True)
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_trial_changes_nothing(tmp_path):
    trainer = make(tmp_path / "a", LABELLED, "softmax")
    before = weights(trainer)
    seconds, needed = probe(trainer)
    assert seconds > 0
    assert needed > 1 << 20
    assert_identical(weights(trainer), before)
    assert all(p.grad is None for p in trainer.model.parameters())
    assert_identical(train(trainer), train(make(tmp_path / "b", LABELLED, "softmax")))


def test_a_run_without_rows_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no rows"):
        make(tmp_path, tiny_data("pairs", 0))
    assert not (tmp_path / "checkpoints").exists()


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    make(tmp_path, callbacks=[Stop(2)]).train()
    other = make(tmp_path, name="distilbert")
    with pytest.raises(TrainingError, match="another model"):
        train(other, resume=True)
