"""Held-out data: what gives a row of it away is left out, what merely stands there is told."""

import json

import pytest

from tenor.data.schema import read_pairs
from tenor.errors import DataError
from tenor.recipes.adapt_held_out import HeldOut
from tiny import write_csv


@pytest.fixture
def task(tmp_path):
    folder = tmp_path / "task"
    folder.mkdir()
    documents = {"d1": "the cat sleeps", "d2": "a red house"}
    for name, texts in (("corpus", documents), ("queries", {"q1": "who sleeps", "q2": "what"})):
        lines = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n")
    return HeldOut(str(folder))


def rows(tmp_path, **columns):
    return read_pairs(write_csv(tmp_path / "rows.csv", columns))


def test_a_pair_of_an_evaluation_query_and_document_is_left_out_in_either_order(tmp_path, task):
    table = rows(
        tmp_path,
        anchor=["Who  sleeps", "THE cat sleeps", "who sleeps", "what else"],
        positive=["the cat sleeps", "who sleeps", "a dog does", "a red house"],
    )
    left, count = task.without(table)
    assert count == 2
    assert left.columns["positive"] == ["a dog does", "a red house"]
    assert left.lines.tolist() == [4, 5]
    assert "1 of 2 evaluation texts" in task.seen_labelled(left)


def test_labelled_texts_give_no_pair_of_a_task_away(tmp_path, task):
    table = rows(tmp_path, text=["who sleeps", "the cat sleeps"], label=["a", "b"])
    assert task.without(table) == (table, 0)


def test_a_pair_of_the_evaluation_file_is_left_out_whatever_its_score(tmp_path):
    columns = {"sentence1": ["a cat", "a dog"], "sentence2": ["the cat", "the dog"]}
    held = HeldOut(write_csv(tmp_path / "held.csv", {**columns, "score": [1, 0]}))
    table = rows(
        tmp_path,
        premise=["the CAT", "a cat", "a bird"],
        hypothesis=["a cat", "the dog", "a wing"],
        label=["entailment", "neutral", "contradiction"],
    )
    left, count = held.without(table)
    assert count == 1 and left.columns["sentence1"] == ["a cat", "a bird"]
    assert held.metric == "spearman_cosine"


def test_labelled_texts_that_stand_there_with_a_label_are_left_out(tmp_path):
    held = HeldOut(write_csv(tmp_path / "held.csv", {"text": ["one", "two"], "label": ["a", "b"]}))
    left, count = held.without(rows(tmp_path, text=["TWO", "three"], label=["b", "a"]))
    assert count == 1 and left.columns["text"] == ["three"]
    pairs = rows(tmp_path, anchor=["one", "x"], positive=["two", "y"])
    assert held.without(pairs) == (pairs, 0)


def test_rows_that_are_all_evaluation_rows_are_an_error(tmp_path, task):
    table = rows(tmp_path, anchor=["who sleeps"], positive=["the cat sleeps"])
    with pytest.raises(DataError, match=r"rows.csv.*every row.*two files"):
        task.without(table)


def test_raw_text_that_holds_evaluation_texts_is_told_to_be_transductive(task):
    said = task.seen_unlabelled(["The cat sleeps", "new", "what"])
    assert "1 of 2 evaluation documents (50.0%)" in said
    assert "1 of 2 evaluation queries" in said
    assert "transductive" in said
    assert "transductive" not in task.seen_unlabelled(["new"])
