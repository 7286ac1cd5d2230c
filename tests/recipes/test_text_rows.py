"""Rows wait until the results of their texts are there, and those without a text are named."""

import pytest

from tenor.data.problems import RowProblems
from tenor.errors import ConfigError, DataError
from tenor.recipes.text_rows import TextRows, check_other_file
from tiny import write_csv


@pytest.fixture
def path(tmp_path):
    columns = {"id": range(5), "text": ["a", "b", "", "d", "e"], "body": list("vwxyz")}
    return write_csv(tmp_path / "rows.csv", columns)


def rows(path, *names, on_bad_row="error", block=2):
    return TextRows(path, names, RowProblems(path, on_bad_row), block)


def test_blocks_of_texts_leave_their_columns_waiting(path):
    found = rows(path, "title", "body", "text")
    assert list(found.texts()) == [["v", "w"], ["x", "y"], ["z"]]
    assert (found.column, found.columns) == ("body", ["id", "text", "body"])
    assert [block["id"] for block in found.waiting] == [["0", "1"], ["2", "3"], ["4"]]


def test_rows_without_a_text_are_named_or_left_out(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n{"text": null}\n{"text": 3}\n{"text": "d"}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl:2.*the text is missing"):
        list(rows(path, "text").texts())
    found = rows(path, "text", on_bad_row="skip")
    assert list(found.texts()) == [["a"], ["d"]]
    assert [bad.line for bad in found.problems.skipped] == [2, 3]
    assert [block["text"] for block in found.waiting] == [["a"], ["d"]]


def test_no_such_column_says_which_there_are(path):
    with pytest.raises(DataError, match=r"'title or head'.*'id', 'text', 'body'.*--column"):
        list(rows(path, "title", "head").texts())


def test_the_file_that_is_read_is_not_written(path, tmp_path):
    check_other_file(path, tmp_path / "out.csv")
    with pytest.raises(ConfigError, match="another file than the one that is read"):
        check_other_file(path, tmp_path / "." / "rows.csv")
