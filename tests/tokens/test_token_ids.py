import numpy as np

from tenor.tokens.token_ids import TokenIds


def test_texts_come_back_as_they_went_in():
    texts = [[5, 6, 7], [], [8], [9, 10]]
    ids = TokenIds.of(texts)
    assert len(ids) == 4
    assert [ids[i].tolist() for i in range(4)] == texts
    assert ids.lengths.tolist() == [3, 0, 1, 2]
    assert ids.ids.dtype == np.int32
    assert ids.offsets.dtype == np.int64


def test_no_texts():
    ids = TokenIds.of([])
    assert len(ids) == 0
    assert ids.lengths.tolist() == []
    assert ids.truncated == 0


def test_truncated_texts_are_counted():
    ids = TokenIds.of([[1], [2], [3]])
    assert ids.truncated == 0
    cut = np.array([True, False, True])
    assert TokenIds(ids.ids, ids.offsets, cut=cut).truncated == 2
