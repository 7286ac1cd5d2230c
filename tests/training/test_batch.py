from dataclasses import replace

import numpy as np
import pytest
import torch

from tenor.errors import DataError
from tenor.training.batch import TrainingData
from tiny import tiny_data, tiny_tokenizer

COLUMNS = {
    "anchor": ["the cat", "a dog runs far", "the cat", "sun"],
    "positive": ["a dog runs far", "moon", "the cat", "red fire burns on"],
}


def data(target=None):
    return TrainingData.of(COLUMNS, target, tiny_tokenizer())


def test_what_is_no_text_is_named_by_row_and_column():
    wrong = {**COLUMNS, "positive": [*COLUMNS["positive"][:3], "\ud800"]}
    with pytest.raises(DataError, match=r"^row 4, column 'positive': "):
        TrainingData.of(wrong, None, tiny_tokenizer())


def test_each_distinct_text_is_tokenised_once():
    found = data()
    assert len(found) == 4
    assert len(found.ids) == 5
    tokenizer = tiny_tokenizer()
    for name, texts in COLUMNS.items():
        for row, text in enumerate(texts):
            expected = tokenizer([text])[0].tolist()
            assert found.ids[found.columns[name][row]].tolist() == expected


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [2], [3, 0], [1, 1]], ids=str)
def test_a_batch_holds_each_distinct_text_once_and_points_to_it(rows):
    batch = data().batch(np.array(rows))
    texts = {COLUMNS[name][row] for name in COLUMNS for row in rows}
    assert len(batch.texts) == len(set(batch.texts)) == len(texts)
    lengths = batch.ids.lengths[batch.texts]
    assert (np.diff(lengths) <= 0).all()
    assert batch.tokens == lengths.sum()
    assert list(batch.columns) == ["anchor", "positive"]
    tokenizer = tiny_tokenizer()
    for name, index in batch.columns.items():
        assert index.dtype == torch.int64
        for place, row in zip(index.tolist(), rows, strict=True):
            expected = tokenizer([COLUMNS[name][row]])[0].tolist()
            assert batch.ids[batch.texts[place]].tolist() == expected


def test_the_packed_batch_is_in_the_order_of_the_index():
    batch = data().batch(np.arange(4))
    packed = batch.packed()
    assert packed.texts == len(batch.texts)
    starts = np.cumsum([0, *packed.lengths])
    for place, text in enumerate(batch.texts):
        part = packed.token_ids[starts[place] : starts[place + 1]]
        assert part.tolist() == batch.ids[text].tolist()
    some = batch.packed(np.array([3, 1]))
    assert some.lengths[:2].tolist() == batch.ids.lengths[batch.texts[[3, 1]]].tolist()


@pytest.mark.parametrize(
    "target", [np.array([0.1, 0.9, 0.5, 0.0], dtype=np.float32), np.array([2, 0, 1, 2])], ids=str
)
def test_scores_and_labels_follow_their_rows(target):
    found = data(target).batch(np.array([3, 1])).target
    assert torch.equal(found, torch.from_numpy(target[[3, 1]]))
    assert data().batch(np.array([3, 1])).target is None


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_processes_share_the_texts_and_about_the_same_work(processes):
    batch = tiny_data(rows=60).batch(np.arange(60))
    shares = [batch.share(process, processes) for process in range(processes)]
    assert sorted(np.concatenate(shares)) == list(range(len(batch.texts)))
    work = [int(batch.ids.lengths[batch.texts[share]].sum()) for share in shares]
    assert max(work) - min(work) <= batch.ids.lengths.max()


@pytest.mark.parametrize("tokens", [1, 40, 10_000])
def test_chunks_cover_what_they_are_made_of_within_the_budget(tokens):
    batch = tiny_data(rows=30).batch(np.arange(30))
    positions = batch.share(1, 2)
    chunks = list(batch.chunks(tokens, positions))
    assert sorted(np.concatenate(chunks)) == positions.tolist()
    for chunk in chunks:
        assert len(chunk) == 1 or batch.ids.lengths[batch.texts[chunk]].sum() <= tokens


def test_columns_kept_apart_hold_a_text_once_each():
    """SimCSE: a text and itself are encoded twice; equal rows still share their encodings."""
    found = data()
    anchors = found.columns["anchor"]
    twice = replace(found, columns={"anchor": anchors, "positive": anchors}, columns_apart=True)
    batch = twice.batch(np.arange(4))  # "the cat" is in two rows
    assert len(batch.texts) == 2 * 3
    assert (np.diff(batch.ids.lengths[batch.texts]) <= 0).all()
    anchor, positive = (batch.columns[name].tolist() for name in ("anchor", "positive"))
    assert not set(anchor) & set(positive)
    assert (anchor[0], positive[0]) == (anchor[2], positive[2])
    for side in (anchor, positive):
        assert batch.texts[side].tolist() == anchors.tolist()
    assert batch.tokens == 2 * sum(len(batch.ids[text]) for text in set(anchors.tolist()))


def test_groups_follow_their_rows():
    found = replace(data(), groups=np.array([3, 3, 9, 4]))
    assert found.batch(np.array([2, 0])).groups.tolist() == [9, 3]
    assert data().batch(np.arange(2)).groups is None
