"""Reciprocal rank fusion against the formula, worked out by hand."""

import numpy as np
import pytest

from tenor.errors import ConfigError
from tenor.search.fusion import fuse_rankings


def test_scores_are_those_of_the_paper():
    scores, rows = fuse_rankings([np.array([4, 2, 9]), np.array([2, 7])])
    expected = {2: 1 / 62 + 1 / 61, 4: 1 / 61, 7: 1 / 62, 9: 1 / 63}
    assert rows.tolist() == [2, 4, 7, 9]
    assert scores == pytest.approx([expected[row] for row in rows])


def test_documents_that_tie_come_in_the_order_of_the_rows():
    _, rows = fuse_rankings([np.array([9]), np.array([3])])
    assert rows.tolist() == [3, 9]


def test_empty_rankings_are_no_obstacle():
    scores, rows = fuse_rankings([np.array([], dtype=np.int64), np.array([5])])
    assert rows.tolist() == [5] and scores == pytest.approx([1 / 61])
    assert len(fuse_rankings([])[1]) == 0


def test_a_negative_constant_is_refused():
    with pytest.raises(ConfigError, match="k = -1"):
        fuse_rankings([np.array([1])], k=-1)
