"""Contrastive training from files to a saved model, for each kind of data."""

import json
import logging
import re
import tomllib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from tenor import ContrastiveConfig, Embedder, train_contrastive
from tenor.data.schema import read_pairs
from tenor.errors import ConfigError, DataError, ModelError
from tenor.evaluation.similarity import EmbeddingSimilarity
from tenor.evaluation.validation import validation
from tenor.formats.locate import hash_model
from tenor.recipes.contrastive import rate_of
from tiny import random_texts, tiny_model, write_csv

ROWS = 16
KEYS = {
    "loss", "rows", "skipped", "distinct_texts", "truncated", "steps", "best_step", "train_loss",
    "metric", "before", "after", "difference", "overlap", "base_model", "data", "versions",
    "machine", "dtype", "seconds", "model", "chosen",
    "trained_parameters", "prefix_cache", "train_seconds", "stopped", "notes",
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture
def config(model, tmp_path):
    return ContrastiveConfig(
        train=write(tmp_path, "pairs"),
        out=str(tmp_path / "run"),
        model=model,
        batch_size=8,
        learning_rate=1e-3,
        dtype="fp32",
        device="cpu",
    )


def columns(kind, rows=ROWS, seed=0):
    def texts(number):
        return random_texts(rows, seed=seed + number, words=(3, 9))

    half = (np.arange(rows) % 2).tolist()
    if kind == "nli":  # every premise stands twice
        premises = [text for text in texts(1)[: rows // 2] for _ in range(2)]
        labels = [("entailment", "contradiction")[i] for i in half]
        return {"premise": premises, "hypothesis": texts(2), "label": labels}
    return {
        "pairs": lambda: {"anchor": texts(1), "positive": texts(2)},
        "triplets": lambda: {"anchor": texts(1), "positive": texts(2), "negative": texts(3)},
        "scored": lambda: {
            "sentence1": texts(1),
            "sentence2": texts(2),
            "score": np.linspace(0, 5, rows).round(2).tolist(),
        },
        "labelled_pairs": lambda: {"sentence1": texts(1), "sentence2": texts(2), "label": half},
        "labelled_texts": lambda: {
            "text": texts(1),
            "label": ["xyzw"[i % 4] for i in range(rows)],
        },
    }[kind]()


def write(folder, kind, name=None, **options):
    return write_csv(folder / f"{name or kind}.csv", columns(kind, **options))


KINDS = {
    "pairs": ("mnr", "ndcg@10"),
    "triplets": ("mnr", "ndcg@10"),
    "scored": ("cosent", "spearman_cosine"),
    "nli": ("mnr", "ndcg@10"),
    "labelled_pairs": ("online-contrastive", "average_precision"),
    "labelled_texts": ("supervised-contrastive", "accuracy"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_trains_and_is_measured(kind, config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    loss, metric = KINDS[kind]
    config = replace(
        config,
        train=write(tmp_path, kind, rows=2 * ROWS if kind == "nli" else ROWS),
        validation=write(tmp_path, kind, "validation", seed=50),
    )
    result = train_contrastive(config)

    run = tmp_path / "run"
    stored = json.loads((run / "result.json").read_text())
    assert stored == result
    assert stored.keys() == KEYS
    assert (result["loss"], result["metric"]) == (loss, metric)
    assert result["steps"] == 2
    for side in ("before", "after"):
        value, (low, high) = (result[side][key][metric] for key in ("metrics", "intervals"))
        assert low <= high
        assert 0 <= abs(value) <= 1
    change = result["difference"]
    gain = result["after"]["metrics"][metric] - result["before"]["metrics"][metric]
    assert change["value"] == pytest.approx(gain, abs=1e-6)
    assert change["low"] <= change["high"]
    assert change["verdict"] in ("better", "worse", "no clear difference")
    # Some figures are of no single items, which could be written down one by one.
    assert {path.name for path in run.iterdir()} - {"predictions.parquet"} == {
        "config.toml", "data.json", "log.jsonl", "result.json", "model", "checkpoints",
        "command.txt", "map.parquet", "report.html",
    }  # fmt: skip

    trained = Embedder.load(run / "model", device="cpu", dtype="fp32")
    assert trained.sha256 == result["model"]["sha256"] == hash_model(run / "model")
    start = Embedder.load(config.model, device="cpu", dtype="fp32")
    assert result["base_model"] == {"name": config.model, "sha256": start.sha256}
    assert np.abs(trained.encode("the cat") - start.encode("the cat")).max() > 1e-4
    assert trained.normalize
    card = (run / "model" / "README.md").read_text()
    assert metric in card
    assert loss in card
    log = caplog.text
    for said in (f"loss {loss}", "before: ", "after: ", "evaluation texts"):
        assert said in log
    assert re.search(r": about [\d.]+ (s|min|h) and [\d.]+ GiB", log)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_weights_that_are_kept_are_measured_once(dtype, config, tmp_path, monkeypatch):
    counted = []
    measure = EmbeddingSimilarity.__call__
    monkeypatch.setattr(
        EmbeddingSimilarity,
        "__call__",
        lambda self, model: counted.append(1) or measure(self, model),
    )
    held_out = write(tmp_path, "scored", "validation", seed=50)
    result = train_contrastive(
        replace(config, train=write(tmp_path, "scored"), validation=held_out, epochs=3, dtype=dtype)
    )
    assert len(counted) == 1 + 3  # before, and after each epoch
    saved = Embedder.load(tmp_path / "run" / "model", dtype=dtype, device="cpu")
    again, _ = validation(read_pairs(held_out))
    assert result["after"]["metrics"] == again(saved).metrics


def test_the_best_weights_keep_the_figures_of_their_own_step(config, tmp_path, monkeypatch):
    measure, given = EmbeddingSimilarity.__call__, []

    def worse_each_time(self, model):
        given.append(1.0 / (len(given) + 1))
        found = measure(self, model)
        return replace(found, metrics={**found.metrics, "spearman_cosine": given[-1]})

    monkeypatch.setattr(EmbeddingSimilarity, "__call__", worse_each_time)
    held_out = write(tmp_path, "scored", "validation", seed=50)
    result = train_contrastive(
        replace(config, train=write(tmp_path, "scored"), validation=held_out, epochs=4)
    )
    assert len(given) == 1 + 4 and result["best_step"] == 2
    assert result["after"]["metrics"]["spearman_cosine"] == 0.5


@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        ("scored", "cosine"),
        ("scored", "mnr"),
        ("nli", "softmax"),
        ("nli", "triplet"),
        ("labelled_pairs", "softmax"),
        ("labelled_pairs", "contrastive"),
        ("labelled_pairs", "mnr"),
        ("triplets", "triplet"),
    ],
)
def test_other_losses_for_the_same_data(kind, loss, config, tmp_path):
    result = train_contrastive(replace(config, train=write(tmp_path, kind), loss=loss))
    assert result["loss"] == loss
    assert result["before"] is result["after"] is result["metric"] is None
    assert np.isfinite(result["train_loss"])


def test_a_loss_that_does_not_fit_the_data_is_refused(config, tmp_path):
    with pytest.raises(ConfigError, match=r"loss = 'cosent'.*mnr"):
        train_contrastive(replace(config, loss="cosent"))


def test_the_same_settings_give_the_same_weights(config, tmp_path):
    """With a new layer (the softmax loss's) and dropout, in one process."""
    config = replace(config, train=write(tmp_path, "labelled_pairs"), loss="softmax")
    for name in ("one", "two"):
        train_contrastive(replace(config, out=str(tmp_path / name)))
    one, two = ((tmp_path / n / "model" / "model.safetensors").read_bytes() for n in ("one", "two"))
    assert one == two


def test_the_learning_rate_goes_by_the_width_and_is_recorded(config, tmp_path):
    """32 dimensions here; with pairs made of documents it is that of any width."""
    given = replace(config, learning_rate=None, log_every=1, warmup=0.0, schedule="constant")
    result = train_contrastive(given)
    assert result["chosen"] == {"learning_rate": 1e-4}
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert '"learning_rate": 0.0001' in log and "1e-05" not in log
    assert "| learning_rate | 0.0001 |" in (tmp_path / "run" / "model" / "README.md").read_text()
    shown = re.sub(r"<[^>]*>|\s", " ", (tmp_path / "run" / "report.html").read_text())
    assert re.search(r"learning_rate\W+0\.0001", shown)
    assert rate_of(given, 384) == 1e-4
    assert rate_of(given, 768) == 2e-5
    assert rate_of(replace(given, learning_rate=3e-5), 384) == 3e-5
    documents = replace(given, train=None, pairs_from="texts.txt", how="simcse")
    assert rate_of(documents, 384) == 2e-5
    asked = replace(config, out=str(tmp_path / "asked"))
    assert train_contrastive(asked)["chosen"] == {}


def test_training_learns(config, tmp_path):
    config = replace(config, validation=config.train, epochs=8, learning_rate=5e-3)
    result = train_contrastive(config)
    assert result["after"]["metrics"]["ndcg@10"] > result["before"]["metrics"]["ndcg@10"] + 0.1
    assert result["difference"]["verdict"] == "better"
    assert "32 of 32" in result["overlap"]  # told that these rows were trained on


def test_validation_in_a_folder_of_its_own(config, tmp_path):
    folder = tmp_path / "beir"
    folder.mkdir()
    texts = random_texts(6, seed=9, words=(3, 6))
    ids = [str(i) for i in range(6)]
    pq.write_table(pa.table({"id": ids, "text": texts}), folder / "corpus.parquet")
    pq.write_table(pa.table({"id": ["q"], "text": [texts[0]]}), folder / "queries.parquet")
    qrels = {"query_id": ["q"], "doc_id": ["0"], "score": [1]}
    pq.write_table(pa.table(qrels), folder / "qrels.parquet")
    result = train_contrastive(replace(config, validation=str(folder)))
    assert result["metric"] == "ndcg@10"
    assert result["after"]["n"] == 1


def test_rows_can_be_held_out(config):
    result = train_contrastive(replace(config, hold_out=0.25))
    assert (result["rows"], result["after"]["n"]) == (12, 4)
    with pytest.raises(ConfigError, match="hold_out"):
        replace(config, hold_out=0.1, validation=config.train)


def test_bad_rows_stop_the_run_or_are_skipped_and_counted(config, tmp_path):
    path = tmp_path / "bad.csv"
    rows = columns("pairs")
    rows["anchor"][3] = " "
    write_csv(path, rows)
    config = replace(config, train=str(path))
    with pytest.raises(DataError, match=r"bad\.csv:5, column 'anchor'"):
        train_contrastive(config)
    result = train_contrastive(replace(config, on_bad_row="skip", out=str(tmp_path / "skipped")))
    assert (result["rows"], result["skipped"]) == (ROWS - 1, 1)


def test_a_run_that_failed_early_can_be_started_again(config, tmp_path):
    """What is wrong with the data is said before anything is in the way of a second try."""
    with pytest.raises(DataError):
        train_contrastive(replace(config, train=str(tmp_path / "nowhere.csv")))
    with pytest.raises(ModelError):
        train_contrastive(replace(config, model=str(tmp_path / "nowhere")))
    assert train_contrastive(config)["steps"] == 2


def test_columns_can_be_named(config, tmp_path):
    rows = columns("pairs")
    path = write_csv(tmp_path / "named.csv", {"title": rows["anchor"], "body": rows["positive"]})
    config = replace(config, train=path, columns={"anchor": "title", "positive": "body"})
    assert train_contrastive(config)["rows"] == ROWS


def test_a_folder_that_holds_something_is_not_touched(config, tmp_path):
    train_contrastive(config)
    with pytest.raises(ConfigError, match=r"already holds a run.*--resume"):
        train_contrastive(config)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="other files"):
        train_contrastive(replace(config, out=str(other)))
    assert [path.name for path in other.iterdir()] == ["notes.txt"]


def test_resuming_a_run_that_is_done_changes_nothing(config, tmp_path):
    result = train_contrastive(config)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "model").iterdir()}
    assert train_contrastive(replace(config, resume=True)) == result
    assert all(path.stat().st_mtime_ns == time for path, time in files.items())


@pytest.mark.parametrize(
    ("field", "value"),
    [("learning_rate", 2e-3), ("seed", 5), ("matryoshka", (8,)), ("max_seq_length", 9)],
)
def test_resuming_with_another_setting_names_it(field, value, config):
    train_contrastive(config)
    with pytest.raises(ConfigError, match=f"^{field} = .*as in the run that is resumed"):
        train_contrastive(replace(config, resume=True, **{field: value}))


def test_the_settings_are_kept_whole(config, tmp_path):
    config = replace(config, matryoshka=(8, 16), columns={"anchor": "anchor"})
    train_contrastive(config)
    stored = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert stored["matryoshka"] == [8, 16]
    assert stored["columns"] == {"anchor": "anchor"}
    assert stored["learning_rate"] == 1e-3
    assert "validation" not in stored


def test_matryoshka_and_gradient_caching(config, tmp_path):
    result = train_contrastive(replace(config, matryoshka=(8, 16)))
    assert result["train_loss"] > 0
    weights = []
    for name, tokens in (("whole", 0), ("chunks", 40)):
        # Without dropout, a chunk's gradients are those of the whole batch.
        start = tiny_model(tmp_path / f"start-{name}", dropout=0.0)
        out = tmp_path / name
        train_contrastive(replace(config, model=start, chunk_tokens=tokens, out=str(out)))
        weights.append(load_file(out / "model" / "model.safetensors"))
    for name, value in weights[0].items():
        assert (value - weights[1][name]).abs().max() < 1e-4, name


def test_length_and_pooling_of_the_trained_model_are_those_asked_for(config, tmp_path):
    train_contrastive(replace(config, max_seq_length=7, pooling="cls"))
    trained = Embedder.load(tmp_path / "run" / "model", device="cpu")
    assert trained.max_seq_length == 7
    assert trained.pooling.modes == ("cls",)


def test_truncated_texts_are_counted_and_said(config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    result = train_contrastive(replace(config, max_seq_length=5))
    texts = {text for side in columns("pairs").values() for text in side}
    expected = sum(len(text.split()) > 3 for text in texts)
    assert (result["truncated"], result["distinct_texts"]) == (expected, len(texts))
    assert f"{expected} of {len(texts)} distinct texts" in caplog.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0), ("batch_size", 0), ("learning_rate", 0.0), ("learning_rate", float("nan")),
        ("warmup", 1.5), ("schedule", "step"), ("weight_decay", -1.0), ("max_grad_norm", -1.0),
        ("seed", -1), ("seed", 1 << 32), ("dtype", "fp16"), ("log_every", 0), ("keep", 0),
        ("chunk_tokens", -1), ("patience", -1), ("train", ""), ("out", ""), ("hold_out", 1.0),
        ("on_bad_row", "ignore"), ("device", "tpu"), ("scale", 0.0), ("texts_per_class", 1),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_named(field, value, config):
    with pytest.raises(ConfigError) as error:
        replace(config, **{field: value})
    assert error.value.field == field
