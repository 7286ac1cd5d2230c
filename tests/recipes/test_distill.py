"""Distillation from an encoder to a table, with and without text."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from tenor.errors import ConfigError, DataError, TenorError
from tenor.models.embedder import Embedder
from tenor.models.static import StaticEmbedder
from tenor.recipes.distill import DistillConfig, distill
from tenor.recipes.distill_table import (
    choose_and_fit,
    first_table,
    frequencies,
    principal,
    sample_sentences,
)
from tenor.recipes.distill_vocabulary import (
    add_words,
    new_words,
    special_ids,
    student_tokenizer,
    token_vectors,
)
from tenor.tokens.static_tokenizer import StaticTokenizer
from tiny import SPECIAL, random_texts, tiny_model, write_csv

UNKNOWN = ["aorta", "stent"]  # words that the tiny tokenizer cuts in pieces


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture
def teacher(model):
    return Embedder.load(model, device="cpu", dtype="fp32")


@pytest.fixture
def config(model, tmp_path):
    texts = random_texts(600, words=(3, 9))
    texts[::5] = [f"{text} {UNKNOWN[row % 2]}." for row, text in enumerate(texts[::5])]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    scored = {"sentence1": random_texts(30, seed=1), "sentence2": random_texts(30, seed=2)}
    scored["score"] = np.linspace(0, 5, 30).round(2).tolist()
    return DistillConfig(
        out=str(tmp_path / "run"),
        model=model,
        text=str(tmp_path / "texts.txt"),
        evaluate=write_csv(tmp_path / "sts.csv", scored),
        dimensions=16,
        device="cpu",
        dtype="fp32",
    )


def test_with_text_it_comes_near_the_teacher_and_says_what_was_lost(config, teacher, caplog):
    with caplog.at_level(logging.INFO, "tenor"):
        result = distill(config)
    student = StaticEmbedder.load(config.out + "/model", device="cpu")
    assert student.dimensions == 16
    assert result["fit"]["after"] > result["fit"]["before"]
    assert result["words"] == 2
    assert {*UNKNOWN} <= set(student.tokenizer.vocabulary)
    assert result["before"]["model"]["name"] == config.model
    assert result["difference"]["low"] <= result["difference"]["value"]
    assert result["texts_per_second"]["model"] > 0 < result["texts_per_second"]["teacher"]
    assert result == json.loads(Path(config.out, "result.json").read_text())
    assert f"against {config.model}" in caplog.text
    assert "times as many" in caplog.text and "occurs in the training data" in caplog.text

    # On new texts, what is near to the teacher is near to the student.
    texts = random_texts(60, seed=9, words=(3, 9))
    upper = np.triu_indices(60, 1)
    near = [(v @ v.T)[upper] for v in (one.encode(texts) for one in (teacher, student))]
    assert np.corrcoef(*near)[0, 1] > 0.7


def test_without_text_the_vocabulary_is_enough(config, teacher):
    result = distill(replace(config, text=None))
    student = StaticEmbedder.load(config.out + "/model", device="cpu")
    assert result["fit"] is None and result["rows"] == 0
    size = teacher.tokenizer.tokenizer.backend_tokenizer.get_vocab_size()
    assert len(student.vectors) == size
    assert np.isfinite(student.vectors).all()
    assert not student.vectors[: len(SPECIAL)].any()


def test_the_fit_can_be_left_out(config):
    result = distill(replace(config, passages=0, words=0))
    assert result["fit"] is None and result["words"] == 0


def test_evaluation_texts_in_the_text_are_told_with_and_without_a_fit(config):
    with open(config.text, "a") as file:
        file.writelines(f"{text}\n" for text in random_texts(30, seed=1))
    for passages in (0, config.passages):
        result = distill(replace(config, passages=passages, out=f"{config.out}-{passages}"))
        assert result["overlap"].startswith("30 of "), result["overlap"]


def test_two_runs_give_the_same_vectors(config, tmp_path):
    for name in ("one", "two"):
        distill(replace(config, out=str(tmp_path / name), evaluate=None))
    one, two = (StaticEmbedder.load(tmp_path / n / "model").vectors for n in ("one", "two"))
    np.testing.assert_array_equal(one, two)


def test_what_cannot_be_is_refused(config, tmp_path):
    with pytest.raises(ConfigError, match="at most the teacher's 32"):
        distill(replace(config, dimensions=64))
    (tmp_path / "short.txt").write_text("the cat\n")
    with pytest.raises(DataError, match="too few to fit"):
        distill(replace(config, text=str(tmp_path / "short.txt")))
    distill(replace(config, out=str(tmp_path / "static"), text=None))
    with pytest.raises(TenorError, match="static"):
        distill(replace(config, model=str(tmp_path / "static" / "model"), out=str(tmp_path / "x")))
    for field, value in (("dimensions", 0), ("sif_a", 2.0), ("passages", -1), ("device", "tpu")):
        with pytest.raises(ConfigError, match=field):
            replace(config, **{field: value})


def test_a_token_s_vector_is_the_teacher_s_of_it_alone(teacher):
    tokenizer = add_words(student_tokenizer(teacher), UNKNOWN)
    vectors = token_vectors(teacher, tokenizer, UNKNOWN, progress=False)
    for word in ("cat", "river", *UNKNOWN):
        expected = teacher.encode(word, normalize=False)
        np.testing.assert_allclose(vectors[tokenizer.token_to_id(word)], expected, atol=1e-5)
    assert not vectors[special_ids(tokenizer)].any()


def test_whole_words_join_word_pieces_without_touching_other_texts(teacher):
    before = student_tokenizer(teacher)
    texts = [*random_texts(20), "Aorta STENTS stent"]
    words = new_words(["aorta stent cat"] * 3 + ["stent"], before, most=9, min_count=2)
    assert words == ["stent", "aorta"]
    after = add_words(before, words)
    for text in texts[:-1]:
        assert after.encode(text).ids == before.encode(text).ids
    found = after.encode(texts[-1], add_special_tokens=False).tokens
    assert found == ["aorta", "stent", "##s", "stent"]


def test_whole_words_join_a_byte_level_tokenizer():
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.normalizer = normalizers.NFC()
    after = add_words(tokenizer, UNKNOWN)
    found = after.encode("an aorta, aortas")
    assert found.tokens.count(" aorta") + found.tokens.count("aorta") == 1
    assert after.token_to_id("aorta") == len(letters)


def test_sentences_are_sampled_evenly_and_without_repeats():
    texts = [f"Sentence {n}. And another {n}! And another {n}!" for n in range(500)]
    assert len(sample_sentences(texts, 5000, 0)) == 1000
    some = sample_sentences(texts, 100, 0)
    assert len(set(some)) == 100
    assert some == sample_sentences(iter(texts), 100, 0) != sample_sentences(texts, 100, 1)
    numbers = [int(sentence.rstrip(".!").split()[-1]) for sentence in some]
    assert 150 < np.mean(numbers) < 350


def test_the_first_table_keeps_what_the_vectors_say():
    generator = np.random.default_rng(0)
    vectors = (generator.normal(size=(60, 4)) @ generator.normal(size=(4, 12))).astype(np.float32)
    live = np.arange(60) > 0
    flat = np.full(60, 1 / 60)  # so that all weigh alike
    table = first_table(vectors, live, flat, 0.5, None, 4)  # four dimensions hold it all
    table /= 0.5 / (0.5 + 1 / 60)
    centred = vectors[live] - vectors[live].mean(axis=0)
    np.testing.assert_allclose(table[live] @ table[live].T, centred @ centred.T, atol=1e-3)
    assert not table[0].any()


def test_frequencies_leave_something_for_what_was_not_seen():
    counts = np.array([0, 90, 10])
    p = frequencies(counts, 3)
    assert np.isclose(p.sum(), 1) and (p > 0).all() and p[1] > p[2]
    np.testing.assert_array_equal(frequencies(None, 3), frequencies(np.zeros(3, dtype=int), 3))


def test_principal_directions_are_orthonormal():
    vectors = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    basis = principal(vectors, 3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-9)


def test_a_fit_that_brings_nothing_is_not_taken(teacher):
    told = []
    ids = StaticTokenizer(student_tokenizer(teacher))(random_texts(100))
    generator = np.random.default_rng(0)
    start = generator.normal(size=(200, 4)).astype(np.float32)
    from tenor.models.table_fit import bag_matrix

    exact = bag_matrix(ids, 200) @ start
    table, fit = choose_and_fit(ids, exact, start, tell=told.append)
    np.testing.assert_allclose(table, start, rtol=1e-4)
    assert fit["after"] >= fit["before"] > 0.999
