"""Lists of candidates: never a false negative, another draw each epoch, the same after a resume."""

import numpy as np
import pytest
import torch

from tenor.errors import DataError
from tenor.tokens.packed import PackedBatch
from tenor.training.candidate_data import CandidateData
from tenor.training.vocabulary import UsedVocabulary
from tiny import random_texts, tiny_tokenizer
from tiny_pairs import tiny_cross_encoder

ROWS = 24


def columns(negatives=0):
    found = {
        "anchor": random_texts(ROWS, seed=1),
        "positive": random_texts(ROWS, seed=2),
    }
    for number in range(negatives):
        name = "negative" if number == 0 else f"negative_{number + 1}"
        found[name] = random_texts(ROWS, seed=3 + number)
    return found


def make(given=None, *, negatives=4, seed=0):
    return CandidateData.lists(
        given or columns(), tiny_tokenizer(60), negatives=negatives, seed=seed
    )


def texts_of(batch, tokenizer):
    """For each row, the decoded pairs of its candidates."""
    decoded = [
        tokenizer.tokenizer.decode(batch.ids[int(text)].tolist(), skip_special_tokens=False)
        for text in batch.texts
    ]
    index = torch.stack(list(batch.columns.values()), dim=1)
    return [[decoded[place] for place in row] for row in index.tolist()]


def pair(left, right):
    return f"[CLS] {left} [SEP] {right} [SEP]"


def test_the_positive_comes_first_and_then_the_given_negatives():
    given = columns(2)
    data = make(given, negatives=3)
    rows = np.array([5, 0, 11])
    found = texts_of(data.batch(rows), tiny_tokenizer())
    for row, candidates in zip(rows.tolist(), found, strict=True):
        assert len(candidates) == 6
        names = ("positive", "negative", "negative_2")
        assert candidates[:3] == [pair(given["anchor"][row], given[n][row]) for n in names]


def test_no_candidate_is_a_positive_of_the_anchor_or_the_anchor():
    given = columns()
    given["anchor"][:8] = ["the cat", "The  CAT", *["the cat"] * 6]
    given["positive"][8] = "the cat"  # in the pool, and an anchor
    data = make(given, negatives=6)
    barred = {text.lower() for text in given["positive"][:8]} | {"the cat"}
    allowed = {text for text in given["positive"][8:] if text not in barred}
    for start in range(0, 8, 2):
        for candidates in texts_of(data.batch(np.array([start, start + 1])), tiny_tokenizer()):
            drawn = candidates[1:]
            assert len(set(drawn)) == 6
            assert set(drawn) <= {pair("the cat", text) for text in allowed}


def test_a_given_negative_that_is_a_positive_does_not_count():
    given = columns(1)
    given["anchor"][:2] = ["the cat", "the cat"]
    given["negative"][0] = given["positive"][1].upper()
    batch = make(given, negatives=0).batch(np.array([0, 1]))
    places = {name: column.tolist() for name, column in batch.columns.items()}
    assert places["negative_1"][0] == places["positive"][0]
    assert places["negative_1"][1] != places["positive"][1]


def test_a_row_with_too_few_other_texts_is_filled_up_with_its_positive():
    given = {"anchor": ["a", "b", "c"], "positive": ["one", "two", "three"]}
    batch = make(given, negatives=5).batch(np.arange(3))
    places = torch.stack(list(batch.columns.values()), dim=1)
    for row in places:
        assert (row == row[0]).sum() == 4  # itself and three places that nothing fills
        assert len(set(row.tolist())) == 3


def test_draws_come_from_seed_and_rows_alone():
    rows = np.array([3, 4, 9])
    first = texts_of(make().batch(rows), tiny_tokenizer())
    assert texts_of(make().batch(rows), tiny_tokenizer()) == first
    other = texts_of(make().batch(np.array([3, 4, 10])), tiny_tokenizer())
    assert first[0] != other[0]  # another batch, as in another epoch
    assert texts_of(make(seed=1).batch(rows), tiny_tokenizer()) != first


def test_there_must_be_something_to_draw():
    with pytest.raises(DataError, match="none can be drawn"):
        make({"anchor": ["a", "b"], "positive": ["one", "One"]})
    with pytest.raises(DataError, match="none can be drawn"):
        make(negatives=0)


def test_pairs_are_sorted_longest_first_and_texts_that_are_too_long_counted():
    given = columns()
    given["positive"][0] = "sky " * 70
    data = make(given)
    assert data.ids.truncated == 1
    batch = data.batch(np.arange(4))
    lengths = batch.ids.lengths[batch.texts]
    assert (np.diff(lengths) <= 0).all() and lengths[0] == 60


def test_a_cut_vocabulary_gives_the_same_logits():
    model = tiny_cross_encoder(max_length=60)
    data = make()
    rows = np.array([1, 2, 3])
    with torch.no_grad():
        expected = model(data.batch(rows).packed())
        cut = UsedVocabulary(model.encoder.transformer.get_input_embeddings(), data)
        found = model(cut.data.batch(rows).packed())
        cut.restore()
    torch.testing.assert_close(found, expected)
    assert isinstance(data.batch(rows).packed(), PackedBatch)
