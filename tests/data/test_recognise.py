"""What a file holds, told before it is read."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.data.recognise import data_files, recognise, split_of
from tenor.errors import DataError
from tiny import random_texts, write_csv

ROWS = 12
LEFT, RIGHT, THIRD = (random_texts(ROWS, seed=seed, words=(4, 9)) for seed in range(3))
NUMBERS = [round(row / 11, 2) for row in range(ROWS)]
LABELS = ["yes", "no"] * (ROWS // 2)


@pytest.mark.parametrize(
    ("columns", "shape"),
    [
        ({"question": LEFT, "answer": RIGHT}, "pairs"),
        ({"anchor": LEFT, "positive": RIGHT, "negative": THIRD}, "triplets"),
        ({"sentence1": LEFT, "sentence2": RIGHT, "score": NUMBERS}, "scored"),
        ({"sentence1": LEFT, "sentence2": RIGHT, "label": LABELS}, "labelled_pairs"),
        ({"premise": LEFT, "hypothesis": RIGHT, "label": [0, 1, 2] * 4}, "nli"),
        ({"text": LEFT, "label": LABELS}, "labelled_texts"),
        ({"id": range(ROWS), "text": LEFT}, "texts"),
        ({"title": RIGHT, "body": LEFT}, "texts"),
    ],
)
def test_shapes_by_columns(columns, shape, tmp_path):
    path = write_csv(tmp_path / "rows.csv", columns)
    found = recognise(path)
    assert (found.shape, found.reason) == (shape, "")
    assert dict(found.roles) == ({"text": "body"} if "body" in columns else {})


def test_tags_in_columns_in_lists_and_as_spans(tmp_path):
    conll = tmp_path / "notes.txt"
    conll.write_text("Ada B-PER\nsleeps O\n. O\n\nParis B-LOC\n. O\n")
    assert recognise(str(conll)).shape == "tagged"
    prose = tmp_path / "prose.txt"
    prose.write_text("Ada sleeps .\n\nParis is large .\n")
    assert recognise(str(prose)).shape == "texts"
    rows = [{"tokens": ["Ada"], "ner_tags": ["B-PER"]}]
    spans = [{"text": "Ada", "label": [[0, 3, "PER"]]}, {"text": "x", "label": []}]
    for name, lines in (("tokens", rows), ("spans", spans)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert recognise(str(path)).shape == "tagged", name


def test_columns_of_other_names_are_guessed_or_given(tmp_path):
    path = write_csv(tmp_path / "x.csv", {"q": LEFT, "a": RIGHT, "n": NUMBERS})
    found = recognise(path)
    assert found.shape == "unknown"
    assert "--columns.sentence1 q --columns.sentence2 a --columns.score n" in found.reason
    given = {"anchor": "q", "positive": "a"}
    found = recognise(path, given)
    assert found.shape == "pairs" and dict(found.roles) == given
    # Columns that this file does not have are those of another one.
    assert recognise(path, {"anchor": "title", "positive": "body"}).shape == "unknown"
    labelled = write_csv(tmp_path / "y.csv", {"ticket": LEFT, "team": LABELS})
    assert "--columns.text ticket --columns.label team" in recognise(labelled).reason
    numbers = write_csv(tmp_path / "z.csv", {"a": NUMBERS, "b": NUMBERS})
    assert "no texts" in recognise(numbers).reason


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("my_train-2.jsonl.gz", "train"),
        ("dev.tsv", "validation"),
        ("validation.parquet", "validation"),
        ("eng.testa", "validation"),
        ("a/b/test.txt", "test"),
        ("latest.csv", None),
        ("contest.csv", None),
    ],
)
def test_splits_by_name(name, split):
    assert split_of(name) == split


def test_a_folder_stands_for_its_files_and_its_task(tmp_path):
    texts = {"id": ["1", "2"], "text": ["a cat", "a dog"]}
    pq.write_table(pa.table(texts), tmp_path / "corpus.parquet")
    pq.write_table(pa.table(texts), tmp_path / "queries.parquet")
    qrels = {"query_id": ["1"], "doc_id": ["2"], "score": [1]}
    pq.write_table(pa.table(qrels), tmp_path / "qrels.parquet")
    write_csv(tmp_path / "train.csv", {"anchor": LEFT, "positive": RIGHT})
    (tmp_path / "README.md").write_text("about")
    (tmp_path / ".hidden.csv").write_text("text\n")
    found = data_files([tmp_path])
    assert found == [str(tmp_path / "train.csv"), str(tmp_path)]
    assert recognise(str(tmp_path)).shape == "retrieval"
    assert recognise(str(tmp_path)).split == "test"
    assert data_files([tmp_path, tmp_path / "train.csv"]) == found  # nothing twice


def test_a_folder_with_nothing_to_read_is_told(tmp_path):
    (tmp_path / "notes.md").write_text("nothing")
    with pytest.raises(DataError, match="no file that can be read"):
        data_files([tmp_path])


def test_an_empty_file_is_told(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("text,label\n")
    with pytest.raises(DataError, match="no rows"):
        recognise(str(path))
