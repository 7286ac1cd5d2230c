"""Data sets in figures."""

import numpy as np

from tenor.data.profile import profile_table, profile_tagged, profile_texts
from tenor.data.tagging import read_tagged
from tiny_labels import label_table
from tiny_pairs import pair_table
from tiny_tags import write_jsonl


def test_texts():
    found = profile_texts(["a b c", "A  b c", "one", "one two"])
    assert (found.rows, found.texts) == (4, 3)  # the first two are the same
    assert (found.words.median, found.words.longest) == (2, 3)
    assert found.scripts == {"Latin": 1.0} and found.classes == {} and found.scores is None


def test_labels_the_most_frequent_first():
    found = profile_table(label_table(["a", "b", "c", "d"], [1, 1, 1, 0], ("x", "y")))
    assert list(found.classes.items()) == [("y", 3), ("x", 1)]
    assert found.describe_classes() == "2 labels, 1 to 3 each"
    several = profile_table(label_table(["a", "b"], np.array([[1, 1], [0, 1.0]]), ("x", "y")))
    assert several.classes == {"y": 2, "x": 1}


def test_scores():
    columns = {"sentence1": ["a", "b"], "sentence2": ["c", "d"]}
    found = profile_table(pair_table("scored", columns, np.array([0.0, 1.0], dtype=np.float32)))
    assert found.scores == {"lowest": 0.0, "mean": 0.5, "highest": 1.0, "different": 2}
    assert (found.rows, found.texts, found.classes) == (2, 4, {})


def test_spans(tmp_path):
    rows = [{"tokens": ["cat", "and", "dog"], "ner_tags": ["B-A", "O", "B-A"]},
            {"tokens": ["red"], "ner_tags": ["B-C"]}]  # fmt: skip
    found = profile_tagged(read_tagged(write_jsonl(tmp_path / "t.jsonl", rows)))
    assert found.classes == {"A": 2, "C": 1} and found.rows == 2
    assert found.to_json()["words"] == {"median": 1, "high": 1, "longest": 3}
