"""Word2Vec from raw text to a saved static embedder."""

import json
import logging
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gensim")

from tenor.errors import ConfigError, DataError, MissingExtraError
from tenor.models.static import StaticEmbedder
from tenor.recipes.word2vec import Word2VecConfig, train_word2vec
from tiny import write_csv

ANIMALS = ["cat", "dog", "horse", "mouse", "bird"]
PLACES = ["paris", "london", "new york", "madrid", "rome"]


def sentences(count=400, seed=0):
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        a, b = generator.choice(ANIMALS, 2, replace=False)
        found.append(f"The {a} eats with the {b}, and sleeps in the barn.")
        a, b = generator.choice(PLACES, 2, replace=False)
        found.append(f"The train goes from {a} to {b} by the station.")
    return found


@pytest.fixture
def config(tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(sentences()) + "\n")
    return Word2VecConfig(
        train=str(tmp_path / "texts.txt"),
        out=str(tmp_path / "run"),
        dimensions=16,
        epochs=20,
        min_count=2,
        weighting="sif",
        sif_a=1e-2,
        subsample=0,
    )


@pytest.fixture
def scored(tmp_path):
    return write_csv(
        tmp_path / "sts.csv",
        {
            "sentence1": ["a cat", "rome", "a dog", "a horse in the barn", "Madrid"],
            "sentence2": ["a dog", "paris", "london", "a mouse", "the train"],
            "score": [5, 4.5, 0, 4, 2],
        },
    )


def test_words_that_share_contexts_become_neighbours_and_the_run_is_on_record(
    config, scored, caplog
):
    with caplog.at_level(logging.INFO, "tenor"):
        result = train_word2vec(replace(config, evaluate=scored, phrases=1, phrase_threshold=10))
    model = StaticEmbedder.load(config.out + "/model", device="cpu")
    nearest = {word for word, _ in model.neighbours("cat", count=4)}
    assert nearest <= {*ANIMALS, "eats", "sleeps", "barn"} and len(nearest & set(ANIMALS)) >= 2
    assert "new york" in model.tokenizer.vocabulary
    assert "new york" in [word for word, _ in model.neighbours("paris", count=6)]

    run = Path(config.out)
    stored = json.loads((run / "result.json").read_text())
    assert stored == json.loads(json.dumps(result))
    assert result["rows"] == 800 and result["words"] > 5000
    assert set(result["after"]["metrics"]) >= {"spearman_cosine"} and result["before"] is None
    assert result["texts_per_second"] > 0
    assert "None of the" in result["overlap"]
    assert tomllib.loads((run / "config.toml").read_text())["dimensions"] == 16
    epochs = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in epochs] == list(range(1, 21))
    assert "epoch 20/20" in caplog.text and "phrases" in caplog.text
    card = (run / "model" / "README.md").read_text()
    assert "raw text" in card and "spearman_cosine" in card


@pytest.mark.parametrize("algorithm", ["skip-gram", "cbow"])
def test_two_runs_give_the_same_vectors_and_another_seed_others(config, tmp_path, algorithm):
    config = replace(config, algorithm=algorithm, epochs=2)
    tables = []
    for number, seed in enumerate((0, 0, 1)):
        out = str(tmp_path / f"run{number}")
        train_word2vec(replace(config, out=out, seed=seed))
        tables.append(StaticEmbedder.load(out + "/model", device="cpu").vectors)
    np.testing.assert_array_equal(tables[0], tables[1])
    assert np.abs(tables[0] - tables[2]).max() > 1e-3


@pytest.mark.parametrize("weighting", ["sif", "idf", "none"])
def test_common_words_count_less(config, weighting):
    train_word2vec(replace(config, weighting=weighting, epochs=1, remove_components=0))
    model = StaticEmbedder.load(config.out + "/model", device="cpu")
    length = {word: np.linalg.norm(model.vectors[row]) for word, row in vocabulary(model)}
    if weighting == "none":
        assert np.isclose(length["the"], length["cat"], rtol=1e-4)
    else:
        assert length["the"] < length["cat"]


def vocabulary(model):
    return model.tokenizer.vocabulary.items()


def test_the_common_direction_is_removed(config):
    spread = {}
    for count in (0, 1):
        out = f"{config.out}-{count}"
        train_word2vec(replace(config, out=out, remove_components=count, epochs=2))
        vectors = StaticEmbedder.load(out + "/model", device="cpu").encode(sentences(50))
        spread[count] = float((vectors @ vectors.T).mean())
    assert spread[1] < spread[0]


def test_overlap_with_the_evaluation_is_told(config, tmp_path):
    both = sentences(2)
    path = write_csv(
        tmp_path / "sts.csv",
        {"sentence1": [f'"{both[0]}"', "cat", "dog"], "sentence2": ["rome", "dog", "barn"],
         "score": [0, 5, 1]},
    )  # fmt: skip
    result = train_word2vec(replace(config, evaluate=path, epochs=1))
    assert result["overlap"].startswith("1 of 5 evaluation texts")


def test_a_finished_run_is_left_alone_and_an_unfinished_one_starts_again(config, caplog):
    config = replace(config, epochs=1)
    result = train_word2vec(config)
    with pytest.raises(ConfigError, match="already holds a run"):
        train_word2vec(config)
    assert train_word2vec(replace(config, resume=True))["model"] == result["model"]
    (Path(config.out) / "result.json").unlink()
    assert train_word2vec(replace(config, resume=True))["model"] == result["model"]
    assert [entry.name for entry in Path(config.out).glob(".corpus*")] == []


def test_what_cannot_be_is_refused(config):
    for field, value in (
        ("algorithm", "glove"), ("weighting", "tfidf"), ("dimensions", 0), ("sif_a", 0.0),
        ("workers", 0), ("remove_components", 16), ("phrases", -1), ("train", ""),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=field):
            replace(config, **{field: value})
    with pytest.raises(DataError, match="min_count"):
        train_word2vec(replace(config, min_count=10_000))
    with pytest.raises(DataError, match="no such file"):
        train_word2vec(replace(config, train="missing.txt"))


def test_without_gensim_the_extra_is_named(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim", None)
    with pytest.raises(MissingExtraError, match=r"tenor\[word2vec\]"):
        train_word2vec(config)
