"""The rows a loss trains on, made of those a user has; and those that are held out."""

import numpy as np
import pytest

from tenor.data.prepare import hold_out, prepare, take
from tenor.data.schema import PairTable
from tenor.errors import DataError


def table(kind, columns, target=None, names=None):
    rows = len(next(iter(columns.values())))
    return PairTable(
        kind=kind,
        columns={name: list(texts) for name, texts in columns.items()},
        target=None if target is None else np.asarray(target),
        label_names=names,
        lines=np.arange(2, rows + 2),
        path="rows.csv",
    )


PAIRS = table("pairs", {"anchor": "abcd", "positive": "wxyz"})
LABELLED = table("labelled_pairs", {"sentence1": "abc", "sentence2": "xyz"}, [1, 0, 1], ("0", "1"))
SCORED = table(
    "scored", {"sentence1": "abc", "sentence2": "xyz"}, np.array([0.1, 0.8, 1], dtype=np.float32)
)
TRIPLETS = table(
    "triplets", {"anchor": "ab", "positive": "cd", "negative": "ef", "negative_2": "gh"}
)
NLI = table(
    "nli",
    {"sentence1": "ppqq", "sentence2": "ecfd"},
    [0, 2, 0, 2],
    ("entailment", "neutral", "contradiction"),
)


@pytest.mark.parametrize(
    ("rows", "loss"),
    [
        (PAIRS, "mnr"),
        (TRIPLETS, "mnr"),
        (SCORED, "cosent"),
        (SCORED, "cosine"),
        (LABELLED, "contrastive"),
        (LABELLED, "softmax"),
        (NLI, "softmax"),
        (table("labelled_texts", {"text": "ab"}, [0, 1]), "supervised-contrastive"),
    ],
)
def test_what_fits_goes_as_it_is(rows, loss):
    assert prepare(rows, loss) is rows


@pytest.mark.parametrize("loss", ["mnr", "triplet"])
def test_nli_makes_triplets(loss):
    found = prepare(NLI, loss)
    assert found.kind == "triplets"
    assert found.columns == {
        "anchor": ["p", "q"],
        "positive": ["e", "f"],
        "negative": ["c", "d"],
    }
    assert found.target is None


def test_high_scores_make_pairs():
    found = prepare(SCORED, "mnr", threshold=0.8)
    assert found.kind == "pairs"
    assert found.columns == {"anchor": ["b", "c"], "positive": ["y", "z"]}
    assert prepare(SCORED, "mnr", threshold=0.9).columns["anchor"] == ["c"]


def test_the_same_make_pairs():
    found = prepare(LABELLED, "mnr")
    assert found.kind == "pairs"
    assert found.columns == {"anchor": ["a", "c"], "positive": ["x", "z"]}
    assert found.target is None
    assert found.lines.tolist() == [2, 4]
    with pytest.raises(DataError, match=r"rows.csv.*no pair is labelled the same"):
        prepare(take(LABELLED, np.array([1])), "mnr")


def test_triplet_loss_takes_one_negative():
    found = prepare(TRIPLETS, "triplet")
    assert list(found.columns) == ["anchor", "positive", "negative"]
    assert len(found) == 2


def test_some_rows_in_the_order_asked_for():
    found = take(LABELLED, np.array([2, 0]))
    assert found.columns == {"sentence1": ["c", "a"], "sentence2": ["z", "x"]}
    assert found.target.tolist() == [1, 1]
    assert found.lines.tolist() == [4, 2]
    assert len(take(PAIRS, np.array([], dtype=np.int64))) == 0


def many(rows=100):
    """Five rows share each anchor."""
    return table(
        "scored",
        {"sentence1": [f"a{i // 5}" for i in range(rows)], "sentence2": map(str, range(rows))},
        np.linspace(0, 1, rows),
    )


def test_held_out_rows_share_no_first_text_with_training():
    whole = many()
    train, held = hold_out(whole, 0.2, seed=0)
    assert (len(train), len(held)) == (80, 20)
    assert not set(train.columns["sentence1"]) & set(held.columns["sentence1"])
    assert sorted([*train.lines, *held.lines]) == whole.lines.tolist()
    for part in (train, held):  # rows stay whole
        for second, score, line in zip(
            part.columns["sentence2"], part.target, part.lines, strict=True
        ):
            assert int(second) + 2 == line
            assert score == pytest.approx(int(second) / 99)


def test_the_seed_decides_what_is_held_out():
    lines = [hold_out(many(), 0.2, seed)[1].lines.tolist() for seed in (0, 0, 1)]
    assert lines[0] == lines[1] != lines[2]


def test_even_a_small_share_holds_something_out():
    train, held = hold_out(PAIRS, 0.01, seed=0)
    assert (len(train), len(held)) == (3, 1)


@pytest.mark.parametrize(("rows", "share"), [(many(5), 0.5), (PAIRS, 0.99)])
def test_both_sides_need_rows(rows, share):
    with pytest.raises(DataError, match="too few different texts"):
        hold_out(rows, share, seed=0)
