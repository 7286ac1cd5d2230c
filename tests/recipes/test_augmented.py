"""Augmented SBERT from files to the better of two models."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy.stats import spearmanr

from tenor.data.overlap import normalise
from tenor.data.schema import read_pairs
from tenor.errors import ConfigError, DataError, TrainingError
from tenor.formats.locate import hash_model
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder
from tenor.recipes import silver_candidates
from tenor.recipes.augmented import AugmentedConfig, train_augmented
from tiny import random_texts, tiny_model, write_csv

GOLD, POOL, HELD = 16, 24, 12


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


def texts(count, seed):
    return random_texts(count, seed=seed, words=(3, 9))


def scored(path, rows, seed, name="score"):
    left, right = texts(rows, seed), texts(rows, seed + 1)
    values = np.linspace(0, 5, rows).round(2)
    if name == "label":
        values = np.arange(rows) % 2
    return write_csv(path, {"sentence1": left, "sentence2": right, name: values})


@pytest.fixture
def config(model, tmp_path):
    (tmp_path / "pool.txt").write_text("\n".join(texts(POOL, 50)) + "\n")
    return AugmentedConfig(
        gold=scored(tmp_path / "gold.csv", GOLD, 1),
        pool=str(tmp_path / "pool.txt"),
        validation=scored(tmp_path / "validation.csv", HELD, 11),
        out=str(tmp_path / "run"),
        model=model,
        top_k=3,
        batch_size=8,
        learning_rate=1e-3,
        labeller_epochs=1,
        warm_up_pairs=16,
        random_share=0.0,
        dtype="fp32",
        device="cpu",
    )


def lines(path):
    return Path(path).read_text().splitlines()


def rows_of(path):
    return pq.read_table(path).to_pydict()


def test_the_run_compares_both_models_and_keeps_the_better(config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    config = replace(config, test=scored(tmp_path / "test.csv", HELD, 21))
    result = train_augmented(config)
    run = tmp_path / "run"
    assert json.loads((run / "result.json").read_text()) == result
    for found in (result["comparison"], result["test"]):
        assert found["metric"] == "spearman_cosine"
        assert found["metrics"].keys() == {"base", "gold-only", "gold-silver"}
        change = found["gold_silver_against_gold_only"]
        gain = found["metrics"]["gold-silver"] - found["metrics"]["gold-only"]
        assert change["value"] == pytest.approx(gain, abs=1e-6)
        assert change["low"] <= change["high"]
    both, alone = (result["comparison"]["metrics"][s] for s in ("gold-silver", "gold-only"))
    assert result["kept"] == ("gold-silver" if both > alone else "gold-only")
    assert result["model"]["sha256"] == hash_model(run / "model")
    assert result["model"]["sha256"] == hash_model(run / result["kept"] / "model")
    assert Embedder.load(run / "model", device="cpu").encode("the cat").shape == (32,)
    steps = result["steps"]
    count = result["silver"]["kept"]
    rows = count + GOLD * -(-count * 2 // (3 * GOLD))  # two rows of five are gold
    assert steps["gold-only"] == steps["gold-silver"] == -(-rows // 8)
    said = caplog.text
    assert f"{result['candidates']['candidates']:,} candidate pairs will be labelled" in said
    assert ("SILVER PAIRS" in said) is not result["silver_helps"]
    assert f"model/ is the {result['kept']} one" in said


def test_silver_pairs_are_distinct_new_and_labelled_by_the_cross_encoder(config, tmp_path):
    result = train_augmented(replace(config, label_with="cross-encoder"))
    run = tmp_path / "run"
    found = rows_of(run / "silver.parquet")
    pairs = [
        frozenset(map(normalise, pair))
        for pair in zip(found["sentence1"], found["sentence2"], strict=True)
    ]
    assert len(pairs) == len(set(pairs)) == result["silver"]["labelled"]
    assert all(len(pair) == 2 for pair in pairs)
    assert set(found["source"]) == {"semantic"}
    assert set(found["labeller"]) == {hash_model(run / "cross-encoder" / "model")}
    labeller = CrossEncoder.load(run / "cross-encoder" / "model", device="cpu", dtype="fp32")
    scores = labeller.score(list(zip(found["sentence1"], found["sentence2"], strict=True)))
    assert found["score"] == pytest.approx(scores.tolist(), abs=1e-5)
    assert found["cross_encoder_score"] == found["score"]
    assert set(found["teacher_score"]) == {None}


def test_the_mean_of_cross_encoder_and_teacher_labels(config, tmp_path):
    result = train_augmented(replace(config, label_with="mean"))
    run = tmp_path / "run"
    found = rows_of(run / "silver.parquet")
    labeller = CrossEncoder.load(run / "cross-encoder" / "model", device="cpu", dtype="fp32")
    scores = labeller.score(list(zip(found["sentence1"], found["sentence2"], strict=True)))
    teacher = Embedder.load(run / "teacher" / "model", device="cpu", dtype="fp32")
    left, right = (teacher.encode(found[f"sentence{side}"], normalize=True) for side in (1, 2))
    cosine = np.clip((left * right).sum(1), 0, 1)
    assert found["teacher_score"] == pytest.approx(cosine.tolist(), abs=1e-5)
    assert found["score"] == pytest.approx(((scores + cosine) / 2).tolist(), abs=1e-5)
    hashes = (hash_model(run / stage / "model") for stage in ("cross-encoder", "teacher"))
    assert set(found["labeller"]) == {"+".join(hashes)}
    assert result["silver"]["label_with"] == "mean"


def test_what_labels_is_chosen_by_the_validation_pairs(config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    silver = train_augmented(config)["silver"]
    figures = dict(silver["labels_on_validation"])
    assert figures.pop("metric") == "spearman"
    assert silver["label_with"] == max(figures, key=figures.get)
    assert f"labelling with the {silver['label_with']}" in caplog.text
    table = read_pairs(config.validation)
    left, right = table.columns.values()
    run = tmp_path / "run"
    labeller = CrossEncoder.load(run / "cross-encoder" / "model", device="cpu", dtype="fp32")
    teacher = Embedder.load(run / "teacher" / "model", device="cpu", dtype="fp32")
    a, b = (teacher.encode(texts, normalize=True) for texts in (left, right))
    both = labeller.score(list(zip(left, right, strict=True))) + np.clip((a * b).sum(1), 0, 1)
    assert figures["mean"] == pytest.approx(spearmanr(both, table.target).statistic, abs=1e-4)


def test_no_gold_or_held_out_pair_becomes_silver(config, tmp_path):
    """The pool is made of the very pairs that are labelled: nothing may leak."""
    open(config.pool, "w").close()
    config = replace(config, warm_up_pairs=0, batch_size=64)
    for name in ("gold", "validation"):
        columns = [line.split(",") for line in lines(getattr(config, name))[1:]]
        with open(config.pool, "a") as file:
            file.writelines(f"{text.upper()}\n" for row in columns for text in row[:2])
    result = train_augmented(replace(config, strategy="random", top_k=200))
    found = rows_of(tmp_path / "run" / "silver.parquet")
    silver_pairs = {
        frozenset(map(normalise, pair))
        for pair in zip(found["sentence1"], found["sentence2"], strict=True)
    }
    count = len({normalise(line) for line in lines(config.pool)})
    labelled = {
        frozenset(map(normalise, line.split(",")[:2]))
        for name in ("gold", "validation")
        for line in lines(getattr(config, name))[1:]
    }
    assert not silver_pairs & labelled
    assert len(silver_pairs) == count * (count - 1) // 2 - len(labelled)
    assert result["candidates"]["already_labelled"] == len(labelled)


@pytest.mark.parametrize("loss", ["auto", "online-contrastive"])
def test_gold_labels_of_two_classes_work_and_are_held_out_without_a_validation_file(
    loss, config, tmp_path
):
    config = replace(
        config,
        gold=scored(tmp_path / "labelled.csv", 2 * GOLD, 1, "label"),
        validation=None,
        loss=loss,
        resample="kde",
        strategy="random",
    )
    result = train_augmented(config)
    assert result["metric"] == "average_precision"
    held = rows_of(tmp_path / "run" / "validation.parquet")
    trained = rows_of(tmp_path / "run" / "gold.parquet")
    assert len(held["label"]) + len(trained["label"]) == 2 * GOLD
    assert not set(held["sentence1"]) & set(trained["sentence1"])
    found = rows_of(tmp_path / "run" / "silver.parquet")
    assert sum(found["kept"]) == result["silver"]["kept"] <= result["silver"]["labelled"]


def test_a_given_cross_encoder_labels_and_none_is_trained(config, tmp_path, model):
    labeller = CrossEncoder.load(model, device="cpu", dtype="fp32", seed=5)
    labeller.save(tmp_path / "labeller")
    result = train_augmented(replace(config, cross_encoder=str(tmp_path / "labeller")))
    assert not (tmp_path / "run" / "cross-encoder").exists()
    assert result["labeller"]["sha256"] == hash_model(tmp_path / "labeller")


def test_what_cannot_label_is_refused_before_anything_is_done(config, tmp_path, model):
    with pytest.raises(ConfigError, match=r"cross_encoder.*no classifier"):
        train_augmented(replace(config, cross_encoder=model))
    CrossEncoder.load(model, device="cpu", classes=3).save(tmp_path / "three")
    with pytest.raises(ConfigError, match=r"cross_encoder.*3 labels"):
        train_augmented(replace(config, cross_encoder=str(tmp_path / "three")))
    assert not (tmp_path / "run" / "silver").exists()


def test_a_retriever_can_be_trained_on_the_gold_pairs(config, tmp_path):
    result = train_augmented(config)
    assert (tmp_path / "run" / "teacher" / "model").is_dir()
    found = rows_of(tmp_path / "run" / "silver.parquet")
    retriever = Embedder.load(tmp_path / "run" / "teacher" / "model", device="cpu", dtype="fp32")
    left, right = (retriever.encode(found[f"sentence{side}"], normalize=True) for side in (1, 2))
    assert found["retrieval_score"] == pytest.approx((left * right).sum(1).tolist(), abs=1e-5)
    assert result["candidates"]["candidates"] == len(left)


def test_without_a_warm_up_the_cross_encoder_starts_from_the_model(config, tmp_path):
    train_augmented(replace(config, warm_up_pairs=0))
    stored = (tmp_path / "run" / "cross-encoder" / "config.toml").read_text()
    assert f'model = "{config.model}"' in stored
    assert not (tmp_path / "run" / "warm-up").exists()


def test_the_warm_up_learns_the_teachers_cosine_of_some_candidates(config, tmp_path):
    train_augmented(config)
    taught = rows_of(tmp_path / "run" / "warm-up.parquet")
    assert len(taught["score"]) == 16
    teacher = Embedder.load(tmp_path / "run" / "teacher" / "model", device="cpu", dtype="fp32")
    left, right = (teacher.encode(taught[f"sentence{side}"], normalize=True) for side in (1, 2))
    assert taught["score"] == pytest.approx((left * right).sum(1).clip(0, 1).tolist(), abs=1e-5)
    stored = (tmp_path / "run" / "cross-encoder" / "config.toml").read_text()
    assert "warm-up" in stored


def test_wrong_settings_and_data_are_named(config, tmp_path):
    for field, value in {
        "strategy": "magic", "resample": "yes", "hold_out": 0.0, "top_k": 0, "loss": "triplet",
        "engine": "spark", "max_pairs": -1, "gold": "", "workers": 2,
        "labeller_max_steps": 0,
    }.items():  # fmt: skip
        with pytest.raises(ConfigError, match=field):
            replace(config, **{field: value})
    with pytest.raises(ConfigError, match=r"loss.*gold pairs are scored"):
        train_augmented(replace(config, loss="online-contrastive", out=str(tmp_path / "a")))
    pairs = write_csv(tmp_path / "pairs.csv", {"anchor": ["a", "b"], "positive": ["c", "d"]})
    with pytest.raises(DataError, match="gold pairs are needed"):
        train_augmented(replace(config, gold=pairs, out=str(tmp_path / "b")))


def test_it_does_not_run_under_torchrun(config, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="without torchrun"):
        train_augmented(config)


def test_a_finished_run_is_not_done_again_and_changed_data_is_refused(config, tmp_path):
    result = train_augmented(config)
    run = tmp_path / "run"
    with pytest.raises(ConfigError, match="already holds a run"):
        train_augmented(config)
    assert train_augmented(replace(config, resume=True)) == result
    (run / "result.json").unlink()
    again = train_augmented(replace(config, resume=True))
    assert again["model"] == result["model"]
    (run / "result.json").unlink()
    with open(config.pool, "a") as file:
        file.write("something new\n")
    with pytest.raises(TrainingError, match="data changed"):
        train_augmented(replace(config, resume=True))


SCRIPT = """
import sys
from tenor.recipes import silver_candidates
silver_candidates.CHUNK = silver_candidates.PROBE = 4
from tenor.recipes.augmented import AugmentedConfig, train_augmented
import json
train_augmented(AugmentedConfig(**json.loads(sys.argv[1])))
"""


@pytest.mark.slow
def test_killed_while_labelling_and_resumed_it_ends_in_the_same_bytes(
    config, tmp_path, monkeypatch
):
    monkeypatch.setattr(silver_candidates, "CHUNK", 4)
    monkeypatch.setattr(silver_candidates, "PROBE", 4)
    untouched = train_augmented(replace(config, out=str(tmp_path / "untouched")))

    def start(**changes):
        settings = json.dumps({**asdict(config), **changes})
        # As many threads as this process has: their number decides the order of sums.
        environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, settings], env=environment, stderr=subprocess.PIPE
        )

    parts = tmp_path / "run" / "silver" / "labels"
    process = start()
    end = time.monotonic() + 120
    while len(list(parts.glob("part-*"))) < 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stored = {path.name: path.stat().st_mtime_ns for path in parts.glob("part-*")}
    assert 3 <= len(stored) < untouched["silver"]["labelled"] / 4
    process = start(resume=True)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    now = {path.name: path.stat().st_mtime_ns for path in parts.glob("part-*")}
    assert stored.items() <= now.items()
    for name in ("model/model.safetensors", "gold-only/model/model.safetensors"):
        one, other = (tmp_path / run / name for run in ("run", "untouched"))
        assert one.read_bytes() == other.read_bytes()
    one, other = (rows_of(tmp_path / run / "silver.parquet") for run in ("run", "untouched"))
    assert one == other
