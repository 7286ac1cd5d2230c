"""Masking: how much, of what, in which way; and documents cut into blocks without a loss."""

import numpy as np
import pytest
import torch

from tenor.data.noise import VocabularyFacts
from tenor.errors import ConfigError
from tenor.tokens.packed import PackedBatch
from tenor.training.denoising import vocabulary_facts
from tenor.training.masking import Masking, cut_in_blocks
from tiny import LETTERS, random_ids, random_texts, tiny_tokenizer

FACTS = vocabulary_facts(tiny_tokenizer())
BIG = VocabularyFacts.of(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *("w" for _ in range(63)), *["##x"] * 60],
    [0, 2, 3, 4],
    4,
)


def masked(share=0.15, *, seed=0, count=400, **options):
    batch = PackedBatch.of(random_ids([20] * count), filler_id=0)
    return batch, Masking(facts=BIG, share=share, **options).mask(batch, seed)


def test_masks_the_usual_shares():
    batch, made = masked()
    real = made.targets >= 0
    places, targets = made.places[real], made.targets[real]
    ordinary = 20 * 400
    assert len(places) / ordinary == pytest.approx(0.15, abs=0.01)
    assert torch.equal(batch.token_ids[places], targets), "the targets are what stood there"
    now = made.batch.token_ids[places]
    assert (now == BIG.mask_id).float().mean() == pytest.approx(0.8, abs=0.03)
    assert ((now != BIG.mask_id) & (now != targets)).float().mean() == pytest.approx(0.1, abs=0.03)
    untouched = torch.ones(batch.tokens, dtype=torch.bool)
    untouched[places] = False
    assert torch.equal(batch.token_ids[untouched], made.batch.token_ids[untouched])
    text = torch.repeat_interleave(torch.arange(len(batch.lengths)), torch.tensor(batch.lengths))
    assert torch.equal(made.texts[real], text[places])


def test_neither_special_tokens_nor_the_filler_are_chosen():
    tokenizer = tiny_tokenizer()
    ids = tokenizer(random_texts(30))
    batch = PackedBatch.of(ids, filler_id=7)  # an ordinary token
    made = Masking(facts=FACTS, share=0.9).mask(batch, 0)
    chosen = made.targets[made.targets >= 0]
    assert not FACTS.special[chosen].any()
    assert made.places.max() < int(ids.lengths.sum())


def test_whole_words_are_chosen_with_all_their_tokens():
    batch, made = masked(0.3, whole_words=True)
    chosen = torch.zeros(batch.tokens, dtype=torch.bool)
    chosen[made.places[made.targets >= 0]] = True
    continues = torch.from_numpy(BIG.continues[batch.token_ids.numpy()])
    inside = continues & (batch.position_ids > 0)
    inside[0] = False
    places = inside.nonzero()[:, 0]
    assert torch.equal(chosen[places], chosen[places - 1])
    assert 0.2 < chosen.float().mean() < 0.4


def test_the_same_seed_masks_the_same():
    one, other, another = (masked(seed=seed)[1] for seed in (3, 3, 4))
    assert torch.equal(one.batch.token_ids, other.batch.token_ids)
    assert not torch.equal(one.batch.token_ids, another.batch.token_ids)


def test_at_least_one_token_is_chosen_where_there_is_an_ordinary_one():
    ids = tiny_tokenizer()(["the cat"])
    made = Masking(facts=FACTS, share=1e-9).mask(PackedBatch.of(ids), 0)
    assert int((made.targets >= 0).sum()) == 1
    empty = tiny_tokenizer()([""])
    made = Masking(facts=FACTS).mask(PackedBatch.of(empty), 0)
    assert int((made.targets >= 0).sum()) == 0


def test_what_cannot_be_is_named():
    with pytest.raises(ConfigError, match="mask_share"):
        Masking(facts=FACTS, share=0.0)
    without = VocabularyFacts.of(["a"], [], None)
    with pytest.raises(ConfigError, match="no mask token"):
        Masking(facts=without)


def test_long_documents_are_cut_without_losing_a_token():
    tokenizer = tiny_tokenizer(max_length=10)
    documents = [" ".join(LETTERS[:count]) for count in (1, 8, 9, 26)] + [""]
    blocks = cut_in_blocks(tokenizer, documents)
    assert blocks.lengths.max() <= 10
    assert blocks.lengths.tolist() == [3, 10, 6, 7, 8, 9, 8, 9, 2]
    bodies = []
    for block in range(len(blocks)):
        ids = blocks[block]
        assert ids[0] == 2
        assert ids[-1] == 3
        bodies.append(ids[1:-1])
    whole = tokenizer(documents, max_length=1_000)
    expected = [whole[row][1:-1] for row in range(len(documents))]
    assert np.concatenate(bodies).tolist() == np.concatenate(expected).tolist()
    assert blocks.truncated == 0
