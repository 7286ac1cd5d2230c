from dataclasses import replace

import numpy as np
import pytest
import torch

from tenor import losses
from tenor.errors import ConfigError
from tenor.training.batch import TrainingData
from tenor.training.objectives import LOSSES, make_objective
from tenor.training.steps import Plain
from tiny import TinyEmbedder, tiny_data, tiny_encoder, tiny_tokenizer

KINDS = {
    "mnr": "pairs",
    "cosine": "scored",
    "softmax": "labelled",
    "contrastive": "labelled",
    "online-contrastive": "labelled",
    "triplet": "triplets",
    "cosent": "scored",
    "supervised-contrastive": "classes",
}
ROWS = 12


def mnr_of(columns, vectors=None, **options):
    """The ranking loss of rows of texts under random embeddings, and the embeddings' gradient."""
    batch = TrainingData.of(columns, None, tiny_tokenizer()).batch(
        np.arange(len(columns["anchor"]))
    )
    x = torch.randn(len(batch.texts), 8, generator=torch.Generator().manual_seed(1))
    x.requires_grad_()
    return make_objective("mnr", dimensions=8, **options)(x, batch), x, batch


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains(name):
    batch = tiny_data(KINDS[name], ROWS).batch(np.arange(ROWS))
    model = TinyEmbedder(tiny_encoder(std=0.1))
    objective = make_objective(name, dimensions=32, classes=2)
    parameters = [*model.parameters(), *objective.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = Plain(objective)(model, batch)
        assert loss.shape == ()
        loss.backward()
        assert all(p.grad.isfinite().all() for p in parameters if p.grad is not None)
        moved = any(p.grad.abs().max() > 0 for p in parameters if p.grad is not None)
        assert moved or loss == 0
        values.append(loss.item())
        optimizer.step()
    assert np.isfinite(values).all()
    assert values[-1] < 0.8 * values[0]


@pytest.mark.parametrize("symmetric", [False, True])
def test_equal_positives_and_other_positives_of_an_anchor_are_no_negatives(symmetric):
    same_positive = {"anchor": ["cat", "dog"], "positive": ["sun", "sun"]}
    same_anchor = {"anchor": ["cat", "cat"], "positive": ["sun", "moon"]}
    own_anchor = {"anchor": ["cat", "dog"], "positive": ["dog", "cat"]}
    for columns in (same_positive, same_anchor):
        assert mnr_of(columns, symmetric=symmetric)[0].item() == 0.0
    # Each anchor stands as the other's positive: nothing is left to rank for either.
    assert mnr_of(own_anchor)[0].item() == 0.0
    assert mnr_of({"anchor": ["cat", "dog"], "positive": ["sun", "moon"]})[0].item() > 0


def test_a_negative_that_is_a_positive_of_the_anchor_does_not_count():
    columns = {
        "anchor": ["cat", "cat"],
        "positive": ["sun", "moon"],
        "negative": ["moon", "sun"],
    }
    assert mnr_of(columns)[0].item() == 0.0


def test_ranking_takes_every_other_text_once_as_a_negative():
    columns = {
        "anchor": ["cat", "dog", "fish"],
        "positive": ["sun", "moon", "star"],
        "negative": ["rain", "rain", "wind"],  # rain is one candidate, not two
    }
    found, x, batch = mnr_of(columns)
    a, p, n = (x[batch.columns[name]] for name in columns)
    candidates = torch.nn.functional.normalize(torch.cat([p, n[[0, 2]]]), dim=1)
    scores = 20 * torch.nn.functional.normalize(a, dim=1) @ candidates.T
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(scores, torch.arange(3)))


def test_ranking_takes_columns_in_any_order():
    columns = {"anchor": ["cat", "dog"], "positive": ["sun", "moon"], "negative": ["rain", "wind"]}
    data = TrainingData.of(columns, None, tiny_tokenizer())
    swapped = {name: data.columns[name] for name in ("negative", "positive", "anchor")}
    other = TrainingData(data.ids, swapped, None)
    model, objective = TinyEmbedder(), make_objective("mnr", dimensions=32)
    values = [Plain(objective)(model, d.batch(np.arange(2))).item() for d in (data, other)]
    assert values[0] == pytest.approx(values[1], abs=1e-5)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "softmax"])
def test_matryoshka_adds_the_losses_of_the_first_dimensions(name):
    batch = tiny_data(KINDS[name], ROWS).batch(np.arange(ROWS))
    x = torch.randn(len(batch.texts), 32)
    found = make_objective(name, dimensions=32, matryoshka=[8, 16])(x, batch)
    single = make_objective(name, dimensions=32)
    expected = sum(single(x[:, :width].contiguous(), batch) for width in (8, 16, 32))
    torch.testing.assert_close(found, expected)


def test_options_reach_their_losses():
    pairs = tiny_data("pairs", ROWS).batch(np.arange(ROWS))
    labelled = tiny_data("labelled", ROWS).batch(np.arange(ROWS))
    triplets = tiny_data("triplets", ROWS).batch(np.arange(ROWS))
    scored = tiny_data("scored", ROWS).batch(np.arange(ROWS))
    classes = tiny_data("classes", ROWS).batch(np.arange(ROWS))
    for name, batch, options in [
        ("mnr", pairs, {"scale": 5.0}),
        ("mnr", pairs, {"symmetric": True}),
        ("contrastive", labelled, {"margin": 0.9}),
        ("contrastive", labelled, {"distance": "euclidean"}),
        ("online-contrastive", labelled, {"margin": 0.9}),
        ("triplet", triplets, {"margin": 1.0}),
        ("triplet", triplets, {"distance": "cosine"}),
        ("cosent", scored, {"scale": 5.0}),
        ("supervised-contrastive", classes, {"temperature": 0.5}),
    ]:
        x = torch.randn(len(batch.texts), 16)
        default = make_objective(name, dimensions=16)(x, batch)
        assert make_objective(name, dimensions=16, **options)(x, batch) != default, (name, options)


def test_triplets_are_anchor_positive_negative():
    batch = tiny_data("triplets", ROWS).batch(np.arange(ROWS))
    x = torch.randn(len(batch.texts), 16)
    a, p, n = (x[batch.columns[name]] for name in ("anchor", "positive", "negative"))
    found = make_objective("triplet", dimensions=16)(x, batch)
    torch.testing.assert_close(found, losses.triplet(a, p, n))


@pytest.mark.parametrize(
    ("name", "options", "field"),
    [
        ("mnrl", {}, "loss"),
        ("softmax", {}, "loss"),
        ("softmax", {"classes": 2, "matryoshka": [8]}, "matryoshka"),
        ("mnr", {"matryoshka": [64]}, "matryoshka"),
        ("mnr", {"matryoshka": [0]}, "matryoshka"),
    ],
)
def test_what_cannot_be_is_refused(name, options, field):
    with pytest.raises(ConfigError) as error:
        make_objective(name, dimensions=32, **options)
    assert error.value.field == field


@pytest.mark.parametrize("symmetric", [False, True])
def test_rows_of_one_group_are_no_negatives_of_each_other(symmetric):
    """Two spans of a document, say: without a third row there is nothing to lose."""
    columns = {"anchor": ["cat", "dog", "bird"], "positive": ["sun", "moon", "star"]}
    data = TrainingData.of(columns, None, tiny_tokenizer())
    x = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    objective = make_objective("mnr", dimensions=8, symmetric=symmetric)

    def loss(groups, rows):
        grouped = replace(data, groups=None if groups is None else np.array(groups))
        batch = grouped.batch(np.array(rows))
        return objective(x[: len(batch.texts)], batch).item()

    assert loss([5, 5, 6], [0, 1]) == pytest.approx(0.0, abs=1e-6)
    assert loss([5, 4, 6], [0, 1]) == loss(None, [0, 1]) > 1e-3
    assert 1e-3 < loss([5, 5, 6], [0, 1, 2]) < loss(None, [0, 1, 2])


def test_simcse_compares_two_encodings_of_each_text():
    """Of texts that stand twice in the batch only one counts; its twin is no negative."""
    data = TrainingData.of({"anchor": ["cat", "dog", "cat"]}, None, tiny_tokenizer())
    place = data.columns["anchor"]
    columns = {"anchor": place, "positive": place}
    batch = replace(data, columns=columns, columns_apart=True).batch(np.arange(3))
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    anchors, positives = (x[batch.columns[name]] for name in ("anchor", "positive"))
    scores = 20 * torch.nn.functional.cosine_similarity(anchors[:, None], positives[:2], dim=-1)
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([0, 1, 0]))
    found = make_objective("mnr", dimensions=8)(x, batch)
    torch.testing.assert_close(found, expected)
