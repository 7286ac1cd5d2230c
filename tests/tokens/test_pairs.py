"""Two texts as one sequence: token by token what the tokenizer of `transformers` gives."""

import numpy as np
import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, processors
from transformers import ByT5Tokenizer, CanineTokenizer, PreTrainedTokenizerFast

from tenor.errors import ModelError
from tenor.tokens import tokenizer as module
from tenor.tokens.tokenizer import Tokenizer
from tiny import LETTERS, random_texts, tiny_hf_tokenizer, tiny_tokenizer

SPECIALS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
LEFT = [
    "",
    "the cat",
    *random_texts(30, seed=1, words=(1, 9)),
    "dog " * 30,
    "dog " * 30,
    "a",
    "b c",
    "e",
]
RIGHT = [
    "a dog",
    "",
    *random_texts(30, seed=2, words=(1, 9)),
    "sky " * 30,
    "red",
    "sun " * 30,
    "d e",
    "f",
]


def byte_pair_tokenizer():
    """Joins pairs as RoBERTa does: <s> A </s></s> B </s>, all of type 0."""
    tokens = [*SPECIALS.values(), *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Backend(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=names, **SPECIALS)


def unigram_tokenizer():
    """SentencePiece's marks at the words' beginnings; joins pairs as DeBERTa does."""
    tokens = ["[CLS]", "[SEP]", "[PAD]", "[UNK]", "\u2581", *LETTERS]
    vocabulary = [(token, -float(place)) for place, token in enumerate(tokens)]
    backend = Backend(models.Unigram(vocabulary, unk_id=3))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 0), ("[SEP]", 1)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        unk_token="[UNK]",
        pad_token="[PAD]",
    )


TOKENIZERS = {
    "bert": tiny_hf_tokenizer,
    "roberta": byte_pair_tokenizer,
    "deberta": unigram_tokenizer,
    "slow bytes": ByT5Tokenizer,
    "slow characters": CanineTokenizer,
}


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("limit", [7, 8, 12, 40])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_pairs_are_those_of_the_hugging_face_tokenizer(name, limit, side):
    plain = TOKENIZERS[name]()
    plain.truncation_side = side
    types = "token_type_ids" in plain.model_input_names
    found = Tokenizer(plain, 50).pairs(LEFT, RIGHT, max_length=limit)
    for row, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
        if not right and not plain.is_fast:  # which then leave the closing token out
            continue
        # In lists: alone, an empty second text counts as none to some tokenizers.
        whole = plain([left], [right])["input_ids"][0]
        expected = plain([left], [right], truncation=True, max_length=limit)
        assert found[row].tolist() == expected["input_ids"][0], (left, right)
        assert bool(found.cut[row]) == (len(whole) > limit)
        if types:
            span = slice(found.offsets[row], found.offsets[row + 1])
            assert found.types[span].tolist() == expected["token_type_ids"][0]
    assert types or found.types is None
    assert 0 < found.truncated < len(LEFT)


def test_the_longer_text_is_cut_first():
    ids = tiny_tokenizer(9).pairs(["the cat"], ["dog " * 20])
    assert len(ids[0]) == 9
    short = tiny_tokenizer(9).pairs(["the cat"], ["dog " * 4])
    assert np.array_equal(ids[0], short[0])
    assert short.truncated == 0 and ids.truncated == 1


def test_a_text_of_many_pairs_is_tokenised_once(monkeypatch):
    seen = []
    encode = Tokenizer._encode_bare
    monkeypatch.setattr(
        Tokenizer, "_encode_bare", lambda self, t, n: (seen.extend(t), encode(self, t, n))[1]
    )
    tiny_tokenizer().pairs(["the cat"] * 3, ["a dog", "red", "the cat"])
    assert sorted(seen) == ["a dog", "red", "the cat"]


def test_many_tokens_go_to_a_file(monkeypatch):
    tokenizer = tiny_tokenizer()
    expected = tokenizer.pairs(LEFT, RIGHT)
    monkeypatch.setattr(module, "MAPPED_BYTES", 100)
    monkeypatch.setattr(module, "BLOCK", 5)
    pieces = tokenizer.pair_tokens([*LEFT, *RIGHT])
    assert isinstance(pieces.ids.ids, np.memmap)
    rows = np.arange(len(LEFT))
    found = pieces(rows, rows + len(LEFT))
    assert np.array_equal(found.ids, expected.ids)
    assert np.array_equal(found.types, expected.types)


def test_pairs_leave_single_texts_as_they_were():
    tokenizer = tiny_tokenizer(6)
    before = tokenizer(LEFT)
    tokenizer.pairs(LEFT, RIGHT)
    assert np.array_equal(tokenizer(LEFT).ids, before.ids)


def test_lower_casing_reaches_pairs():
    plain = tiny_tokenizer(lower_case=True).pairs(["THE cat"], ["A Dog"])
    assert np.array_equal(plain.ids, tiny_tokenizer().pairs(["the cat"], ["a dog"]).ids)


def test_no_room_for_two_texts():
    with pytest.raises(ModelError, match="two texts beside the 3 special tokens"):
        tiny_tokenizer().pairs(["a"], ["b"], max_length=4)


def test_no_pairs_at_all():
    found = tiny_tokenizer().pairs([], [])
    assert len(found) == 0 and found.truncated == 0
