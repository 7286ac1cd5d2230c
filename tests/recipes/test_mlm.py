"""Masked language modelling as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForMaskedLM, AutoTokenizer

from tenor.errors import ConfigError
from tenor.models.embedder import Embedder
from tenor.recipes.mlm import MlmConfig, train_mlm
from tenor.recipes.mlm_from_scratch import VOCABULARY
from tiny import random_texts, tiny_model

TEXTS = random_texts(80, words=(3, 40))


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return str(path)


def config(tmp_path, corpus, **options):
    settings = {
        "train": corpus,
        "out": str(tmp_path / "run"),
        "epochs": 4,
        "batch_size": 8,
        "learning_rate": 3e-3,
        "device": "cpu",
        "dtype": "fp32",
        "hold_out": 0.2,
    }
    return MlmConfig(**{**settings, **options})


SCRATCH = {"from_scratch": True, "layers": 2, "hidden": 32, "heads": 4, "vocab_size": 300}


def test_from_scratch_gives_a_model_that_transformers_reads(tmp_path, corpus, caplog):
    with caplog.at_level("INFO", "tenor"):
        result = train_mlm(config(tmp_path, corpus, **SCRATCH, max_seq_length=16))
    before, after = (result[when]["metrics"]["perplexity"] for when in ("before", "after"))
    assert after < 0.7 * before
    assert result["difference"]["verdict"] == "better"
    assert "perplexity of held-out text" in caplog.text
    assert result["truncated"] == 0
    assert result["distinct_blocks"] > result["rows"], "long documents make several blocks"
    folder = tmp_path / "run" / "model"
    assert AutoModelForMaskedLM.from_pretrained(folder).config.hidden_size == 32
    tokens = AutoTokenizer.from_pretrained(folder).tokenize("the cat sleeps near the river")
    assert "[UNK]" not in tokens
    assert Embedder.load(folder, device="cpu").encode(TEXTS[:2]).shape == (2, 32)
    assert "trained from scratch" in (folder / "README.md").read_text()


def test_several_seeds_are_compared_by_the_share_held_out_by_default(tmp_path, corpus):
    options = {"hold_out": None, "epochs": 1, "max_seq_length": 16}
    result = train_mlm(config(tmp_path, corpus, **SCRATCH, **options, seeds=2))
    assert len(result["seeds"]) == 2


def test_the_record_names_the_file_that_was_measured(tmp_path, corpus):
    held = tmp_path / "held.txt"
    held.write_text("the horse runs near the river\nthe bird sings on the hill\n")
    options = {"hold_out": None, "validation": str(held), "epochs": 1, "max_seq_length": 16}
    result = train_mlm(config(tmp_path, corpus, **SCRATCH, **options))
    assert result["after"]["data"]["name"] == f"held-out text of {held}"


@pytest.mark.slow
def test_of_two_processes_one_makes_the_vocabulary_and_both_train_with_it(tmp_path, corpus):
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script, out = Path(__file__).with_name("mlm_from_scratch_processes.py"), tmp_path / "run"
    out.mkdir()
    (out / "config.toml").touch()
    (out / VOCABULARY).write_text('["of an earlier run that failed"]')
    found = subprocess.run(
        [*run, str(script), corpus, str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("done") == 2
    vocabulary = json.loads((out / VOCABULARY).read_text())
    tokens = AutoTokenizer.from_pretrained(out / "model").get_vocab()
    assert sorted(tokens, key=tokens.__getitem__) == vocabulary


def test_goes_on_from_an_embedders_encoder_with_whole_words(tmp_path, corpus):
    model = tiny_model(tmp_path / "embedder")
    result = train_mlm(config(tmp_path, corpus, model=model, whole_words=True))
    assert result["after"]["metrics"]["perplexity"] < result["before"]["metrics"]["perplexity"]
    assert result["loss"].endswith("whole words")
    again = train_mlm(
        config(tmp_path, corpus, model=str(tmp_path / "run" / "model"), out=str(tmp_path / "more"),
               epochs=1)
    )  # fmt: skip
    # The head came along: it starts where the first run ended.
    first = result["after"]["metrics"]["perplexity"]
    assert again["before"]["metrics"]["perplexity"] == pytest.approx(first, rel=0.5)


def test_a_resumed_run_ends_in_the_same_weights(tmp_path, corpus, monkeypatch):
    from tenor.training.trainer import Trainer

    options = {**SCRATCH, "save_every": 4, "epochs": 2}
    train_mlm(config(tmp_path, corpus, **options, out=str(tmp_path / "whole")))
    # Made twice, of the same texts, two vocabularies may differ where tokens are equally frequent.
    stored = json.loads((tmp_path / "whole" / VOCABULARY).read_text())
    numbers = {token: number for number, token in enumerate(stored)}
    monkeypatch.setattr("tokenizers.BertWordPieceTokenizer.get_vocab", lambda self: numbers)
    step = Trainer.training_step

    def dies(self, *args, **options):
        if self.state.global_step == 6:
            raise RuntimeError("killed")
        return step(self, *args, **options)

    options["out"] = str(tmp_path / "killed")
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "training_step", dies)
        with pytest.raises(RuntimeError, match="killed"):
            train_mlm(config(tmp_path, corpus, **options))

    def made_anew(*arguments, **options):
        raise AssertionError("a resumed run reads its vocabulary: made anew, it would be another")

    monkeypatch.setattr("tokenizers.BertWordPieceTokenizer.train_from_iterator", made_anew)
    train_mlm(config(tmp_path, corpus, **options, resume=True))
    weights = [
        (tmp_path / name / "model" / "model.safetensors").read_bytes()
        for name in ("whole", "killed")
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"mask_share": 0.0}, "mask_share"),
        ({"heads": 5}, "heads"),
        ({"layers": 0}, "layers"),
        ({"vocab_size": 10}, "vocab_size"),
        ({"chunk_tokens": 100}, "chunk_tokens"),
        ({"layers": 2}, "layers"),
        ({"vocab_size": 1000}, "vocab_size"),
        ({"from_scratch": True, "model": "bert-base-uncased"}, "model"),
        ({"hold_out": 0.0, "seeds": 2}, "seeds"),
    ],
)
def test_settings_that_cannot_be_are_named(wrong, field):
    with pytest.raises(ConfigError, match=f"^{field} ="):
        MlmConfig(**{"train": "x.txt", "out": "run", **wrong})
