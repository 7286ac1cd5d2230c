"""The unlabelled texts of a file."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.data.pool import read_pool
from tenor.errors import DataError


def test_texts_are_distinct_in_the_form_they_were_met_first(tmp_path):
    path = tmp_path / "pool.txt"
    path.write_text("The cat\n\nthe  CAT\nA dog\n")
    pool = read_pool(path)
    assert pool.texts == ["The cat", "A dog"]
    assert pool.notes == {"texts": 4, "empty": 1, "repeats": 1, "skipped": 0}


def test_both_texts_of_pairs_are_pooled_and_labels_are_not_read(tmp_path):
    path = tmp_path / "pool.csv"
    path.write_text("sentence1,sentence2,score\na,b,no number\nb,c,\n")
    pool = read_pool(path)
    assert pool.texts == ["a", "b", "c"]
    assert pool.columns == ("sentence1", "sentence2")


def test_columns_can_be_named(tmp_path):
    path = tmp_path / "pool.csv"
    path.write_text("title,body\na,b\nc,d\n")
    assert read_pool(path, columns=["title"]).texts == ["a", "c"]
    with pytest.raises(DataError, match=r"'title', 'body'.*say which"):
        read_pool(path)


def test_what_is_no_text_is_named_by_its_row_or_skipped(tmp_path):
    path = tmp_path / "pool.parquet"
    pq.write_table(pa.table({"text": [1, 2, 3]}), path)
    with pytest.raises(DataError, match=r"pool.parquet:1, column 'text': 1 is not a text"):
        read_pool(path)
    with pytest.raises(DataError, match="0 different texts"):
        read_pool(path, on_bad_row="skip")


def test_a_single_text_makes_no_pair(tmp_path):
    path = tmp_path / "pool.txt"
    path.write_text("one\nONE\n")
    with pytest.raises(DataError, match="at least two"):
        read_pool(path)
