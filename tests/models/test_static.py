"""Static embedders: means of rows, the same here and in sentence-transformers."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tenor.errors import ConfigError, DataError, ModelError
from tenor.models.static import StaticEmbedder
from tenor.tokens.packed import PackedBatch
from tenor.tokens.words import word_tokenizer
from tenor.training.vocabulary import UsedVocabulary

WORDS = ["the", "cat", "dog", "sits", "runs", "king", "queen", "man", "woman"]
TEXTS = ["The cat sits.", "the DOG runs and runs", "zebra", "", "cat zebra"]


@pytest.fixture
def table():
    vectors = np.random.default_rng(0).normal(size=(len(WORDS) + 1, 6)).astype(np.float32)
    vectors[0] = 0
    return vectors


@pytest.fixture
def model(table):
    return StaticEmbedder(table, word_tokenizer(WORDS))


def test_an_embedding_is_the_normalised_mean_of_the_rows(model, table):
    mean = table[[1, 2, 4]].mean(axis=0)
    np.testing.assert_allclose(model.encode(TEXTS[0]), mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(model.encode(TEXTS[0], normalize=False), mean, atol=1e-6)


def test_unknown_words_do_not_turn_an_embedding_and_nothing_gives_zeros(model):
    vectors = model.encode(TEXTS)
    np.testing.assert_allclose(vectors[4], model.encode("cat"), atol=1e-6)
    assert not vectors[2].any() and not vectors[3].any()
    assert model.encode([]).shape == (0, 6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("normalize", [True, False])
def test_sentence_transformers_reads_what_is_saved_with_the_same_vectors(
    table, tmp_path, normalize
):
    from sentence_transformers import SentenceTransformer

    prompts = {"query": "the dog "}
    model = StaticEmbedder(table, word_tokenizer(WORDS), normalize=normalize, prompts=prompts)
    model.save(tmp_path / "model")
    theirs = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    texts = TEXTS[:3] + TEXTS[4:]
    np.testing.assert_allclose(theirs.encode(texts), model.encode(texts), atol=1e-6)
    asked = {"prompt_name": "query"}
    np.testing.assert_allclose(
        theirs.encode(texts, **asked), model.encode(texts, **asked), atol=1e-6
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_what_sentence_transformers_saves_is_read_with_the_same_vectors(table, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    theirs = SentenceTransformer(
        modules=[StaticEmbedding(word_tokenizer(WORDS), embedding_weights=table)], device="cpu"
    )
    theirs.save(str(tmp_path / "theirs"))
    ours = StaticEmbedder.load(tmp_path / "theirs", device="cpu")
    texts = TEXTS[:2] + TEXTS[4:]
    np.testing.assert_allclose(ours.encode(texts), theirs.encode(texts), atol=1e-6)
    assert not ours.normalize


def test_model2vec_tensors_are_folded(table, model, tmp_path):
    with pytest.raises(ConfigError, match="a matrix: a row for each token"):
        StaticEmbedder(model.vectors[0], word_tokenizer(WORDS))
    with pytest.raises(ConfigError, match=r"9 rows.*10 rows, one for each token"):
        StaticEmbedder(model.vectors[1:], word_tokenizer(WORDS))
    model.save(tmp_path / "model")
    weights = tmp_path / "model" / "0_StaticEmbedding" / "model.safetensors"
    rows, mapping = table[::-1].copy(), np.arange(len(table))[::-1].copy()
    scale = np.linspace(0.5, 2, len(table))
    save_file({"embeddings": rows, "mapping": mapping, "weights": scale}, weights)
    loaded = StaticEmbedder.load(tmp_path / "model", device="cpu")
    np.testing.assert_allclose(loaded.vectors, table * scale[:, None], rtol=1e-6)


def test_save_and_load_give_the_same_vectors(model, tmp_path):
    model.save(tmp_path / "model")
    loaded = StaticEmbedder.load(tmp_path / "model", device="cpu", truncate_dim=4)
    np.testing.assert_array_equal(loaded.encode(TEXTS), model.encode(TEXTS)[:, :4])
    assert loaded.dimensions == 4
    assert loaded.sha256 is not None
    stored = load_file(tmp_path / "model" / "0_StaticEmbedding" / "model.safetensors")
    assert list(stored) == ["embedding.weight"]


def test_a_length_limit_cuts_and_counts(model, tmp_path):
    model.save(tmp_path / "model")
    loaded = StaticEmbedder.load(tmp_path / "model", device="cpu", max_seq_length=2)
    vectors, truncated = loaded.encode_counted(["cat dog", "cat dog sits", "man"])
    assert truncated == 1
    np.testing.assert_allclose(vectors[1], vectors[0])
    assert model.encode_counted(["cat dog " * 5000])[1] == 0


def test_a_packed_batch_gives_what_encode_gives(model):
    ids = model.tokenizer(TEXTS)
    with torch.no_grad():
        found = model(PackedBatch.of(ids))
    np.testing.assert_allclose(found.numpy(), model.encode(TEXTS), atol=1e-6)


def test_what_is_no_text_is_counted_from_the_first_block_on(model):
    with pytest.raises(DataError, match=r"^row 4: None is not a text"):
        list(model.encode_blocks([["cat", "dog"], ["cat", None]]))


def test_blocks_stream(model):
    parts = list(model.encode_blocks(iter([TEXTS[:2], TEXTS[2:]])))
    np.testing.assert_array_equal(np.concatenate([p for p, _ in parts]), model.encode(TEXTS))


def test_neighbours_and_analogies(table):
    table = np.abs(table) * 0.01
    table[[6, 7, 8, 9], :2] += [[1, 1], [1, -1], [0, 1], [0, -1]]  # king queen man woman
    model = StaticEmbedder(table, word_tokenizer(WORDS))
    assert model.neighbours("king woman", minus="man", count=1)[0][0] == "queen"
    words = [word for word, _ in model.neighbours("Man", count=3)]
    assert words[0] == "king"
    assert "man" not in words and "[UNK]" not in words
    cosines = [cosine for _, cosine in model.neighbours("man", count=8)]
    assert cosines == sorted(cosines, reverse=True)
    with pytest.raises(ConfigError, match="zebra"):
        model.neighbours("zebra")


def test_what_cannot_be_is_refused(model, tmp_path):
    with pytest.raises(DataError, match=r"^row 2: 3 is not a text"):
        model.encode(["cat", 3])
    with pytest.raises(ConfigError, match="dtype"):
        model.encode("cat", dtype="bf16")
    with pytest.raises(ConfigError, match="prompt_name"):
        model.encode("cat", prompt_name="query")
    model.save(tmp_path / "model")
    weights = tmp_path / "model" / "0_StaticEmbedding" / "model.safetensors"
    save_file({"embedding.weight": model.vectors[:3]}, weights)
    with pytest.raises(ModelError, match="do not belong together"):
        StaticEmbedder.load(tmp_path / "model")
    weights.write_bytes(b"damaged")
    with pytest.raises(ModelError, match="cannot be read"):
        StaticEmbedder.load(tmp_path / "model")


def test_training_reaches_the_rows_of_its_tokens_alone(model):
    assert UsedVocabulary.applies(model, 0.0) is model.encoder.words
    before = model.vectors.copy()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(PackedBatch.of(model.tokenizer(["cat dog", "king"]), rounded=False))[
        :, 0
    ].sum().backward()
    optimizer.step()
    changed = np.flatnonzero(np.abs(model.vectors - before).max(axis=1))
    assert changed.tolist() == [model.tokenizer.vocabulary[w] for w in ("cat", "dog", "king")]
