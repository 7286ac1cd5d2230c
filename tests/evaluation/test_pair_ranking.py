"""Re-ranking: which texts a positive is ranked among, and where it comes."""

import numpy as np
import pytest

from tenor.errors import ConfigError, DataError, ModelError
from tenor.evaluation.pair_ranking import PairRanking
from tiny_pairs import ScoreModel, pair_table

ROWS = 40
LEFT = [f"left {row}" for row in range(ROWS)]
RIGHT = [f"right {row}" for row in range(ROWS)]


def table(kind, **columns):
    return pair_table(kind, columns)


def length_model():
    """Scores a pair by the number that ends its second text."""
    return ScoreModel(lambda left, right: float(right.rpartition(" ")[2]))


def test_positives_are_ranked_among_given_and_random_texts():
    rows = table("triplets", anchor=LEFT, positive=RIGHT, negative=RIGHT[1:] + RIGHT[:1])
    evaluate = PairRanking(rows, candidates=6)
    model = length_model()
    result = evaluate(model)
    lists = {}
    for left, right in model.seen:
        lists.setdefault(left, []).append(right)
    assert [len(texts) for texts in lists.values()] == [6] * ROWS
    ranks = []
    for row, left in enumerate(LEFT):
        assert lists[left][0] == RIGHT[row] and lists[left][1] == RIGHT[(row + 1) % ROWS]
        assert len(set(lists[left])) == 6
        higher = [text for text in lists[left] if int(text[6:]) > row]
        ranks.append(len(higher) + 1)
    ranks = np.array(ranks)
    assert result.metrics["mrr@10"] == pytest.approx((1 / ranks).mean())
    assert result.metrics["ndcg@10"] == pytest.approx((1 / np.log2(ranks + 1)).mean())
    assert result.per_item["ndcg@10"].shape == (ROWS,)
    assert result.n == ROWS and result.notes == {"candidates": 6 * ROWS}


def test_no_candidate_is_another_positive_of_the_anchor():
    anchors = ["the cat"] * 10 + LEFT[:10]
    positives = [*RIGHT[:10], "The cat", *RIGHT[10:19]]
    model = length_model()
    model.scores = lambda left, right: 0.0
    PairRanking(table("pairs", anchor=anchors, positive=positives), candidates=14)(model)
    own = [right for left, right in model.seen if left == "the cat"]
    assert own[:10] == RIGHT[:10]
    assert len(own) == 14 and not set(own[10:]) & {*RIGHT[:10], "The cat"}


def test_a_constant_model_ranks_no_positive_first():
    rows = table("pairs", anchor=LEFT, positive=RIGHT)
    constant = ScoreModel(lambda left, right: 0.5)
    assert PairRanking(rows, candidates=5)(constant).metrics["mrr@10"] == pytest.approx(0.2)


def test_many_anchors_are_sampled_and_that_is_said():
    rows = table("pairs", anchor=LEFT, positive=RIGHT)
    result = PairRanking(rows, candidates=3, anchors=7)(length_model())
    assert result.n == 7 and result.notes["anchors_left_out"] == ROWS - 7
    again, other = PairRanking(rows, anchors=7), PairRanking(rows, anchors=7, seed=1)
    assert again.lists == PairRanking(rows, anchors=7).lists != other.lists


def test_what_cannot_be_ranked():
    with pytest.raises(DataError, match="no other texts"):
        PairRanking(table("pairs", anchor=["a", "b"], positive=["one", "One"]))
    with pytest.raises(ConfigError, match="candidates = 1"):
        PairRanking(table("pairs", anchor=LEFT, positive=RIGHT), candidates=1)
    evaluate = PairRanking(table("pairs", anchor=LEFT, positive=RIGHT))
    with pytest.raises(ModelError, match="can rank"):
        evaluate(ScoreModel(np.zeros((ROWS, 2)), labels=("no", "yes")))
