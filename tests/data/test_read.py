import gzip
import hashlib
import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.data.read import count_rows, iterate_texts, read_table
from tenor.errors import ConfigError, DataError

TEXTS = ["A plain one.", 'He said "no", twice.', "Zwei Zeilen:\nÜber und unter.", "last"]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def as_format(folder: Path, suffix: str, texts: list[str]) -> Path:
    name = f"texts{suffix}"
    rows = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    kind = suffix.removesuffix(".gz")
    if kind in (".csv", ".tsv"):
        separator = "," if kind == ".csv" else "\t"
        quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
        lines = [f"id{separator}text", *(f"{i}{separator}{text}" for i, text in enumerate(quoted))]
        return write(folder, name, "\n".join(lines) + "\n")
    if kind in (".jsonl", ".ndjson"):
        return write(folder, name, "".join(json.dumps(row) + "\n" for row in rows))
    if kind == ".json":
        return write(folder, name, json.dumps(rows, indent=2, ensure_ascii=False))
    plain = folder / "plain.parquet"
    pq.write_table(pa.Table.from_pylist(rows), plain, row_group_size=3)
    return write(folder, name, plain.read_bytes())


SUFFIXES = [".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet"]


@pytest.mark.parametrize("suffix", SUFFIXES + [f"{suffix}.gz" for suffix in SUFFIXES])
def test_every_format_gives_the_same_rows_whole_and_streamed(tmp_path: Path, suffix: str) -> None:
    path = as_format(tmp_path, suffix, TEXTS * 3)

    table = read_table(path)
    assert table["text"] == TEXTS * 3
    assert table["id"] == [str(number) for number in range(12)]
    assert len(table) == 12
    assert table.skipped == []
    assert list(read_table(path, columns=["text"]).columns) == ["text"]

    blocks = list(iterate_texts(path, block=5))
    assert max(map(len, blocks)) <= 5
    assert [text for block in blocks for text in block] == TEXTS * 3


UNUSABLE = {
    "empty": ("a.csv", "", "the file is empty"),
    "blank": ("a.csv", "\n\n", "the file is empty"),
    "header only": ("a.csv", "text,n\n", "holds no rows"),
    "blank JSON lines": ("a.jsonl", "\n\n", "holds no rows"),
    "empty list": ("a.json", "[]", "holds no rows"),
    "broken header": ("a.csv", b"t\xffxt,n\na,1\n", ":1: the bytes are not UTF-8"),
    "suffix": ("a.xlsx", "x", r"unknown suffix: it must be one of \.csv"),
    "one object": ("a.json", '{"text": "a"}', r":1: must be a list of objects.*\.jsonl"),
    "cut list": ("a.json", '[{"text": "a"}\n', ":2: not valid JSON: a comma"),
    "tail": ("a.json", '[{"text": "a"}]\n]', "something follows the list"),
    "broken list": ("a.json", '[{"text": "a"},\n{"text": }]', ":2: not valid JSON"),
    "broken list bytes": ("a.json", b'[{"text": "a"},\n{"text": "\xff"}]', ":2: the bytes are not"),
    "not Parquet": ("a.parquet", "text", r"a\.parquet: cannot be read"),
}


@pytest.mark.parametrize(("name", "content", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_file_stops_even_when_rows_may_be_skipped(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DataError, match=message):
        read_table(path, on_bad_row="skip")


def test_nothing_left_after_skipping_names_the_first_reason(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,n\na\nb\n")
    with pytest.raises(DataError, match=r":2: none of its 2 rows can be used.*fields is 1"):
        read_table(path, on_bad_row="skip")


def test_a_cut_gzip_file_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(b"text\n" + b"".join(b"%d\n" % number for number in range(10_000)))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.csv\.gz: damaged or cut short"):
        read_table(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_column_lists_those_found(tmp_path: Path, suffix: str) -> None:
    path = as_format(tmp_path, suffix, TEXTS)
    with pytest.raises(DataError, match=r"column 'body': .*found: 'id', 'text'"):
        read_table(path, columns=["body"])
    with pytest.raises(DataError, match="column 'body'"):
        list(iterate_texts(path, "body"))
    with pytest.raises(DataError, match="column 'body'"):
        read_table(path)["body"]


def test_a_column_that_stands_there_twice_is_refused_when_wanted(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,n,n\na,1,2\n")
    assert read_table(path, columns=["text"])["text"] == ["a"]
    with pytest.raises(DataError, match="column 'n': this column stands there twice"):
        read_table(path)


def test_streaming_refuses_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", None, "c"], "n": [1, 2, 3]}), path)
    with pytest.raises(DataError, match=r":2, column 'text': None is not a text"):
        list(iterate_texts(path))
    with pytest.raises(DataError, match=r":1, column 'n': 1 is not a text"):
        list(iterate_texts(path, "n"))


def test_counts_rows_where_it_is_cheap(tmp_path: Path) -> None:
    assert count_rows(as_format(tmp_path, ".parquet", TEXTS)) == 4
    assert count_rows(as_format(tmp_path, ".csv", TEXTS)) is None


def test_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = as_format(tmp_path, ".csv", TEXTS)
    assert read_table(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_wrong_arguments(tmp_path: Path) -> None:
    path = as_format(tmp_path, ".csv", TEXTS)
    with pytest.raises(ConfigError, match="on_bad_row = 'drop'"):
        read_table(path, on_bad_row="drop")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="split = 'test'"):
        read_table(path, split="test")
    with pytest.raises(ConfigError, match="block = 0"):
        list(iterate_texts(path, block=0))
    with pytest.raises(DataError, match="this is a folder"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="there is no such file"):
        read_table(tmp_path / "absent.csv")


def test_a_file_name_is_never_looked_for_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(DataError, match=r"data/train\.csv: there is no such file\."):
        read_table("data/train.csv")
