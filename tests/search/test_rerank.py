"""Re-ranking: every distinct pair once, ties as they came, nonsense refused."""

import numpy as np
import pytest

from tenor.errors import ModelError
from tenor.search.rerank import rerank


class Lengths:
    """Scores a pair by the length of its text, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def score(self, pairs):
        self.asked.append(list(pairs))
        return np.array([len(text) for _, text in pairs], dtype=np.float32)


def test_each_query_gets_its_own_candidates_best_first():
    model = Lengths()
    found = rerank(model, ["a", "b"], [["x", "xxx", "xx"], [], ])  # fmt: skip
    assert found[0][1].tolist() == [1, 2, 0] and found[0][0].tolist() == [3, 2, 1]
    assert len(found[1][0]) == len(found[1][1]) == 0


def test_a_pair_that_comes_twice_is_scored_once():
    model = Lengths()
    found = rerank(model, ["a", "a"], [["x", "yy"], ["yy", "x"]])
    assert model.asked == [[("a", "x"), ("a", "yy")]]
    assert found[0][1].tolist() == [1, 0] and found[1][1].tolist() == [0, 1]


def test_ties_keep_the_order_of_the_candidates():
    _, places = rerank(Lengths(), ["a"], [["xy", "yx", "zz"]])[0]
    assert places.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("scores", "said"),
    [([[0.1, 0.9]], "single label"), ([float("nan")], "NaN")],
    ids=["two scores a pair", "nan"],
)
def test_what_is_no_score_a_pair_is_refused(scores, said):
    class Broken:
        def score(self, pairs):
            return scores

    with pytest.raises(ModelError, match=said):
        rerank(Broken(), ["a"], [["x"]])
