"""Bulk encoding: every text its vector, whatever comes with it and however it comes."""

import numpy as np
import pytest
import torch

from tenor.errors import ConfigError, DataError
from tenor.models import encode as encode_module
from tenor.models.embedder import Embedder
from tenor.tokens.packed import PackedBatch
from tenor.tokens.tokenizer import Tokenizer
from tiny import WIDTH, random_texts, tiny_encoder, tiny_hf_tokenizer

TEXTS = random_texts(40, words=(1, 14))


def make(name="bert", *, max_length=24, **options):
    tokenizer = Tokenizer(tiny_hf_tokenizer(), max_length)
    return Embedder(tiny_encoder(name, dropout=0.1), tokenizer, **options).eval()


def count_encoded(model):
    """A list that grows by the number of texts of each batch."""
    found = []
    model.register_forward_hook(lambda _, args, out: found.append(len(out)))
    return found


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert", "mpnet"])
def test_a_vector_does_not_depend_on_neighbours_or_budget(name):
    model = make(name)
    alone = np.stack([model.encode(text) for text in TEXTS])
    assert alone.shape == (40, WIDTH)
    for budget in (1, 30, 200, 100_000):
        found = model.encode(TEXTS, tokens_per_batch=budget)
        np.testing.assert_allclose(found, alone, atol=1e-5)
    np.testing.assert_allclose(model.encode(TEXTS[::-1])[::-1], alone, atol=1e-5)


def test_a_text_that_stands_twice_is_encoded_once():
    model = make()
    encoded = count_encoded(model)
    repeated = ["the cat", "a dog", "the cat", "red", "a dog", "the cat"]
    found = model.encode(repeated)
    assert sum(encoded) == 3
    for row, text in enumerate(repeated):
        np.testing.assert_allclose(found[row], model.encode(text), atol=1e-5)
    assert np.array_equal(found[0], found[5])


def test_the_token_budget_is_kept():
    model = make()
    encoded = count_encoded(model)
    model.encode(TEXTS, tokens_per_batch=1)
    assert encoded == [1] * len(set(TEXTS))


def test_an_iterator_gives_what_a_list_gives(monkeypatch):
    model = make()
    expected = model.encode(TEXTS)
    monkeypatch.setattr(encode_module, "BLOCK", 7)
    for texts in (iter(TEXTS), tuple(TEXTS), (t for t in TEXTS), dict.fromkeys(TEXTS).keys()):
        count = len(texts) if hasattr(texts, "__len__") else len(TEXTS)
        found = model.encode(texts)
        np.testing.assert_allclose(found, expected[:count], atol=1e-5)
    np.testing.assert_allclose(model.encode(np.array(TEXTS)), expected, atol=1e-5)


def test_blocks_stream():
    model = make()
    taken = []

    def blocks():
        for start in range(0, 40, 10):
            taken.append(start)
            yield TEXTS[start : start + 10]

    stream = model.encode_blocks(blocks())
    assert taken == []
    first, truncated = next(stream)
    assert taken == [0]  # no block is read before it is needed
    assert truncated == 0
    rest = [vectors for vectors, _ in stream]
    np.testing.assert_allclose(np.concatenate([first, *rest]), model.encode(TEXTS), atol=1e-5)


def test_nothing_and_one_text():
    model = make()
    for texts in ([], iter([]), ()):
        assert model.encode(texts).shape == (0, WIDTH)
    assert model.encode([], truncate_dim=4).shape == (0, 4)
    assert model.encode("the cat").shape == (WIDTH,)
    assert model.encode("the cat").dtype == np.float32
    np.testing.assert_array_equal(model.encode("the cat"), model.encode(["the cat"])[0])
    assert model.encode("").shape == (WIDTH,)


@pytest.mark.parametrize("wrong", [None, 3, b"bytes", float("nan"), ["a"]])
def test_what_is_no_text_is_named(wrong):
    with pytest.raises(DataError, match=r"^row 2: .*is not a text"):
        make().encode(["the cat", wrong])


def test_what_is_no_text_is_counted_from_the_first_block_on():
    model = make()
    with pytest.raises(DataError, match=r"^row 4: None is not a text"):
        list(model.encode_blocks([["a", "b"], ["c", None]]))


def test_the_row_is_counted_over_repeats_and_blocks():
    texts = ["the cat", "the cat", "a dog \ud800"]
    with pytest.raises(DataError, match=r"^row 3: .*half a surrogate pair, U\+D800 at character 7"):
        make().encode(texts, prompt="find: ")
    with pytest.raises(DataError, match=r"^row 5: "):
        list(make().encode_blocks([texts[:2], texts[:0], texts]))


def test_truncated_texts_are_counted_with_their_repeats():
    model = make(max_length=6)  # four words
    fits, long, longer = "the cat sits on", "the cat sits on it", "a b c d e f g h"
    texts = [long, fits, longer, long, fits, long]
    vectors, truncated = model.encode_counted(texts)
    assert truncated == 4
    assert model.encode_counted([fits])[1] == 0
    assert model.encode_counted([fits, long, longer])[1] == 2
    assert model.encode_counted(iter(texts))[1] == 4
    np.testing.assert_allclose(vectors[0], model.encode(fits), atol=1e-5)  # what is left of it
    blocks = model.encode_blocks([texts[:3], texts[3:]])
    assert [count for _, count in blocks] == [2, 2]


def test_prompts():
    model = make(prompts={"query": "cat: ", "document": ""})
    plain = model.encode(TEXTS)
    prompted = model.encode(["cat: " + text for text in TEXTS])
    np.testing.assert_allclose(model.encode(TEXTS, prompt_name="query"), prompted, atol=1e-5)
    np.testing.assert_allclose(model.encode(TEXTS, prompt="cat: "), prompted, atol=1e-5)
    np.testing.assert_allclose(model.encode(TEXTS, prompt_name="document"), plain, atol=1e-5)
    with pytest.raises(ConfigError, match=r"prompt_name = 'queries'.*query, document"):
        model.encode(TEXTS, prompt_name="queries")
    with pytest.raises(ConfigError, match="no prompts"):
        make().encode(TEXTS, prompt_name="query")


def test_the_default_prompt_is_used_unless_another_or_none_is_asked_for():
    model = make(prompts={"query": "cat: ", "other": "dog: "}, default_prompt="query")
    np.testing.assert_allclose(model.encode("sun"), model.encode("sun", prompt="cat: "), atol=1e-5)
    np.testing.assert_allclose(
        model.encode("sun", prompt_name="other"), model.encode("sun", prompt="dog: "), atol=1e-5
    )
    np.testing.assert_allclose(model.encode("sun", prompt=""), make().encode("sun"), atol=1e-5)


def test_a_prompt_can_be_left_out_of_the_pooling():
    model = make(prompts={"query": "cat dog "}, include_prompt=False, pooling=("mean",))
    batch_of = model.tokenizer(["cat dog sun moon"])
    assert len(batch_of[0]) == 6  # [CLS] cat dog sun moon [SEP]
    with torch.no_grad():
        hidden = model.encoder(PackedBatch.of(batch_of))[:6]
    expected = hidden[3:].mean(0).numpy()
    np.testing.assert_allclose(model.encode("sun moon", prompt_name="query"), expected, atol=1e-5)


def test_options_of_a_call():
    model = make(normalize=True)
    whole = model.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)
    short = model.encode(TEXTS, truncate_dim=8)
    np.testing.assert_array_equal(short, whole[:, :8])
    scaled = model.encode(TEXTS, truncate_dim=8, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), 1, atol=1e-5)
    plain = make()
    np.testing.assert_allclose(plain.encode(TEXTS, normalize=True), whole, atol=1e-5)
    np.testing.assert_allclose(model.encode(TEXTS, normalize=False), plain.encode(TEXTS), atol=1e-5)
    assert model.encode(TEXTS, truncate_dim=1000).shape == (40, WIDTH)


def test_the_model_is_as_it_was_after_encoding():
    model = make().train()
    model.encode(TEXTS, dtype="bf16")
    assert model.training
    assert model.encoder.training
    assert model.encoder.dtype == torch.float32
    stream = model.encode_blocks([TEXTS[:3]] * 5, dtype="bf16")
    first = next(stream)[0]
    assert not model.training  # dropout is off while it encodes
    assert model.encoder.dtype == torch.bfloat16
    for _ in stream:
        break
    stream.close()
    assert model.training
    assert model.encoder.dtype == torch.float32
    assert np.abs(first - model.encode(TEXTS[:3])).max() > 0
    with pytest.raises(DataError):
        model.encode(["fine", None], dtype="bf16")
    assert model.training
    assert model.encoder.dtype == torch.float32


def test_bf16_is_near_fp32():
    model = make()
    exact, near = model.encode(TEXTS), model.encode(TEXTS, dtype="bf16")
    cosines = (exact * near).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(near, axis=1)
    assert near.dtype == np.float32
    assert 0.99 < cosines.min() < 1


def test_progress_stays_off_stdout(capsys):
    make().encode(TEXTS, progress=True)
    assert capsys.readouterr().out == ""
