import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.data.read import read_table
from tenor.errors import DataError
from tenor.formats.table_writer import write_parquet, written_table

SCHEMA = pa.schema([("text", pa.string()), ("score", pa.float32()), ("row", pa.int64())])
TEXTS = ['a "quoted", text', "two\nlines", "tab\there", " ünï ", "'"]
SCORES = np.array([0.1, 1.0, -0.25, 1e-7, 0.3], dtype=np.float32)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "tsv", "jsonl"])
def test_every_format_reads_back(tmp_path, suffix):
    path = tmp_path / "new" / f"table.{suffix}"
    with written_table(path, SCHEMA) as table:
        table.write([TEXTS[:3], SCORES[:3], np.arange(3)])
        table.write([TEXTS[3:], SCORES[3:], np.arange(3, 5)])
    found = read_table(path)
    assert found["text"] == TEXTS
    assert [np.float32(score) for score in found["score"]] == SCORES.tolist()
    assert [int(row) for row in found["row"]] == list(range(5))
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    if suffix == "parquet":
        assert pq.read_schema(path) == SCHEMA


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_failure_leaves_the_old_file(tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    path.write_text("of an earlier run")

    def fail():
        with written_table(path, SCHEMA) as table:
            table.write([TEXTS, SCORES, np.arange(5)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "of an earlier run"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_written_is_said(tmp_path):
    for path, said in ((tmp_path / "table.xlsx", "parquet"), (tmp_path / "a" / "t.csv", "a/t.csv")):
        (tmp_path / "a").write_text("a file where a folder is needed")
        with pytest.raises(DataError, match=said), written_table(path, SCHEMA):
            pass


def test_a_table_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "table.parquet"
    write_parquet(path, pa.table({"row": [1, 2]}))

    def breaks(*given, **options):
        raise OSError("no space left")

    monkeypatch.setattr("pyarrow.parquet.write_table", breaks)
    with pytest.raises(OSError, match="no space left"):
        write_parquet(path, pa.table({"row": [3]}))
    assert pq.read_table(path)["row"].to_pylist() == [1, 2]
