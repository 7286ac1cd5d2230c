import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.data.roles import Kind
from tenor.data.schema import read_pairs
from tenor.errors import ConfigError, DataError


def write(folder: Path, header: str, *rows: Sequence[Any]) -> Path:
    path = folder / "data.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def parquet(folder: Path, **columns: list[Any]) -> Path:
    path = folder / "data.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("scores", "expected", "score_range"),
    [
        (["0", "0.5", "1"], [0, 0.5, 1], (0, 1)),
        (["0", "2.5", "5"], [0, 0.5, 1], (0, 5)),
        (["-1", "0", "1"], [0, 0.5, 1], (-1, 1)),
    ],
)
def test_scores_are_scaled_by_the_range_they_show(
    tmp_path: Path, scores: list[str], expected: list[float], score_range: tuple[float, float]
) -> None:
    path = write(tmp_path, "sentence1,sentence2,score", *(("a", "b", score) for score in scores))
    table = read_pairs(path)
    assert table.kind == "scored"
    assert table.target is not None
    assert table.target.dtype == np.float32
    np.testing.assert_array_equal(table.target, np.float32(expected))
    assert table.score_range == score_range


def test_an_unusual_range_has_to_be_said(tmp_path: Path) -> None:
    path = write(tmp_path, "sentence1,sentence2,score", ("a", "b", 1), ("a", "c", 10))
    with pytest.raises(DataError, match=r"column 'score': the scores go from 1 to 10.*score_range"):
        read_pairs(path)
    table = read_pairs(path, score_range=(0, 10))
    assert table.target is not None
    np.testing.assert_allclose(table.target, [0.1, 1])
    with pytest.raises(DataError, match=r"csv:3, column 'score': the score '10' is outside"):
        read_pairs(path, score_range=(0, 5))
    with pytest.raises(ConfigError, match="score_range"):
        read_pairs(path, score_range=(5, 0))


def test_nli_labels_nobody_agreed_on_are_bad_rows(tmp_path: Path) -> None:
    rows = [("a", "b", "0"), ("a", "c", "-1"), ("a", "d", "2"), ("a", "e", "-"), ("a", "f", "1")]
    path = write(tmp_path, "premise,hypothesis,label", *rows)
    with pytest.raises(DataError, match=r"csv:3, column 'label': the label '-1' is unknown"):
        read_pairs(path)
    table = read_pairs(path, on_bad_row="skip")
    assert table.columns["sentence2"] == ["b", "d", "f"]
    assert table.target is not None
    assert table.target.tolist() == [0, 2, 1]
    assert [(bad.line, bad.column) for bad in table.skipped] == [(3, "label"), (5, "label")]


def test_classes_by_name_and_by_number(tmp_path: Path) -> None:
    table = read_pairs(write(tmp_path, "text,label", ("a", "tea"), ("b", "ink"), ("c", "tea")))
    assert table.kind == "labelled_texts"
    assert table.label_names == ("ink", "tea")
    assert table.target is not None
    assert table.target.tolist() == [1, 0, 1]
    table = read_pairs(write(tmp_path, "text,label", ("a", 10), ("b", 9), ("c", -1)))
    assert table.label_names == ("-1", "9", "10")
    assert table.target is not None
    assert table.target.tolist() == [2, 1, 0]


def test_the_first_bad_row_of_the_file_is_named(tmp_path: Path) -> None:
    rows = [("a", "b", 0.5), ("a", "c", "x"), (" ", "d", 0.2), ("e", "", 0.1), ("f", "g", "nan")]
    path = write(tmp_path, "sentence1,sentence2,score", *rows)
    with pytest.raises(DataError, match=r"data\.csv:3, column 'score': the score 'x' is not a num"):
        read_pairs(path)
    table = read_pairs(path, on_bad_row="skip")
    assert table.columns == {"sentence1": ["a"], "sentence2": ["b"]}
    assert table.target is not None
    assert table.target.tolist() == [0.5]
    assert [(bad.line, bad.column, bad.reason) for bad in table.skipped] == [
        (3, "score", "the score 'x' is not a number."),
        (4, "sentence1", "the text is empty."),
        (5, "sentence2", "the text is empty."),
        (6, "score", "the score 'nan' is not a number."),
    ]


def test_bad_rows_of_reading_and_of_checking_are_listed_together(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"question,answer\n,b\na\na,\xff\na,b\n,c\n")
    with pytest.raises(DataError, match=r":3: the number of fields is 1"):
        read_pairs(path)
    table = read_pairs(path, on_bad_row="skip")
    assert [bad.line for bad in table.skipped] == [2, 3, 4, 6]
    assert table.lines.tolist() == [5]


def test_values_that_are_no_texts_or_missing(tmp_path: Path) -> None:
    path = parquet(tmp_path, anchor=["a", None, "c"], my_positive=[1, 2, 3])
    mapping = {"positive": "my_positive"}
    with pytest.raises(DataError, match=r":1, column 'my_positive': 1 is not a text"):
        read_pairs(path, columns=mapping)
    with pytest.raises(DataError, match=r":1, column 'my_positive': none of its 3 rows"):
        read_pairs(path, columns=mapping, on_bad_row="skip")
    path = parquet(tmp_path, text=["a", None, "c"], label=[1, 2, None])
    with pytest.raises(DataError, match=r":2, column 'text': the text is missing"):
        read_pairs(path)
    table = read_pairs(path, on_bad_row="skip")
    assert table.label_names == ("1",)
    assert [(bad.line, bad.column) for bad in table.skipped] == [(2, "text"), (3, "label")]


DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SETS: dict[str, tuple[Kind, int]] = {
    "stsb/train": ("scored", 5749),
    "stsb/validation": ("scored", 1500),
    "stsb/test": ("scored", 1379),
    "twitter_url/train": ("labelled_pairs", 42200),
    "twitter_url/test": ("labelled_pairs", 9324),
    "nli_train_pool/train": ("nli", 56462),
    "snli/validation": ("nli", 9842),
    "snli/test": ("nli", 9824),
    "banking77/train": ("labelled_texts", 10003),
    "banking77/test": ("labelled_texts", 3080),
    "medquad/train": ("pairs", 13129),
    "medquad/validation": ("pairs", 1632),
    "medquad/test": ("pairs", 1598),
    "rotten_tomatoes/train": ("labelled_texts", 8530),
    "rotten_tomatoes/test": ("labelled_texts", 1066),
    "trec/train": ("labelled_texts", 5452),
    "stackoverflow_titles/train": ("labelled_texts", 16000),
}


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no data sets in {DATA}")
@pytest.mark.parametrize("name", SETS)
def test_public_sets_are_recognised_and_read_whole(name: str) -> None:
    table = read_pairs(DATA / f"{name}.parquet")
    assert (table.kind, len(table)) == SETS[name]
    assert table.skipped == []
    if name.startswith("stsb"):
        assert table.score_range == (0, 5)
    if name.startswith("banking77"):
        assert table.label_names is not None
        assert len(table.label_names) == 77


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no data sets in {DATA}")
def test_linked_questions_need_a_mapping() -> None:
    path = DATA / "travel_se" / "train.parquet"
    with pytest.raises(DataError, match="'query_title'"):
        read_pairs(path)
    table = read_pairs(path, columns={"anchor": "query_title", "positive": "doc_title"})
    assert (table.kind, len(table)) == ("pairs", 2948)
