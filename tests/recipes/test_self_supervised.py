"""Contrastive training without labels: documents in, an embedder and its pairs out."""

import json
import tomllib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor import ContrastiveConfig, Embedder, train_contrastive
from tenor.errors import ConfigError, DataError, ModelError
from tenor.evaluation.result import hash_files
from tenor.training.trainer import Trainer
from tiny import WORDS, random_texts, tiny_encoder, tiny_model, tiny_tokenizer, write_csv

DOCUMENTS = 24


def sentences(seed, count=5):
    words = np.random.default_rng(seed).choice(WORDS, (count, 6))
    return [" ".join(row).capitalize() + "." for row in words]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture
def documents(tmp_path):
    columns = {
        "title": random_texts(DOCUMENTS, seed=1, words=(2, 4)),
        "summary": [s.removesuffix(".") for n in range(DOCUMENTS) for s in sentences(n + 100, 1)],
        "text": [" ".join(sentences(n)) for n in range(DOCUMENTS)],
    }
    return write_csv(tmp_path / "documents.csv", columns)


@pytest.fixture
def config(model, documents, tmp_path):
    return ContrastiveConfig(
        pairs_from=documents,
        how="cloze",
        out=str(tmp_path / "run"),
        model=model,
        batch_size=8,
        learning_rate=1e-3,
        dtype="fp32",
        device="cpu",
    )


def stored_pairs(out):
    return pq.read_table(out / "pairs.parquet").to_pydict()


@pytest.mark.parametrize("how", ["simcse", "title", "consecutive", "summary", "cloze", "crop"])
def test_every_way_trains_and_leaves_its_pairs(how, config, tmp_path, documents, caplog):
    caplog.set_level("INFO", "tenor")
    result = train_contrastive(replace(config, how=how))
    run = tmp_path / "run"
    pairs = stored_pairs(run)
    assert pairs.keys() == {"anchor", "positive", "line"}
    assert result["rows"] == result["pairs"]["made"] == len(pairs["anchor"]) >= DOCUMENTS
    assert set(pairs["line"]) == set(range(2, DOCUMENTS + 2))
    assert result["pairs"]["how"] == how
    assert result["pairs"]["documents"] == DOCUMENTS
    assert result["data"] == {"path": documents, "sha256": hash_files([documents])}
    assert json.loads((run / "result.json").read_text()) == result
    assert json.loads((run / "data.json").read_text()) == {
        documents: hash_files([documents]),
        "pairs.parquet": hash_files([run / "pairs.parquet"]),
    }
    assert how in result["loss"]
    start, trained = (Embedder.load(m, device="cpu") for m in (config.model, run / "model"))
    assert np.abs(trained.encode("the cat") - start.encode("the cat")).max() > 1e-4
    said = caplog.text
    assert f"{DOCUMENTS} documents" in said
    assert f"made {len(pairs['anchor']):,} pairs of {DOCUMENTS} documents (how = {how})" in said
    assert said.count("such as '") == 3
    assert repr(pairs["anchor"][0])[:40] in said


def test_simcse_learns_to_tell_texts_apart(config, tmp_path):
    """Two encodings of one text, by dropout, come nearer than those of two texts."""
    start = tiny_model(tmp_path / "start", dropout=0.3)
    config = replace(config, how="simcse", model=start, epochs=12, log_every=1)
    train_contrastive(config)
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines if "loss" in json.loads(line)]
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
    assert losses[0] > 0.1, "had both encodings been the same, there would be little to learn"


def test_simcse_without_dropout_is_refused_with_the_reason(config, tmp_path):
    still = tiny_model(tmp_path / "still", dropout=0.0)
    with pytest.raises(ModelError, match=r"no dropout.*nothing to learn.*hidden_dropout_prob"):
        train_contrastive(replace(config, how="simcse", model=still))
    assert train_contrastive(replace(config, model=still))["steps"] > 0  # cloze needs none


def test_simcse_warns_on_an_embedder_and_not_on_an_encoder(config, tmp_path, caplog):
    folder = tmp_path / "encoder"
    folder.mkdir()
    tiny_encoder(std=0.1, dropout=0.1).save(folder)
    tiny_tokenizer().save(folder)
    plain = replace(config, how="simcse", model=str(folder))
    train_contrastive(plain)
    assert "warning" not in caplog.text
    train_contrastive(replace(config, how="simcse", out=str(tmp_path / "other")))
    assert "may undo some of that training" in caplog.text


def test_texts_of_the_same_tokens_are_no_negatives_of_each_other(config, tmp_path, caplog):
    """Cut to the length limit, documents that begin alike are one text."""
    caplog.set_level("INFO", "tenor")
    path = tmp_path / "alike.txt"
    path.write_text("".join(f"the cat sits on the tree {word}\n" for word in WORDS[:6]) + "a dog\n")
    options = {"how": "simcse", "pairs_from": str(path), "max_seq_length": 8}
    result = train_contrastive(replace(config, **options))
    assert result["rows"] == 2
    assert result["pairs"]["made"] == 7
    assert "5 texts have the tokens of another" in caplog.text


@pytest.mark.parametrize(("how", "tokens"), [("simcse", 0), ("simcse", 60), ("cloze", 0)])
def test_a_killed_run_resumes_on_the_same_pairs_to_the_same_bytes(
    how, tokens, config, documents, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO", "tenor")
    config = replace(config, how=how, epochs=3, save_every=2, chunk_tokens=tokens)
    whole = replace(config, out=str(tmp_path / "whole"))
    train_contrastive(whole)

    step = Trainer.training_step

    def dies(trainer, *args, **kwargs):
        if trainer.state.global_step == 5:
            raise RuntimeError("killed")
        return step(trainer, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "training_step", dies)
        with pytest.raises(RuntimeError, match="killed"):
            train_contrastive(config)
    written = (tmp_path / "run" / "pairs.parquet").stat().st_mtime_ns
    (tmp_path / "documents.csv").rename(tmp_path / "gone.csv")  # the pairs are in the folder
    train_contrastive(replace(config, resume=True))
    assert "as the run made them before" in caplog.text
    assert (tmp_path / "run" / "pairs.parquet").stat().st_mtime_ns == written
    for name in ("model/model.safetensors", "pairs.parquet"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def interrupted(config, monkeypatch):
    """A run that has begun, and was killed."""

    def dies(trainer, *args, **kwargs):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "evaluate", dies)
        with pytest.raises(RuntimeError, match="killed"):
            train_contrastive(replace(config, hold_out=0.2, log_every=1))
    return replace(config, hold_out=0.2, log_every=1, resume=True)


def test_changed_documents_or_pairs_are_refused_on_resume(config, tmp_path, monkeypatch):
    resumed = interrupted(config, monkeypatch)
    path = tmp_path / "documents.csv"
    before = path.read_text()
    path.write_text(before + "new,new,A new document stands here. It has two sentences.\n")
    with pytest.raises(DataError, match=r"documents\.csv.*is not what the run"):
        train_contrastive(resumed)
    path.write_text(before)
    pairs = tmp_path / "run" / "pairs.parquet"
    table = pq.read_table(pairs)
    pq.write_table(table.slice(1), pairs)
    with pytest.raises(DataError, match=r"pairs\.parquet.*is not what the run"):
        train_contrastive(resumed)
    pairs.write_text("rubbish")
    with pytest.raises(DataError, match="delete it, and it is made again"):
        train_contrastive(resumed)
    pairs.unlink()
    assert train_contrastive(resumed)["steps"] > 0
    assert pq.read_table(pairs).equals(table)


def test_a_first_try_that_failed_leaves_no_pairs_behind_for_the_second(config, tmp_path):
    """Only a run that has begun goes on with its pairs: other settings make others."""
    bad = replace(config, hold_out=0.01, how="title", per_document=1)
    with pytest.raises(DataError, match="too few to hold some out"):
        train_contrastive(bad)
    assert (tmp_path / "run" / "pairs.parquet").exists()
    result = train_contrastive(replace(config, how="consecutive", resume=True))
    assert len(stored_pairs(tmp_path / "run")["anchor"]) == result["rows"]
    assert result["pairs"]["how"] == "consecutive"


def test_whole_documents_are_held_out(config, tmp_path, caplog):
    caplog.set_level("INFO", "tenor")
    result = train_contrastive(replace(config, hold_out=0.25))
    assert result["metric"] == "ndcg@10"
    assert result["rows"] + result["after"]["n"] == result["pairs"]["made"]
    assert result["after"]["n"] == 6 * 4
    assert "no document has pairs both among them" in caplog.text


def test_validation_files_keep_their_usual_columns(config, tmp_path):
    rows = {"anchor": random_texts(6, seed=5), "positive": random_texts(6, seed=6)}
    held = write_csv(tmp_path / "held.csv", rows)
    columns = {"title": "title", "text": "text"}
    config = replace(config, how="title", validation=held, columns=columns)
    assert train_contrastive(config)["after"]["n"] == 6
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        train_contrastive(
            replace(config, validation=str(tmp_path / "nowhere.csv"), out=str(tmp_path / "other"))
        )


def test_settings_are_kept_and_the_unset_left_out(config, tmp_path):
    train_contrastive(replace(config, per_document=2, common_share=0.5))
    stored = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert stored["how"] == "cloze"
    assert stored["per_document"] == 2
    assert "train" not in stored and "window" not in stored
    with pytest.raises(ConfigError, match=r"^per_document = 3"):
        train_contrastive(replace(config, per_document=3, common_share=0.5, resume=True))


def test_symmetric_and_gradient_caching_go_with_made_pairs(config, tmp_path):
    result = train_contrastive(replace(config, symmetric=True, chunk_tokens=64, max_words=12))
    assert np.isfinite(result["train_loss"])
    assert max(len(p.split()) for p in stored_pairs(tmp_path / "run")["positive"]) <= 12


def test_a_summary_column_is_asked_for_by_name(config, tmp_path):
    path = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"text": ["One text.", "Another text."]}), path)
    with pytest.raises(DataError, match="summary, abstract or highlights"):
        train_contrastive(replace(config, how="summary", pairs_from=str(path)))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"train": "pairs.csv"}, "train"),
        ({"pairs_from": None, "how": None}, "train"),
        ({"pairs_from": ""}, "pairs_from"),
        ({"pairs_from": None, "train": "pairs.csv"}, "how"),
        ({"pairs_from": None, "how": None, "train": "pairs.csv", "max_pairs": 9}, "max_pairs"),
        ({"how": None}, "how"),
        ({"how": "magic"}, "how"),
        ({"how": "simcse", "hold_out": 0.1}, "hold_out"),
        ({"how": "simcse", "max_words": 20}, "max_words"),
        ({"window": 2}, "window"),
        ({"loss": "cosent"}, "loss"),
        ({"columns": {"anchor": "title"}}, "columns"),
    ],
)
def test_settings_that_do_not_go_together_are_named(options, field, config):
    with pytest.raises(ConfigError) as error:
        train_contrastive(replace(config, **options))
    assert error.value.field == field


@pytest.mark.minilm
def test_simcse_takes_the_real_model(minilm, config, tmp_path):
    """Its dropout is found, and a few steps lower the loss."""
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(random_texts(64, seed=3, words=(4, 10))))
    options = {"how": "simcse", "pairs_from": str(path), "model": str(minilm)}
    result = train_contrastive(replace(config, **options, batch_size=16, learning_rate=2e-5))
    assert result["steps"] == 4
    assert 0 < result["train_loss"] < 3
