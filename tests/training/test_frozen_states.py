"""The prefix cache: the same training as without it, made once, and never of anything else."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from tenor.errors import ConfigError
from tenor.models.encoder import Encoder
from tenor.training.freezing import FreezingArguments
from tenor.training.frozen_states import FOLDER, with_states
from tenor.training.objectives import make_objective
from tenor.training.prefix_cache import PrefixCache
from tenor.training.run_log import RunLog
from tenor.training.steps import GradCache, Plain
from tenor.training.trainer import Trainer
from tiny import PADDED, TinyEmbedder, tiny_data, tiny_encoder

DATA = tiny_data("pairs", 16)


class Headless(TinyEmbedder):
    """Says what it does not use, as `Embedder` does."""

    def unused_parameters(self):
        named = self.encoder.transformer.named_parameters()
        return [each for name, each in named if "pooler" in name]


def model_of(name="bert", *, seed=0, dtype="fp32"):
    return Headless(tiny_encoder(name, dropout=0.1, std=0.1, seed=seed, dtype=dtype))


def make(folder, *, name="bert", chunk=0, data=DATA, callbacks=None, **options):
    defaults = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "log_every": 1, "freeze": "1"}
    arguments = FreezingArguments(**(defaults | options))
    torch.manual_seed(0)
    objective = make_objective("mnr", dimensions=32)
    step = GradCache(objective, chunk) if chunk else Plain(objective)
    return Trainer(
        model_of(name), step, data, arguments, folder, objective=objective, callbacks=callbacks
    )


def losses(trainer):
    trainer.train()
    found = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    trainer.finish()
    return np.array(found)


def states_of(model, data, depth, folder, *, in_memory=1 << 30, **options):
    arguments = FreezingArguments(epochs=3, **options)
    data, facts = with_states(model, data, depth, arguments, folder, in_memory=in_memory)
    return data.ids.states, facts


@pytest.mark.parametrize("name", ["bert", "modernbert", *PADDED])
def test_the_loss_is_the_one_without(name, tmp_path):
    plain = make(tmp_path / "plain", name=name, prefix_cache="off")
    cached = make(tmp_path / "cached", name=name)
    assert plain.prefix_cache is None and cached.prefix_cache["depth"] == 1
    expected, found = losses(plain), losses(cached)
    assert np.abs(found - expected).max() < 1e-5
    assert np.ptp(expected) > 1e-3  # it learns, so there is something to differ in


def test_gradient_caching_reads_the_states_too(tmp_path):
    expected = losses(make(tmp_path / "plain", chunk=20, prefix_cache="off"))
    assert np.abs(losses(make(tmp_path / "cached", chunk=20)) - expected).max() < 1e-5


def test_frozen_blocks_run_once_a_text_from_the_first_epoch_on(tmp_path, monkeypatch):
    seen = []
    whole = Encoder._forward

    def watched(self, batch, stop=None):
        seen.append((stop, batch.texts, batch.states is not None))
        return whole(self, batch, stop)

    trainer = make(tmp_path)
    monkeypatch.setattr(Encoder, "_forward", watched)
    trainer.train()
    assert seen and all(has_states for _, _, has_states in seen)
    seen.clear()
    make(tmp_path / "other", freeze="last-1")
    filled = sum(texts for stop, texts, _ in seen if stop == 1 and texts > 4)
    assert filled == len(DATA.ids)  # in one large batch
    trainer.finish()


def test_frozen_weights_have_no_gradient_and_no_moments(tmp_path):
    trainer = make(tmp_path)
    before = {name: each.clone() for name, each in trainer.model.named_parameters()}
    trainer.train()
    moments = {id(each) for each in trainer.optimizer.optimizer.state}
    for name, each in trainer.model.named_parameters():
        frozen = "embeddings" in name or "layer.0" in name
        assert (id(each) in moments) == (not frozen and "pooler" not in name), name
        if frozen:
            assert each.grad is None and torch.equal(each, before[name]), name
    trainer.finish()
    assert all(each.requires_grad for each in trainer.model.parameters())


def test_a_run_that_is_stopped_goes_on_to_the_same_weights(tmp_path):
    def stop_at(step):
        class Stop(RunLog):
            def on_step_end(self, args, state, control, **kwargs):
                if state.global_step == step:
                    control.should_save = control.should_training_stop = True

        return Stop(tmp_path / "log.jsonl", lambda line: None)

    for freeze, decay in (("1", 0.8), ("gradual:0.5", 1.0)):
        folder = tmp_path / freeze
        whole = make(folder / "whole", freeze=freeze, layer_decay=decay)
        whole.train()
        whole.finish()
        stopped = make(folder / "cut", freeze=freeze, layer_decay=decay, callbacks=[stop_at(5)])
        stopped.train()
        stopped.abandon()
        again = make(folder / "cut", freeze=freeze, layer_decay=decay)
        again.train(resume_from_checkpoint=again.latest_checkpoint())
        again.finish()
        expected = whole.model.state_dict()
        for name, value in again.model.state_dict().items():
            assert torch.equal(value, expected[name]), (freeze, name)


def test_gradual_unfreezing_trains_from_the_top(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    trainer = make(tmp_path, freeze="gradual", epochs=2)  # the last block from the start
    before = {name: each.clone() for name, each in trainer.model.named_parameters()}
    trainer.train()
    changed = {
        n for n, each in trainer.model.named_parameters() if not torch.equal(each, before[n])
    }
    assert any("layer.1" in name for name in changed) and any("layer.0" in n for n in changed)
    assert not any("embeddings" in name for name in changed)  # a third epoch would
    assert "step 4:" in caplog.text and "step 3:" not in caplog.text
    assert "parameters are trained at first" in caplog.text
    trainer.finish()


def test_nothing_to_train_is_refused_and_the_model_given_back(tmp_path):
    model = model_of()
    objective = make_objective("mnr", dimensions=32)
    arguments = FreezingArguments(freeze="2", batch_size=4)
    with pytest.raises(ConfigError, match="last-1"):
        Trainer(model, Plain(objective), DATA, arguments, tmp_path, objective=objective)
    assert all(each.requires_grad for each in model.parameters())


def test_it_is_made_only_where_it_pays(tmp_path):
    assert make(tmp_path / "one", epochs=1).prefix_cache is None
    assert make(tmp_path / "low", freeze="embeddings").prefix_cache is None
    assert make(tmp_path / "off", prefix_cache="off").prefix_cache is None
    folder = str(tmp_path / "shared")
    assert make(tmp_path / "asked", epochs=1, prefix_cache=folder).prefix_cache["place"] == folder


def test_several_processes_do_without(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert states_of(model_of(), DATA, 1, tmp_path) == (None, None)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_on_disk_as_in_memory(dtype, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    model = model_of(dtype=dtype).eval()
    memory, facts = states_of(model, DATA, 1, tmp_path)
    assert facts["place"] == "memory" and not list(tmp_path.iterdir())
    disk, told = states_of(model, DATA, 1, tmp_path, in_memory=10)
    assert told["place"] == str(tmp_path / FOLDER) and told["bytes"] == facts["bytes"]
    assert told["dtype"] == str(model.encoder.dtype).removeprefix("torch.")
    assert memory.vectors.dtype == disk.vectors.dtype == getattr(torch, told["dtype"])
    assert torch.equal(memory.vectors, disk.vectors)
    assert "in memory, made in" in caplog.text and str(tmp_path / FOLDER) in caplog.text
    again, _ = states_of(model, DATA, 1, tmp_path, in_memory=10)
    assert torch.equal(memory.vectors, again.vectors) and ", found" in caplog.text


def test_the_cache_of_a_run_is_gone_when_the_run_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr("tenor.training.trainer.with_states", lambda *given: with_states(
        *given, in_memory=10))  # fmt: skip
    trainer = make(tmp_path)
    assert list((tmp_path / FOLDER).glob("prefix-1-*/states.bin"))
    trainer.train()
    trainer.finish()
    assert not (tmp_path / FOLDER).exists()


def test_a_change_of_anything_makes_it_anew(tmp_path):
    folder = tmp_path / "cache"

    def found(model, data=DATA, depth=1):
        cache = PrefixCache(model.encoder, depth, data.ids, data.filler_id)
        return cache.find(folder)

    model = model_of().eval()
    states_of(model, DATA, 1, tmp_path, prefix_cache=str(folder))
    assert found(model) is not None
    assert found(model_of(seed=1)) is None  # weights of the frozen part
    assert found(model, tiny_data("pairs", 16, seed=7)) is None  # texts
    assert found(model, replace(DATA, ids=replace(DATA.ids, ids=DATA.ids.ids + 1))) is None
    assert found(model, depth=2) is None
    assert found(model_of("roberta")) is None
    other = model_of()
    with torch.no_grad():
        other.encoder.blocks.modules[1].output.dense.weight.add_(1.0)
    assert found(other) is not None  # what is trained may change
    with torch.no_grad():
        other.encoder.blocks.modules[0].output.dense.bias[0] += 1e-6
    assert found(other) is None
    if model_of(dtype="bf16").encoder.dtype == torch.bfloat16:
        assert found(model_of(dtype="bf16")) is None


@pytest.mark.parametrize("damage", ["short", "header", "gone"])
def test_a_damaged_one_is_made_anew(damage, tmp_path):
    model, folder = model_of().eval(), tmp_path / "cache"
    expected, _ = states_of(model, DATA, 1, tmp_path, prefix_cache=str(folder))
    expected = expected.vectors.clone()
    (place,) = folder.iterdir()
    if damage == "short":
        (place / "states.bin").write_bytes(b"123")
    elif damage == "header":
        header = json.loads((place / "header.json").read_text())
        (place / "header.json").write_text(json.dumps({**header, "texts": "others"}))
    else:
        (place / "header.json").unlink()
    again, facts = states_of(model, DATA, 1, tmp_path, prefix_cache=str(folder))
    assert torch.equal(again.vectors, expected) and facts["made_from_depth"] == 0


def test_a_deeper_one_is_made_from_a_shallower_one(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="tenor")
    model, folder = model_of("modernbert").eval(), str(tmp_path / "cache")
    states_of(model, DATA, 1, tmp_path, prefix_cache=folder)
    deeper, facts = states_of(model, DATA, 3, tmp_path, prefix_cache=folder)
    assert facts["made_from_depth"] == 1 and "from that of 1" in caplog.text
    direct, _ = states_of(model, DATA, 3, tmp_path)
    assert torch.allclose(deeper.vectors, direct.vectors, atol=1e-5)


def test_a_fill_that_fails_leaves_nothing(tmp_path, monkeypatch):
    model, folder = model_of().eval(), tmp_path / "cache"
    states = Encoder.states

    def fails(self, batch, depth):
        if batch.texts > 1:
            raise RuntimeError("killed")
        return states(self, batch, depth)

    monkeypatch.setattr(Encoder, "states", fails)
    monkeypatch.setattr(Encoder, "resumes", lambda self, depth: True)
    with pytest.raises(RuntimeError, match="killed"):
        states_of(model, DATA, 1, tmp_path, prefix_cache=str(folder))
    assert not list(folder.iterdir())


def test_a_full_disk_is_told_before_it_is_full(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="tenor")
    usage = type("Usage", (), {"free": 100})()
    monkeypatch.setattr("tenor.training.frozen_states.shutil.disk_usage", lambda path: usage)
    assert states_of(model_of(), DATA, 1, tmp_path, in_memory=10) == (None, None)
    assert "no prefix cache: it would take" in caplog.text


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="prefix_cache"):
        states_of(model_of(), DATA, 1, tmp_path, prefix_cache=str(tmp_path / "file"))


def test_an_encoder_that_cannot_go_on_trains_without(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    monkeypatch.setattr(Encoder, "resumes", lambda self, depth: False)
    trainer = make(tmp_path)
    assert trainer.prefix_cache is None and "cannot go on from its block 1" in caplog.text
    assert len(losses(trainer)) == 8
