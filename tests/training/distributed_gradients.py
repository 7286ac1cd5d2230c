"""Run by torchrun: gradients of two processes over one joint batch, against those of one alone."""

from unittest.mock import patch

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tenor.training import steps
from tenor.training.batch import TrainingData
from tenor.training.objectives import make_objective
from tenor.training.steps import GradCache, Plain
from tiny import TinyEmbedder, tiny_data, tiny_encoder, tiny_tokenizer

TOLERANCE = 1e-5
ONE_TEXT = {"sentence1": ["the cat"], "sentence2": ["the cat"]}  # the second process has none
CASES = [
    ("bert", "mnr", tiny_data("triplets", 25)),
    ("bert", "mnr", tiny_data("triplets", 1)),
    ("bert", "cosent", tiny_data("scored", 25)),
    ("bert", "softmax", tiny_data("labelled", 25)),
    ("bert", "softmax", TrainingData.of(ONE_TEXT, np.array([1]), tiny_tokenizer())),
    ("mpnet", "mnr", tiny_data("triplets", 25)),
]


def gradients(step, model, objective, batch):
    model.zero_grad()
    objective.zero_grad()
    loss = step(model, batch)
    loss.backward()
    inner = getattr(model, "module", model)
    named = [*inner.named_parameters(), *objective.named_parameters()]
    return loss.item(), {n: p.grad.clone() for n, p in named if p.grad is not None}


def compare(what, found, expected):
    assert abs(found[0] - expected[0]) <= TOLERANCE, (what, found[0], expected[0])
    assert found[1].keys() == expected[1].keys(), what
    for name, gradient in expected[1].items():
        error = (found[1][name] - gradient).abs().max().item()
        assert error <= TOLERANCE, (what, name, error, gradient.abs().max().item())


def embedder(name):
    model = TinyEmbedder(tiny_encoder(name))
    for parameter_name, parameter in model.named_parameters():
        parameter.requires_grad_(".pooler." not in parameter_name)  # as the trainer does
    return model


def check(name, loss, data):
    torch.manual_seed(0)  # the same classifier everywhere
    objective = make_objective(loss, dimensions=32, classes=2, scale=5.0)
    batch = data.batch(np.arange(len(data)))
    with patch.object(steps, "this_process", lambda: (0, 1)):
        expected = gradients(Plain(objective), embedder(name), objective, batch)
    assert len(batch.texts) == 1 or max(g.abs().max() for g in expected[1].values()) > 0.1
    joint = DistributedDataParallel(embedder(name))
    for step in (Plain(objective), *(GradCache(objective, tokens) for tokens in (1, 60, 10_000))):
        what = (name, loss, len(data), type(step).__name__, getattr(step, "chunk_tokens", None))
        compare(what, gradients(step, joint, objective, batch), expected)


def main():
    dist.init_process_group("gloo")
    try:
        for case in CASES:
            check(*case)
        print("equal", flush=True)
        dist.barrier()
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
