"""Texts without a token, which some tokenizers make of an empty text or an unknown script."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as RawTokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from tenor.models.embedder import Embedder
from tenor.models.pooling import POOLING_MODES, Pooling
from tenor.tokens.packed import PackedBatch
from tenor.tokens.tokenizer import Tokenizer
from tiny import FIRST, WORDS, random_ids, tiny_encoder

WIDTH = 16
# In groups of their own, within a ragged group, first, in the middle, last, and nothing else.
LENGTHS = [[40, 0], [5, 4, 0], [0, 5, 0, 6], [0, 40, 40, 0, 0], [7, 7, 0], [0], [0, 0]]


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("skip", [0, 2])
@pytest.mark.parametrize("modes", [*((mode,) for mode in POOLING_MODES), POOLING_MODES])
def test_a_text_without_tokens_becomes_zeros_and_the_others_do_not_notice(modes, skip, lengths):
    batch = PackedBatch.of(random_ids(lengths), rounded=False)
    hidden = torch.randn(batch.tokens, WIDTH, requires_grad=True)
    found = Pooling(modes, WIDTH)(hidden, batch, skip)
    full = [i for i, length in enumerate(lengths) if length]
    assert found.shape == (len(lengths), WIDTH * len(modes))
    assert not found[[i for i, length in enumerate(lengths) if not length]].any()
    if full:
        alone = PackedBatch.of(random_ids([lengths[i] for i in full]), rounded=False)
        torch.testing.assert_close(found[full], Pooling(modes, WIDTH)(hidden, alone, skip))
        found.sum().backward()
        assert hidden.grad.isfinite().all()


@pytest.mark.parametrize("packed", [None, False], ids=["packed", "padded"])
@pytest.mark.parametrize("texts", [["", "the cat", ""], [""], ["", ""]], ids=str)
def test_an_embedder_of_bare_words_encodes_nothing_as_zeros(texts, packed):
    vocabulary = {word: FIRST + i for i, word in enumerate(WORDS)} | {"[UNK]": 1, "[PAD]": 0}
    raw = RawTokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = WhitespaceSplit()
    bare = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="[UNK]", pad_token="[PAD]")
    for pooling in POOLING_MODES:
        model = Embedder(
            tiny_encoder(packed=packed), Tokenizer(bare, 24), pooling=(pooling,), normalize=True
        ).eval()
        found = model.encode(texts)
        assert np.isfinite(found).all()
        for text, vector in zip(texts, found, strict=True):
            assert np.linalg.norm(vector) == pytest.approx(1.0 if text else 0.0, abs=1e-5)
