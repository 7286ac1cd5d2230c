"""Each format's reader, through `read_table` and `iterate_texts`."""

import gzip
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.data.read import iterate_texts, read_table
from tenor.errors import DataError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def test_text_file_keeps_blank_lines_and_drops_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "\ufeffone\r\n\n two \nlast")
    table = read_table(path)
    assert table["text"] == ["one", "", " two ", "last"]
    assert table.lines.tolist() == [1, 2, 3, 4]
    assert list(iterate_texts(path, block=3)) == [["one", "", " two "], ["last"]]
    assert read_table(write(tmp_path, "b.txt.gz", "one\ntwo\n"))["text"] == ["one", "two"]


def test_csv_lines_are_where_rows_start(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", '\ufefftext,n\r\n"two\r\nlines",1\r\n\r\nthird,2\r\nfourth,3')
    table = read_table(path)
    assert table["text"] == ["two\r\nlines", "third", "fourth"]
    assert table.lines.tolist() == [2, 5, 6]
    assert table.lines.dtype == np.int64


def test_json_lines_are_where_objects_start(tmp_path: Path) -> None:
    listed = write(
        tmp_path, "a.json", '[\n {"text": "a"},\n\n {\n  "text": "b"\n }, {"text": "c"}\n]'
    )
    assert read_table(listed).lines.tolist() == [2, 4, 6]
    assert read_table(
        write(tmp_path, "a.jsonl", '{"text": "a"}\n\n{"text": "b"}')
    ).lines.tolist() == [
        1,
        3,
    ]


def test_long_fields_are_read(tmp_path: Path) -> None:
    text = "word " * 100_000
    assert read_table(write(tmp_path, "a.csv", f"text,n\n{text},1\n"))["text"] == [text]


BAD_ROWS = {
    "too many fields": ("a.csv", "text,n\na,1\nb,2,3\nc,3\n", ":3: the number of fields is 3", 1),
    "too few fields": ("a.tsv", "text\tn\na\t1\nb\nc\t3\n", ":3: the number of fields is 1", 1),
    "broken csv bytes": ("a.csv", b"text,n\na,1\n\xff\xfe,2\nc,3\n", ":3, column 'text': the b", 1),
    "quoted broken bytes": (
        "a.csv",
        b'n,text\n1,a\n2,"b\n\xff"\n3,c\n',
        ":3, column 'text': the b",
        1,
    ),
    "stray quote": ("a.csv", 'text,n\na,1\n"b"b,2\nc,3\n', ":3: not a valid row", 1),
    "open quote": ("a.csv", 'text,n\na,1\n"b,2\nc,3\n', ":3: not a valid row", 1),
    "swallowing quote": ("a.csv", 'text,n\na,1\n"b,2\nc,3\n"d"e,4\n', ":3: not a valid row", 2),
    "broken text bytes": ("a.txt", b"a\n\xff\nc\n", ":2, column 'text': the bytes", 1),
    "no JSON": ("a.jsonl", '{"text": "a"}\n{"text": \n{"text": "c"}', ":2: not valid JSON", 1),
    "no object": (
        "a.jsonl",
        '{"text": "a"}\n["b"]\n{"text": "c"}',
        ":2: '[\"b\"]' is not an ob",
        1,
    ),
    "no key": (
        "a.jsonl",
        '{"text": "a"}\n{"b": 1}\n{"text": "c"}',
        ":2, column 'text': the row",
        1,
    ),
    "broken JSON bytes": (
        "a.jsonl",
        b'{"text": "a"}\n{"text": "\xff"}\n{"text": "c"}',
        ":2: the b",
        1,
    ),
    "half a pair": (
        "a.jsonl",
        '{"text": "a"}\n{"text": "\\ud83d"}\n{"text": "c"}',
        ":2: an esc",
        1,
    ),
    "no object in a list": (
        "a.json",
        '[{"text": "a"},\n3,\n{"text": "c"}]',
        ":2: '3' is not an",
        1,
    ),
}


@pytest.mark.parametrize(("name", "content", "message", "count"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_named_or_skipped_and_counted(
    tmp_path: Path, name: str, content: str | bytes, message: str, count: int
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}{message}")
    with pytest.raises(DataError) as streamed:
        list(iterate_texts(path))
    assert streamed.value.line == caught.value.line

    table = read_table(path, on_bad_row="skip")
    assert table["text"] == ["a", "c"]
    assert len(table.skipped) == count
    assert table.skipped[0].line == caught.value.line
    assert table.skipped[0].reason == caught.value.problem
    assert table.skipped[0].column == caught.value.column


def test_broken_utf8_in_parquet_is_named_by_row(tmp_path: Path) -> None:
    raw = pa.array([b"a", b"\xff\xfe", b"c"])
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [1, 2, 3], "text": raw.cast(pa.string(), safe=False)}), path)
    with pytest.raises(DataError, match=r"a\.parquet:2, column 'text': the bytes are not UTF-8"):
        read_table(path)
    table = read_table(path, on_bad_row="skip")
    assert table["text"] == ["a", "c"]
    assert table["n"] == [1, 3]
    assert table.lines.tolist() == [1, 3]


def test_hub_data_set_by_name_with_label_names(monkeypatch: pytest.MonkeyPatch) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    content = {"text": ["a", "b", "c"], "label": [1, 0, -1]}
    asked = []

    def load_dataset(*args: object, **keywords: object) -> datasets.Dataset:
        asked.append((args, keywords))
        return datasets.Dataset.from_dict(content, features=features)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    table = read_table("owner/name")
    assert table.columns == {"text": ["a", "b", "c"], "label": ["yes", "no", -1]}
    assert table.lines.tolist() == [1, 2, 3]
    assert len(table.sha256) == 64
    read_table("hf://datasets/owner/name:part", split="test")
    read_table("hf://datasets/name")
    assert asked == [
        (("owner/name", None), {"split": "train"}),
        (("owner/name", "part"), {"split": "test"}),
        (("name", None), {"split": "train"}),
    ]
    assert list(iterate_texts("owner/name", block=2)) == [["a", "b"], ["c"]]


def test_a_hub_data_set_out_of_reach_says_both(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*args: object, **keywords: object) -> datasets.Dataset:
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match=r"owner/name: there is no such file, and it .* either"):
        read_table("owner/name")
    with pytest.raises(DataError, match="name: it cannot be reached as a hub data set, split 'tr"):
        read_table("hf://datasets/owner/name")
