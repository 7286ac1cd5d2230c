"""Repeats, contradictions and leaks in rows."""

import numpy as np

from tenor.data.problems import BadRow
from tenor.data.row_findings import (
    bad_rows,
    conflicting_rows,
    leaked_rows,
    repeated_rows,
    repeated_texts,
    too_few_rows,
)
from tenor.data.tagging import read_tagged
from tiny import random_texts
from tiny_labels import label_table
from tiny_pairs import pair_table
from tiny_tags import write_jsonl

TEXTS = [f"{text} {row}" for row, text in enumerate(random_texts(40, words=(3, 8)))]


def labelled(texts, labels):
    return label_table(texts, labels, ("x", "y"))


def test_the_same_text_with_two_labels_is_named_by_line():
    texts = ["The  cat SAT", *TEXTS[:6], "the cat sat"]
    found = conflicting_rows(labelled(texts, [0] * 7 + [1]))
    assert found.code == "conflicting_labels" and found.figures == {"texts": 1}
    example = found.examples[0]
    assert example.line == 9 and "'x' on line 2, 'y' here" in example.note
    assert conflicting_rows(labelled(texts, [0] * 8)) is None


def test_scores_contradict_from_half_the_range_on():
    columns = {"sentence1": ["a b", "A b"], "sentence2": ["c", "c"]}
    for scores, told in (([0.1, 0.9], True), ([0.1, 0.4], False)):
        table = pair_table("scored", columns, np.array(scores, dtype=np.float32))
        assert (conflicting_rows(table) is not None) == told
    assert conflicting_rows(pair_table("pairs", columns)) is None


def test_taggings_that_contradict(tmp_path):
    rows = [{"tokens": ["Paris", "sleeps"], "ner_tags": [tag, "O"]} for tag in ("B-LOC", "B-PER")]
    found = conflicting_rows(read_tagged(write_jsonl(tmp_path / "t.jsonl", rows)))
    assert "Paris LOC on line 1, Paris PER here" in found.examples[0].note


def test_repeats_count_from_one_in_a_thousand_on():
    found = repeated_rows(labelled([*TEXTS[:9], TEXTS[0].upper()], [0] * 10))
    assert found.figures == {"rows": 1, "share": 0.1} and found.severity == "warning"
    assert "line 11 that of line 2" in found.message
    # With another label it is no repeat but a contradiction.
    assert repeated_rows(labelled([*TEXTS[:9], TEXTS[0]], [0] * 9 + [1])) is None
    many = [f"text {row}" for row in range(2_000)]
    assert repeated_rows(labelled([*many, many[0]], [0] * 2_001)) is None
    assert repeated_texts("f.txt", ["a", "b", "A"], [1, 2, 5]).examples[0].line == 5


def test_a_leak_is_named_with_its_first_line():
    training = labelled(TEXTS[:30], [0, 1] * 15)
    evaluation = labelled([*TEXTS[30:], TEXTS[3].upper()], [0] * 11)
    found = leaked_rows(training, evaluation, "test.csv", "train.csv")
    assert (found.code, found.severity, found.path) == ("leak", "problem", "test.csv")
    assert "1 of 11 evaluation texts" in found.message and "line 12" in found.message
    assert "train.csv" in found.message
    assert leaked_rows(training, labelled(TEXTS[30:], [0] * 10), "t", "u") is None


def test_a_rare_leak_is_no_more_than_a_warning():
    training = labelled(TEXTS[:4], [0, 1, 0, 1])
    many = [f"text {row}" for row in range(500)]
    found = leaked_rows(training, labelled([*many, TEXTS[0]], [0] * 501), "test", "train")
    assert (found.code, found.severity) == ("leak", "warning")


def test_pairs_leak_by_their_pairs_not_by_a_text():
    training = pair_table("pairs", {"anchor": ["a", "b"], "positive": ["c", "d"]})
    for positive, code in (("other", "shared_texts"), ("C", "leak")):
        evaluation = pair_table("pairs", {"anchor": ["A", "x"], "positive": [positive, "y"]})
        assert leaked_rows(training, evaluation, "test", "train").code == code


def test_raw_text_that_is_evaluated_on_is_milder():
    found = leaked_rows(TEXTS[:5], labelled(TEXTS[4:8], [0] * 4), "test", "raw")
    assert (found.code, found.severity) == ("shared_texts", "note")


def test_bad_rows_and_few_rows():
    found = bad_rows("f.csv", [BadRow(7, "the text is empty.", "text")], 9)
    assert "1 of 10 rows" in found.message and "line 7, column 'text'" in found.message
    assert bad_rows("f.csv", [], 9) is None
    assert "only 9 pairs" in too_few_rows("f.csv", 9, 100, "pairs").message
    assert too_few_rows("f.csv", 100, 100, "pairs") is None
