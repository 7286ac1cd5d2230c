"""Rows are split so that no text stands on both sides."""

import numpy as np
import pytest

from tenor.data.split import known_rows, row_texts, split_off
from tenor.data.tagging import read_tagged
from tenor.errors import DataError
from tiny import random_texts
from tiny_labels import label_table
from tiny_pairs import pair_table
from tiny_tags import tagged_rows, write_jsonl


def numbered(count, seed=0):
    return [f"{text} {row}" for row, text in enumerate(random_texts(count, seed=seed))]


def texts_of(rows):
    return {text for texts in row_texts(rows) for text in texts[:2]}


def test_labelled_texts_that_are_equal_stay_together_and_every_label_is_left():
    texts = numbered(60)
    texts = [*texts, *[text.upper() for text in texts[:30]]]
    target = [row % 3 for row in range(60)] * 2
    table = label_table(texts, target[:90], ("x", "y", "z"))
    kept, held, apart = split_off(table, 0.2, seed=0)
    assert apart and not texts_of(kept) & texts_of(held)
    assert len(kept) + len(held) == 90 and 12 <= len(held) <= 24
    assert set(kept.target) == {0, 1, 2} and len(set(held.target)) == 3
    again = split_off(table, 0.2, seed=0)[1]
    assert again.columns == held.columns
    assert split_off(table, 0.2, seed=1)[1].columns != held.columns


def test_the_only_text_of_a_label_stays():
    table = label_table([*numbered(30), "alone"], [0, 1] * 15 + [2], ("x", "y", "z"))
    kept, held, _ = split_off(table, 0.5, seed=0)
    assert "alone" in kept.columns["text"] and 10 <= len(held) <= 16


def test_pairs_hang_together_by_either_text():
    anchors = numbered(80)
    answers = [f"answer {row // 4}" for row in range(80)]  # four questions an answer
    kept, held, apart = split_off(
        pair_table("pairs", {"anchor": anchors, "positive": answers}), 0.15, seed=0
    )
    assert apart and not texts_of(kept) & texts_of(held)
    assert len(held) % 4 == 0 and 8 <= len(held) <= 16


def test_where_all_rows_hang_together_the_first_text_decides():
    anchors, hub = numbered(60), ["the same answer"] * 60
    kept, held, apart = split_off(pair_table("pairs", {"anchor": anchors, "positive": hub}), 0.2, 0)
    assert not apart and len(held) == 12
    assert not set(kept.columns["anchor"]) & set(held.columns["anchor"])


def test_scores_are_no_labels():
    columns = {"sentence1": numbered(40), "sentence2": numbered(40, seed=1)}
    scores = np.linspace(0, 1, 40, dtype=np.float32)
    kept, held, _ = split_off(pair_table("scored", columns, scores), 0.25, seed=0)
    assert len(held) == 10 and len(kept.target) == 30


def test_tagged_texts(tmp_path):
    table = read_tagged(write_jsonl(tmp_path / "t.jsonl", tagged_rows(50, words=(3, 9))))
    kept, held, apart = split_off(table, 0.2, seed=0)
    assert apart and not set(kept.texts) & set(held.texts)
    assert len(kept.words) == len(kept) == 50 - len(held)


def test_too_few_texts_are_told():
    with pytest.raises(DataError, match="too few"):
        split_off(label_table(["a", "A"], [0, 1], ("x", "y")), 0.5, seed=0)


def test_rows_that_give_others_away():
    rows = pair_table(
        "pairs", {"anchor": ["a", "b", "c", "x"], "positive": ["A1", "b1", "c1", "y"]}
    )
    others = pair_table("pairs", {"anchor": ["B1", "a", "q"], "positive": ["b", "other", "c1"]})
    assert known_rows(rows, others).tolist() == [False, True, False, False]
    labelled = label_table(["One  text", "two"], [0, 1], ("x", "y"))
    same = label_table(["one text", "three"], [1, 0], ("x", "y"))
    assert known_rows(labelled, same).tolist() == [True, False]
