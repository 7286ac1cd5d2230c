"""Whatever ends a training, the caller's model is as it was, its weights aside."""

from functools import partial

import pytest
import torch

from tenor.tokens.packed import PackedBatch
from tenor.training import trainer as trainer_module
from tenor.training.arguments import TrainingArguments
from tenor.training.borrowed import BorrowedModel
from tenor.training.objectives import make_objective
from tenor.training.probe import probe
from tenor.training.steps import Plain
from tenor.training.trainer import Trainer
from tiny import SIZE, TinyEmbedder, random_ids, tiny_data, tiny_encoder

DATA = tiny_data("pairs", 16)
BATCH = PackedBatch.of(random_ids([9, 4, 7]))


class Poolerless(TinyEmbedder):
    """Says what it does not use, as `Embedder` does."""

    def unused_parameters(self):
        return self.encoder.transformer.pooler.parameters()


def model_of(kind=Poolerless):
    model = kind(tiny_encoder(dropout=0.1, std=0.1)).eval()
    model.encoder.transformer.encoder.layer[0].requires_grad_(False)  # the caller froze a block
    return model


@torch.no_grad()
def vectors_of(model):
    return model(BATCH)


def outside(model):
    """All that a caller sees of a model beside its weights."""
    embedding = model.encoder.transformer.get_input_embeddings()
    return {
        "wants gradients": {name: p.requires_grad for name, p in model.named_parameters()},
        "gradients": [name for name, p in model.named_parameters() if p.grad is not None],
        "modes": {name: module.training for name, module in model.named_modules()},
        "shapes": {name: tuple(p.shape) for name, p in model.named_parameters()},
        "padding": embedding.padding_idx,
        "dtypes": {name: p.dtype for name, p in model.named_parameters()},
    }


def make(model, folder, *, step=None, **given):
    objective = make_objective("mnr", dimensions=32)
    arguments = TrainingArguments(batch_size=4, learning_rate=1e-2, log_every=4, evaluate_every=2)
    return Trainer(
        model, step or Plain(objective), DATA, arguments, folder, objective=objective, **given
    )


def test_after_training_only_the_weights_differ(tmp_path):
    model = model_of()
    before, vectors = outside(model), vectors_of(model)
    with make(model, tmp_path) as trainer:
        assert len(model.encoder.transformer.get_input_embeddings().weight) < SIZE
        trainer.train()
        trainer.finish()
        assert outside(model) == before
    assert outside(model) == before
    assert (vectors_of(model) - vectors).abs().max() > 1e-3
    assert before["shapes"]["encoder.transformer.embeddings.word_embeddings.weight"][0] == SIZE


class Failing(Plain):
    """Ends a training in the middle of its third step."""

    def __init__(self, loss, error):
        super().__init__(loss)
        self.count, self.error = 0, error

    def __call__(self, model, batch):
        loss = super().__call__(model, batch)
        self.count += 1
        if self.count == 3:
            loss.backward()
            raise self.error
        return loss


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("when", ["in a step", "in an evaluation", "in the probe"])
def test_after_a_failure_too(when, error, tmp_path):
    model = model_of()
    before, vectors = outside(model), vectors_of(model)

    def evaluator(_):
        raise error

    step = Failing(make_objective("mnr", dimensions=32), error)
    given = {"step": step}
    if when == "in an evaluation":
        given = {"evaluator": evaluator, "metric": "figure"}
    trainer = make(model, tmp_path, **given)
    run = partial(probe, trainer) if when == "in the probe" else trainer.train
    with pytest.raises(type(error)), trainer:
        run()
    assert outside(model) == before
    moved = (vectors_of(model) - vectors).abs().max()
    assert moved == 0 if when == "in the probe" else moved > 1e-3
    trained = make(model, tmp_path)  # it can be borrowed again
    trained.train()
    trained.finish()


def test_a_trainer_that_cannot_be_made_leaves_the_model_alone(tmp_path, monkeypatch):
    model = model_of()
    before = outside(model)

    def failing(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(trainer_module.transformers.Trainer, "__init__", failing)
    with pytest.raises(OSError, match="disk full"):
        make(model, tmp_path)
    assert outside(model) == before


def test_what_a_model_does_not_use_stays_out(tmp_path):
    pooler = {f"encoder.transformer.pooler.dense.{name}" for name in ("weight", "bias")}
    for kind, left_out in ((Poolerless, pooler), (TinyEmbedder, set())):
        model = kind(tiny_encoder())
        with make(model, tmp_path) as trainer:
            optimizer = trainer.create_optimizer()
            trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
            named = dict(model.named_parameters())
            assert {name for name, p in named.items() if id(p) not in trained} == left_out


def test_giving_back_twice_changes_nothing_more():
    model = model_of()
    borrowed = BorrowedModel(model, DATA, 0.0)
    borrowed.give_back()
    model.train()
    model.encoder.transformer.pooler.requires_grad_(False)
    after = outside(model)
    borrowed.give_back()
    assert outside(model) == after
