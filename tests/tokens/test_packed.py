from itertools import pairwise

import numpy as np
import pytest
import torch

from tenor.tokens.packed import GROUP_SCORES, GROUP_STEP, GROUP_WASTE, Layout, PackedBatch, round_up
from tenor.tokens.token_ids import TokenIds
from tiny import random_ids

SORTED = [70, 69, 60, 41, 40, 33, 20, 20, 20, 13, 12, 6, 5, 2, 1]
CASES = [
    SORTED,
    SORTED[::-1],
    [3, 60, 3, 3, 41, 1, 70, 5],
    [7],
    [9] * 40,
    [300] * 5,
    [500, 499, 3],
]


def test_rounding_wastes_little_and_knows_few_sizes():
    sizes = np.arange(1, 40_000)
    rounded = np.array([round_up(int(size)) for size in sizes])
    assert (rounded >= sizes).all()
    assert (rounded % 64 == 0).all()
    assert (np.diff(rounded) >= 0).all()
    assert (rounded - sizes < 64)[sizes <= 512].all()
    assert (rounded / sizes)[sizes > 512].max() < 1.13
    assert len(np.unique(rounded[sizes <= 8192])) <= 48
    assert all(round_up(int(size)) == size for size in np.unique(rounded))


@pytest.mark.parametrize("lengths", CASES, ids=str)
def test_groups_cover_every_text_and_token_once(lengths):
    lengths = np.array(lengths, dtype=np.int64)
    groups = Layout.of(lengths).groups
    assert groups[0].first == groups[0].start == 0
    for group, following in pairwise(groups):
        assert following.first == group.first + group.texts
        assert following.start == group.stop
    assert groups[-1].first + groups[-1].texts == len(lengths)
    assert groups[-1].stop == lengths.sum()
    for group in groups:
        inside = lengths[group.first : group.first + group.texts]
        assert group.length == inside.max()
        assert group.stop - group.start == inside.sum()
        near = inside.max() - inside.min() < max(GROUP_STEP, inside.max() // 8)
        assert near or (inside.max() ** 2 - inside**2).sum() < GROUP_WASTE
        assert group.texts == 1 or group.texts * group.length**2 <= GROUP_SCORES
        assert (group.padding is None) == (inside.min() == inside.max())


@pytest.mark.parametrize("lengths", CASES, ids=str)
def test_a_padded_group_holds_each_text_in_its_row_and_unpads_to_itself(lengths):
    lengths = np.array(lengths, dtype=np.int64)
    tokens = torch.randn(int(lengths.sum()), 2, 3, requires_grad=True)
    texts = tokens.detach().split(lengths.tolist())
    back = []
    for group in Layout.of(lengths).groups:
        part = tokens[group.start : group.stop]
        block = group.pad(part)
        assert block.shape == (group.texts, group.length, 2, 3)
        for row in range(group.texts):
            text = texts[group.first + row]
            assert torch.equal(block[row, : len(text)], text)
            assert not block[row, len(text) :].any()
            if group.padding is not None:
                assert group.padding[row].tolist() == [i >= len(text) for i in range(group.length)]
        back.append(group.unpad(block))
    assert torch.equal(torch.cat(back), tokens)
    torch.cat(back).sum().backward()
    assert torch.equal(tokens.grad, torch.ones_like(tokens))


@pytest.mark.parametrize("rows", [None, [4, 0, 2], np.array([3, 3, 1])], ids=str)
def test_a_batch_holds_the_rows_in_their_order(rows):
    ids = random_ids([9, 1, 30, 4, 17], types=True)
    batch = PackedBatch.of(ids, rows, filler_id=99)
    chosen = range(5) if rows is None else list(rows)
    assert batch.texts == len(chosen)
    start = 0
    for row in chosen:
        length = int(ids.lengths[row])
        part = slice(start, start + length)
        types = ids.types[ids.offsets[row] : ids.offsets[row + 1]]
        assert batch.token_ids[part].tolist() == ids[row].tolist()
        assert batch.type_ids[part].tolist() == types.tolist()
        assert batch.position_ids[part].tolist() == list(range(length))
        start += length
    assert batch.tokens == round_up(start) == batch.lengths.sum()
    assert (batch.token_ids[start:] == 99).all()
    assert not batch.type_ids[start:].any()
    for tensor in (batch.token_ids, batch.position_ids, batch.type_ids):
        assert tensor.dtype == torch.int64


def test_fillers_are_no_longer_than_the_longest_text():
    ids = random_ids([10] * 7)
    batch = PackedBatch.of(ids)  # 70 tokens and 58 fillers
    assert batch.texts == 7
    assert batch.tokens == 128
    assert batch.lengths.tolist() == [10] * 12 + [8]
    assert batch.position_ids.max() == 9
    assert sum(group.texts for group in batch.layout.groups) == 13


def test_without_rounding_there_is_no_filler():
    batch = PackedBatch.of(random_ids([3, 2]), rounded=False)
    assert batch.tokens == 5
    assert batch.lengths.tolist() == [3, 2]
    assert batch.type_ids is None


def test_no_rows():
    batch = PackedBatch.of(TokenIds.of([[1, 2]]), [])
    assert batch.texts == batch.tokens == 0
    assert batch.layout.groups == ()


def test_moving_to_another_device_moves_the_layout():
    batch = PackedBatch.of(random_ids([9, 5, 2], types=True))
    assert batch.to("cpu") is batch
    moved = batch.to("meta")
    assert moved.device.type == "meta"
    assert moved.type_ids.device.type == moved.position_ids.device.type == "meta"
    assert {g.padding.device.type for g in moved.layout.groups if g.padding is not None} == {"meta"}
    assert moved.texts == 3
    assert moved.lengths.tolist() == batch.lengths.tolist()
