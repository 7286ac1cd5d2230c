"""What the columns of a file are taken for, through `read_pairs`."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
    "header",
    ["anchor,positive", "query,document", "query,passage", "question,answer", "query,response"],
)
def test_pairs_by_their_well_known_names(tmp_path: Path, header: str) -> None:
    table = read_pairs(write(tmp_path, f"id,{header}", (1, "a", "b"), (2, "c", "d")))
    assert table.kind == "pairs"
    assert table.columns == {"anchor": ["a", "c"], "positive": ["b", "d"]}
    assert table.target is None
    assert table.lines.tolist() == [2, 3]
    assert len(table) == 2


def test_triplets_take_all_negatives_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "negative_10,negative_2,positive,anchor,text,label", "dcbaxy")
    table = read_pairs(path)
    assert table.kind == "triplets"
    assert list(table.columns.items()) == [
        ("anchor", ["a"]),
        ("positive", ["b"]),
        ("negative", ["c"]),
        ("negative_2", ["d"]),
    ]


def test_mapping_names_the_roles(tmp_path: Path) -> None:
    path = write(tmp_path, "title,body,wrong", ("a", "b", "c"))
    table = read_pairs(path, columns={"anchor": "title", "positive": "body"})
    assert table.kind == "pairs"
    assert table.columns == {"anchor": ["a"], "positive": ["b"]}
    with_negative = {"anchor": "title", "positive": "body", "negative": "wrong"}
    assert read_pairs(path, columns=with_negative).columns["negative"] == ["c"]


def test_a_partial_mapping_is_completed_and_always_obeyed(tmp_path: Path) -> None:
    path = write(
        tmp_path, "anchor,positive,sentence1,sentence2,similarity", ("a", "b", "c", "d", 1)
    )
    table = read_pairs(path, columns={"score": "similarity"})
    assert table.kind == "scored"
    assert table.columns == {"sentence1": ["c"], "sentence2": ["d"]}


def test_no_kind_lists_columns_and_what_would_do(tmp_path: Path) -> None:
    path = write(tmp_path, "title,body", ("a", "b"))
    with pytest.raises(
        DataError, match=r"the columns 'title', 'body' are none .*text \+ label.*Map"
    ):
        read_pairs(path)
    with pytest.raises(DataError, match=r"column 'titel': there is no such column; found: 'title'"):
        read_pairs(path, columns={"anchor": "titel", "positive": "body"})
    with pytest.raises(ConfigError, match="made of the roles anchor"):
        read_pairs(path, columns={"ancor": "title"})


def test_two_candidates_for_a_role_are_not_guessed(tmp_path: Path) -> None:
    path = write(tmp_path, "question,answer,passage", ("a", "b", "c"))
    with pytest.raises(DataError, match="answer and passage could each be the positive"):
        read_pairs(path)
    table = read_pairs(path, columns={"positive": "passage"})
    assert table.columns == {"anchor": ["a"], "positive": ["c"]}


def test_a_label_beside_question_and_answer_is_not_ignored(tmp_path: Path) -> None:
    path = write(tmp_path, "question,answer,label", ("a", "b", 1), ("a", "c", 0))
    with pytest.raises(DataError, match="question and answer stand beside a label"):
        read_pairs(path)
    columns = {"sentence1": "question", "sentence2": "answer", "label": "label"}
    assert read_pairs(path, columns=columns).kind == "labelled_pairs"
    assert read_pairs(path, columns={"anchor": "question", "positive": "answer"}).kind == "pairs"


@pytest.mark.parametrize(
    "labels",
    [
        ["entailment", "Neutral", "contradiction"],
        ["0", "1", "2"],
        [0, 1, 2],
        ["0.0", "1.0", "2.0"],
    ],
)
@pytest.mark.parametrize("header", ["premise,hypothesis", "sentence1,sentence2"])
def test_nli_by_names_or_numbers(tmp_path: Path, labels: list[Any], header: str) -> None:
    path = write(tmp_path, f"{header},label", *(("a", "b", label) for label in labels))
    table = read_pairs(path)
    assert table.kind == "nli"
    assert list(table.columns) == ["sentence1", "sentence2"]
    assert table.label_names == ("entailment", "neutral", "contradiction")
    assert table.target is not None
    assert table.target.tolist() == [0, 1, 2]


def test_zero_and_one_of_a_premise_are_not_guessed(tmp_path: Path) -> None:
    path = write(tmp_path, "premise,hypothesis,label", ("a", "b", 0), ("a", "c", 1))
    with pytest.raises(DataError, match="can mean two things"):
        read_pairs(path)


@pytest.mark.parametrize(
    ("same", "different"),
    [
        ("1", "0"),
        ("1", "-1"),
        ("True", "False"),
        ("yes", "no"),
        ("duplicate", "not_duplicate"),
        ("entailment", "not_entailment"),
    ],
)
def test_labelled_pairs_know_which_label_means_the_same(
    tmp_path: Path, same: str, different: str
) -> None:
    path = write(tmp_path, "sentence1,sentence2,label", ("a", "b", same), ("a", "c", different))
    table = read_pairs(path)
    assert table.kind == "labelled_pairs"
    assert table.target is not None
    assert table.target.tolist() == [1, 0]
    assert table.target.dtype == np.int64
    assert table.label_names == (different.lower(), same.lower())


def test_labels_of_pairs_that_say_nothing_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "sentence1,sentence2,label", ("a", "b", "red"), ("a", "c", "green"))
    with pytest.raises(DataError, match="the labels 'green', 'red' cannot be understood"):
        read_pairs(path)
    path = parquet(tmp_path, sentence1=["a", "b"], sentence2=["c", "d"], label=[2.0, 3.8])
    with pytest.raises(DataError, match=r'columns=\{"score": "label"\}'):
        read_pairs(path)
    assert read_pairs(path, columns={"score": "label"}).kind == "scored"
