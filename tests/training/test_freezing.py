"""What is frozen, for every architecture: which parameters, which rates, and no dropout."""

from dataclasses import replace

import pytest
import torch

from tenor.errors import ConfigError, ModelError
from tenor.models.encoder import Encoder
from tenor.tokens.packed import PackedBatch
from tenor.training.freezing import Freezing, FreezingArguments
from tenor.training.frozen_model import FrozenModel
from tenor.training.optimizer import make_optimizer
from tiny import CONFIGS, TinyEmbedder, random_ids, tiny_encoder

WITH_BLOCKS = [name for name in CONFIGS if name != "albert"]
BATCH = PackedBatch.of(random_ids([9, 6, 4]))


class Headless(TinyEmbedder):
    """Says what it does not use, as `Embedder` does."""

    def unused_parameters(self):
        named = self.encoder.transformer.named_parameters()
        return [each for name, each in named if "pooler" in name]


def frozen_names(model):
    named = model.encoder.transformer.named_parameters()
    return {name for name, each in named if not each.requires_grad}


def in_blocks(model, numbers):
    """Names of the parameters of some blocks."""
    prefix = model.encoder.blocks.prefix
    starts = tuple(f"{prefix}.{number}." for number in numbers)
    named = model.encoder.transformer.named_parameters()
    return {name for name, _ in named if starts and name.startswith(starts)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", Freezing()),
        ("0", Freezing()),
        ("embeddings", Freezing(kind="embeddings")),
        ("3", Freezing(kind="first", blocks=3)),
        ("last-1", Freezing(kind="last", blocks=1)),
        ("gradual:0.25", Freezing(kind="gradual", period=0.25)),
        ("pattern:layer.0:x", Freezing(kind="pattern", pattern="layer.0:x")),
    ],
)
def test_one_word_says_what_is_frozen(text, expected):
    assert Freezing.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "some", "-1", "1.5", "last", "last--1", "pattern:", "pattern:(", "gradual:0",
             "gradual:x", "all:1"]
)  # fmt: skip
def test_what_cannot_be_frozen_is_told(text):
    with pytest.raises(ConfigError, match="freeze"):
        FreezingArguments(freeze=text)


@pytest.mark.parametrize(
    "given", [{"layer_decay": 0.0}, {"layer_decay": 1.1}, {"prefix_cache": ""}]
)
def test_wrong_settings_are_told(given):
    with pytest.raises(ConfigError, match=next(iter(given))):
        FreezingArguments(**given)


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_the_blocks_of_every_architecture_are_found(name):
    model = TinyEmbedder(tiny_encoder(name))
    blocks = model.encoder.blocks
    count = 3 if name == "modernbert" else 2
    assert len(blocks) == count
    levels = blocks.levels
    assert levels.keys() == dict(model.encoder.transformer.named_parameters()).keys()
    for number in range(count):
        assert {levels[each] for each in in_blocks(model, [number])} == {number + 1}
    word_table = next(each for each in levels if "word_embeddings" in each or "tok_emb" in each)
    assert levels[word_table] == 0
    after = {each for each, level in levels.items() if level == count + 1}
    assert all("pooler" in each or "final_norm" in each for each in after)
    assert all(each.requires_grad for each in model.parameters())


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_the_first_blocks_and_all_that_they_need_get_no_gradient(name):
    model = TinyEmbedder(tiny_encoder(name))
    frozen = FrozenModel(model, Freezing(kind="first", blocks=1))
    assert frozen.depth == 1
    names = frozen_names(model)
    assert in_blocks(model, [0]) <= names and not names & in_blocks(model, [1, 2])
    model.train()
    model(BATCH).sum().backward()
    with_gradient = {
        each for each, p in model.encoder.transformer.named_parameters() if p.grad is not None
    }
    assert not with_gradient & names and in_blocks(model, [1]) <= with_gradient
    # What is left to train never changes what comes out of the first block.
    before = model.encoder.states(BATCH, 1)
    with torch.no_grad():
        for each in model.parameters():
            if each.requires_grad:
                each.add_(0.1)
    assert torch.equal(model.encoder.states(BATCH, 1), before)
    frozen.give_back()
    assert not frozen_names(model)


@pytest.mark.parametrize(
    ("text", "numbers", "depth"),
    [("embeddings", [], 0), ("2", [0, 1], 2), ("last-1", [0], 1), ("last-0", [0, 1], 2)],
)
def test_every_way_to_say_it(text, numbers, depth):
    model = TinyEmbedder(tiny_encoder())
    frozen = FrozenModel(model, Freezing.parse(text))
    embeddings = {name for name in frozen_names(model) if name.startswith("embeddings.")}
    assert len(embeddings) == 5
    assert frozen_names(model) - embeddings == in_blocks(model, numbers)
    assert frozen.depth == depth


def test_by_name():
    model = TinyEmbedder(tiny_encoder())
    frozen = FrozenModel(model, Freezing(kind="pattern", pattern=r"^embeddings|layer\.0\."))
    assert frozen.depth == 1 and in_blocks(model, [0]) <= frozen_names(model)
    frozen.give_back()
    # A block above one that is trained is frozen, too, but what it is given changes.
    frozen = FrozenModel(model, Freezing(kind="pattern", pattern=r"layer\.1\."))
    assert frozen.depth == -1 and frozen_names(model) == in_blocks(model, [1])
    with pytest.raises(ConfigError, match="in the name of a parameter, such as embeddings"):
        FrozenModel(TinyEmbedder(tiny_encoder()), Freezing(kind="pattern", pattern="nothing"))


def test_more_blocks_than_there_are():
    with pytest.raises(ConfigError, match="at most 2"):
        FrozenModel(TinyEmbedder(tiny_encoder()), Freezing(kind="first", blocks=3))


def test_an_encoder_whose_blocks_cannot_be_told_apart_names_the_setting(monkeypatch):
    def unknown(encoder):
        raise ModelError("TinyModel has no row of blocks")

    monkeypatch.setattr(Encoder, "blocks", property(unknown))
    model = TinyEmbedder(tiny_encoder())
    with pytest.raises(ConfigError, match=r"layer_decay = 0.9 .* no row of blocks"):
        FrozenModel(model, layer_decay=0.9)
    with pytest.raises(ConfigError, match=r"freeze = 'first' .* no row of blocks"):
        FrozenModel(model, Freezing.parse("1"))


def test_a_block_that_is_used_again_and_again_cannot_be_frozen_alone():
    model = TinyEmbedder(tiny_encoder("albert"))
    for text in ("1", "last-1", "gradual"):
        with pytest.raises(ConfigError, match="uses one block again and again"):
            FrozenModel(model, Freezing.parse(text))
    with pytest.raises(ConfigError, match="layer_decay"):
        FrozenModel(model, layer_decay=0.9)
    assert not frozen_names(model)
    frozen = FrozenModel(model, Freezing.parse("embeddings"))
    names = frozen_names(model)
    assert "encoder.embedding_hidden_mapping_in.weight" in names
    assert all("embedding" in name for name in names) and frozen.depth == -1
    frozen.give_back()
    FrozenModel(model, Freezing.parse("all"))
    assert all(not each.requires_grad for each in model.encoder.parameters())


def test_frozen_blocks_run_without_dropout_in_training():
    model = TinyEmbedder(tiny_encoder(dropout=0.5))
    frozen = FrozenModel(model, Freezing(kind="first", blocks=1))
    model.train()
    first, second = (model.encoder.states(BATCH, 1) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(model(BATCH), model(BATCH))  # the other block drops
    frozen.give_back()
    model.train()
    assert not torch.equal(model.encoder.states(BATCH, 1), model.encoder.states(BATCH, 1))


def test_what_the_caller_froze_stays_frozen_after():
    model = TinyEmbedder(tiny_encoder())
    model.encoder.blocks.modules[1].requires_grad_(False)
    frozen = FrozenModel(model, Freezing(kind="gradual"), epochs=5)
    for epoch in range(5):
        frozen.at(epoch)
        assert in_blocks(model, [1]) <= frozen_names(model)
    frozen.give_back()
    assert frozen_names(model) == in_blocks(model, [1])


@pytest.mark.parametrize("kind", [TinyEmbedder, Headless])
def test_one_more_block_each_period(kind):
    """A head (here the pooler) is trained first; without one, the last block."""
    model = kind(tiny_encoder())
    frozen = FrozenModel(model, Freezing.parse("gradual:0.5"), epochs=2)
    start = 1 if kind is Headless else 0
    found = []
    for epoch in (0.0, 0.49, 0.5, 1.0, 1.99):
        frozen.at(epoch)
        found.append(_trained_blocks(model))
    assert found == [min(stage + start, 2) for stage in (0, 0, 1, 2, 2)]
    assert frozen.depth == -1  # the embeddings, too, in the end
    short = FrozenModel(kind(tiny_encoder()), Freezing.parse("gradual"), epochs=2)
    assert short.depth == (0 if kind is Headless else 1)


def _trained_blocks(model):
    blocks = model.encoder.blocks.modules
    return sum(all(each.requires_grad for each in block.parameters()) for block in blocks)


def test_rates_fall_block_by_block():
    model = TinyEmbedder(tiny_encoder())
    arguments = FreezingArguments(layer_decay=0.5, learning_rate=0.1, weight_decay=0.01)
    frozen = FrozenModel.of(model, arguments)
    optimizer = make_optimizer([model], arguments, frozen)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    named = dict(model.encoder.transformer.named_parameters())
    assert rates[id(named["pooler.dense.weight"])] == pytest.approx(0.1)
    assert rates[id(named["encoder.layer.1.output.dense.bias"])] == pytest.approx(0.05)
    assert rates[id(named["encoder.layer.0.output.dense.weight"])] == pytest.approx(0.025)
    assert rates[id(named["embeddings.word_embeddings.weight"])] == pytest.approx(0.0125)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)  # the one that logs show
    decays = {group["weight_decay"] for group in optimizer.param_groups}
    assert decays == {0.0, 0.01} and len(rates) == len(named)


def test_the_optimizer_never_hears_of_what_is_frozen():
    model = TinyEmbedder(tiny_encoder())
    arguments = FreezingArguments(freeze="1")
    frozen = FrozenModel.of(model, arguments)
    optimizer = make_optimizer([model], arguments, frozen)
    held = {id(each) for group in optimizer.param_groups for each in group["params"]}
    assert held == {id(each) for each in model.parameters() if each.requires_grad}
    gradual = replace(arguments, freeze="gradual", epochs=2)
    frozen.give_back()
    frozen = FrozenModel.of(model, gradual)
    optimizer = make_optimizer([model], gradual, frozen)
    held = {id(each) for group in optimizer.param_groups for each in group["params"]}
    named = dict(model.encoder.transformer.named_parameters())
    assert id(named["encoder.layer.1.output.dense.bias"]) in held  # its turn comes
    assert id(named["encoder.layer.0.output.dense.bias"]) not in held
