import gc

import numpy as np
import pytest
import torch
from transformers import ByT5Tokenizer, CanineTokenizer

from tenor.errors import ModelError
from tenor.tokens import tokenizer as module
from tenor.tokens.packed import PackedBatch
from tenor.tokens.tokenizer import Tokenizer
from tiny import VOCABULARY, random_texts, tiny_hf_tokenizer, tiny_tokenizer


def expected_ids(tokenizer, texts, limit):
    return [tokenizer(text, truncation=True, max_length=limit)["input_ids"] for text in texts]


def lists(ids):
    return [ids[i].tolist() for i in range(len(ids))]


TEXTS = [
    "the cat sits",
    "",
    "a dog runs far up the road and eats fish",
    "  qx  ",
    "\u00c9t\u00e9 \u4e2d",
]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("limit", [3, 5, 24])
def test_ids_are_those_of_the_hugging_face_tokenizer(limit, side):
    plain = tiny_hf_tokenizer()
    plain.truncation_side = side
    expected = expected_ids(plain, TEXTS, limit)
    assert lists(Tokenizer(plain, limit)(TEXTS)) == expected
    assert lists(tiny_tokenizer(24)(TEXTS, max_length=limit)) == expected or side == "left"


def test_a_text_of_just_the_limit_is_not_truncated():
    words = ["the", "cat", "sits", "on", "a", "tree"]
    limit = len(words) + 2
    texts = [" ".join(words[:-1]), " ".join(words), " ".join([*words, "far"])]
    ids = tiny_tokenizer(limit)(texts)
    assert ids.lengths.tolist() == [limit - 1, limit, limit]
    assert ids.cut.tolist() == [False, False, True]
    assert ids.truncated == 1


def test_a_limit_for_one_call_does_not_last():
    tokenizer = tiny_tokenizer(24)
    text = " ".join(["cat"] * 30)
    assert tokenizer([text], max_length=4).lengths.tolist() == [4]
    assert tokenizer([text]).lengths.tolist() == [24]


def test_padding_and_truncation_set_before_have_no_effect():
    plain = tiny_hf_tokenizer()
    plain(["cat", "the cat sits on"], padding="max_length", truncation=True, max_length=4)
    ids = Tokenizer(plain, 24)(["cat", "the cat sits on"])
    assert ids.lengths.tolist() == [3, 6]


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_limit_without_room_for_text_is_refused(limit):
    with pytest.raises(ModelError, match="max_seq_length"):
        tiny_tokenizer(limit)
    with pytest.raises(ModelError, match="max_seq_length"):
        tiny_tokenizer(24)(["cat"], max_length=limit)


def test_lower_case_is_done_before_the_tokenizer_sees_a_text():
    plain = ByT5Tokenizer()
    found = Tokenizer(plain, 20, lower_case=True)(["A Cat"])
    assert found[0].tolist() == plain("a cat")["input_ids"]
    assert Tokenizer(plain, 20)(["A Cat"])[0].tolist() == plain("A Cat")["input_ids"]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", [ByT5Tokenizer, CanineTokenizer])
def test_slow_tokenizers(kind, side):
    plain = kind()
    assert not plain.is_fast
    plain.truncation_side = side
    texts = ["a cat", "a cat that is longer than twelve", "", "x" * (12 - plain_specials(plain))]
    ids = Tokenizer(plain, 12)(texts)
    assert lists(ids) == expected_ids(plain, texts, 12)
    assert ids.cut.tolist() == [False, True, False, False]
    assert ids.lengths[3] == 12


def plain_specials(tokenizer):
    return tokenizer.num_special_tokens_to_add(pair=False)


def test_an_iterator_is_taken_block_by_block(monkeypatch):
    texts = random_texts(50)
    expected = tiny_tokenizer()(texts)
    monkeypatch.setattr(module, "BLOCK", 8)
    found = tiny_tokenizer()(iter(texts))
    assert lists(found) == lists(expected)
    assert found.cut.tolist() == expected.cut.tolist()


@pytest.mark.parametrize("count", [48, 50])  # the last block full, and not
def test_large_ids_lie_in_a_mapped_file(monkeypatch, count):
    texts = random_texts(count)
    expected = tiny_tokenizer(8)(texts)
    assert not isinstance(expected.ids, np.memmap)
    monkeypatch.setattr(module, "BLOCK", 8)
    monkeypatch.setattr(module, "MAPPED_BYTES", 500)
    found = tiny_tokenizer(8)(iter(texts))
    gc.collect()  # an unclosed file would warn here
    assert isinstance(found.ids, np.memmap)
    assert lists(found) == lists(expected)
    assert found.truncated == expected.truncated > 0
    for rounded in (True, False):
        batch = PackedBatch.of(found, [3, 1], rounded=rounded)
        assert torch.equal(
            batch.token_ids, PackedBatch.of(expected, [3, 1], rounded=rounded).token_ids
        )


def test_no_texts():
    ids = tiny_tokenizer()([])
    assert len(ids) == 0
    assert ids.truncated == 0


def test_a_prompt_counts_its_opening_special_token_but_not_the_closing_one():
    tokenizer = tiny_tokenizer()
    prompt, text = "the cat ", "runs far"
    length = tokenizer.prompt_length(prompt)
    whole = tokenizer([prompt + text])[0].tolist()
    assert [VOCABULARY[i] for i in whole[:length]] == ["[CLS]", "the", "cat"]
    assert Tokenizer(ByT5Tokenizer(), 20).prompt_length("ab") == 2
    assert Tokenizer(CanineTokenizer(), 20).prompt_length("ab") == 3


def test_filler_is_the_padding_token():
    assert tiny_tokenizer().filler_id == 0
    plain = tiny_hf_tokenizer()
    plain.pad_token = None
    assert Tokenizer(plain, 8).filler_id == 0
    plain.pad_token = "[MASK]"
    assert Tokenizer(plain, 8).filler_id == VOCABULARY.index("[MASK]")


def test_a_saved_tokenizer_gives_the_same_ids(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = tiny_tokenizer(8)
    texts = random_texts(20)
    before = lists(tokenizer(texts))
    tokenizer.save(tmp_path)
    again = Tokenizer(AutoTokenizer.from_pretrained(tmp_path), 8)
    assert lists(again(texts)) == before
