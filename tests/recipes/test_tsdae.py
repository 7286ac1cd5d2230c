"""TSDAE as a user runs it: a corpus in, an embedder and its figures out."""

import json

import numpy as np
import pytest

from tenor.errors import ConfigError, DataError, TenorError
from tenor.models.embedder import Embedder
from tenor.recipes.tsdae import TsdaeConfig, train_tsdae
from tiny import random_texts, tiny_encoder, tiny_model, tiny_tokenizer, write_csv

TEXTS = random_texts(60, words=(3, 12))


@pytest.fixture
def encoder(tmp_path):
    """A plain encoder's folder: no pooling, no modules.json."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    tiny_encoder(std=0.1, dropout=0.1).save(folder)
    tiny_tokenizer().save(folder)
    return str(folder)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join([*TEXTS, "", TEXTS[0]]) + "\n")
    return str(path)


def config(tmp_path, encoder, corpus, **options):
    settings = {
        "train": corpus,
        "out": str(tmp_path / "run"),
        "model": encoder,
        "learning_rate": 1e-3,
        "epochs": 3,
        "device": "cpu",
        "dtype": "fp32",
        "max_seq_length": 20,
    }
    return TsdaeConfig(**{**settings, **options})


def test_makes_an_embedder_that_rebuilds_better(tmp_path, encoder, corpus, caplog):
    with caplog.at_level("INFO", "tenor"):
        result = train_tsdae(config(tmp_path, encoder, corpus, hold_out=0.2))
    assert "1 repeats and 1 empty or bad rows left out" in caplog.text
    assert "warning" not in caplog.text
    assert result["after"]["metrics"]["perplexity"] < result["before"]["metrics"]["perplexity"]
    assert result["difference"]["verdict"] == "better"
    low, high = result["after"]["intervals"]["perplexity"]
    assert low < result["after"]["metrics"]["perplexity"] < high
    model = Embedder.load(tmp_path / "run" / "model", device="cpu")
    assert model.pooling.modes == ("cls",)
    assert model.encode(TEXTS[:3]).shape == (3, 32)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["steps"] == result["steps"]
    assert "reconstruct" not in (tmp_path / "run" / "config.toml").read_text()


def test_warns_on_an_embedder_says_why_and_goes_on(tmp_path, corpus, caplog):
    model = tiny_model(tmp_path / "embedder")
    with caplog.at_level("INFO", "tenor"):
        train_tsdae(config(tmp_path, model, corpus, epochs=1, hold_out=0.0))
    warning = next(r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert "trained for similarity" in warning
    assert "undoes" in warning
    trained = Embedder.load(tmp_path / "run" / "model", device="cpu")
    assert trained.pooling.modes == ("mean",), "an embedder keeps its own pooling"


def test_measures_the_embedder_where_there_is_data_for_it(tmp_path, encoder, corpus):
    scored = write_csv(
        tmp_path / "scored.csv",
        {
            "sentence1": TEXTS[:10],
            "sentence2": random_texts(10, seed=9),
            "score": np.linspace(0, 1, 10).tolist(),
        },
    )
    result = train_tsdae(config(tmp_path, encoder, corpus, epochs=1, evaluate=scored))
    assert result["metric"] == "spearman_cosine"
    assert {"spearman_cosine", "perplexity"} <= set(result["after"]["metrics"])
    assert "also occur" in result["overlap"]


@pytest.mark.parametrize("noise", ["mask", "replace", "swap"])
def test_other_noise_untied_and_other_pooling(tmp_path, encoder, corpus, noise):
    result = train_tsdae(
        config(
            tmp_path, encoder, corpus,
            noise=noise, noise_ratio=0.3, level="token", tie=False, pooling="mean", epochs=1,
        )
    )  # fmt: skip
    assert result["train_loss"] > 0
    assert Embedder.load(tmp_path / "run" / "model", device="cpu").pooling.modes == ("mean",)


def test_a_resumed_run_ends_in_the_same_weights(tmp_path, encoder, corpus, monkeypatch):
    from tenor.training.trainer import Trainer

    whole = config(tmp_path, encoder, corpus, out=str(tmp_path / "whole"), save_every=3)
    train_tsdae(whole)
    step = Trainer.training_step

    def dies(self, *args, **options):
        if self.state.global_step == 5:
            raise RuntimeError("killed")
        return step(self, *args, **options)

    options = {"out": str(tmp_path / "killed"), "save_every": 3}
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "training_step", dies)
        with pytest.raises(RuntimeError, match="killed"):
            train_tsdae(config(tmp_path, encoder, corpus, **options))
    train_tsdae(config(tmp_path, encoder, corpus, **options, resume=True))
    weights = [
        (tmp_path / name / "model" / "model.safetensors").read_bytes()
        for name in ("whole", "killed")
    ]
    assert weights[0] == weights[1]


def test_a_masked_language_models_head_starts_the_decoder(tmp_path, corpus):
    from transformers import AutoConfig, BertForMaskedLM

    from tenor.models.masked_lm import MaskedLM
    from tenor.recipes import tsdae
    from tiny import CONFIGS

    whole = BertForMaskedLM(AutoConfig.for_model("bert", **CONFIGS["bert"]))
    MaskedLM.of(whole, tiny_tokenizer()).save(tmp_path / "mlm")
    head = tsdae._stored_head(tmp_path / "mlm")
    assert head is not None
    assert (head.dense.weight == whole.cls.predictions.transform.dense.weight).all()
    result = train_tsdae(config(tmp_path, str(tmp_path / "mlm"), corpus, epochs=1))
    assert result["steps"] > 0


def test_a_run_that_is_there_is_not_overwritten(tmp_path, encoder, corpus):
    settings = config(tmp_path, encoder, corpus, epochs=1, hold_out=0.0)
    train_tsdae(settings)
    with pytest.raises(TenorError, match="--resume"):
        train_tsdae(settings)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"noise": "shout"}, "noise"),
        ({"noise_ratio": 1.0}, "noise_ratio"),
        ({"hold_out": 1.0}, "hold_out"),
        ({"chunk_tokens": 100}, "chunk_tokens"),
        ({"hold_out": 0.1, "validation": "x.txt"}, "hold_out"),
        ({"device": "tpu"}, "device"),
        ({"on_bad_row": "hide"}, "on_bad_row"),
        ({"train": ""}, "train"),
    ],
)
def test_settings_that_cannot_be_are_named(wrong, field):
    with pytest.raises(ConfigError, match=f"^{field} ="):
        TsdaeConfig(**{"train": "x.txt", "out": "run", **wrong})


def test_a_corpus_without_text_is_an_error(tmp_path, encoder):
    path = tmp_path / "blank.txt"
    path.write_text("\n\n  \n")
    with pytest.raises(DataError, match="no text"):
        train_tsdae(config(tmp_path, encoder, str(path)))


def test_a_value_that_is_no_text_is_named_by_line(tmp_path, encoder):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a cat"}\n{"text": 3}\n')
    with pytest.raises(DataError, match=r"rows.jsonl:2, column 'text'"):
        train_tsdae(config(tmp_path, encoder, str(path)))
