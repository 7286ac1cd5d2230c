"""Spans for a whole file."""

import json

import pyarrow.parquet as pq
import pytest

from tenor.data.tagging import read_tagged
from tenor.errors import ConfigError, DataError
from tenor.recipes.predict_spans import predict_spans_file
from tiny import random_texts, write_csv
from tiny_tags import tagged_rows, tiny_tagger, write_jsonl

TEXTS = random_texts(10, words=(2, 12))


@pytest.fixture
def model():
    return tiny_tagger(seed=3)


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text().splitlines()]


def plain(spans):
    return [(span["start"], span["end"], span["label"], span["text"]) for span in spans]


def expected(model, texts):
    return [[(s.start, s.end, s.label, s.text) for s in own] for own in model.predict(texts)]


@pytest.mark.parametrize("out", ["out.jsonl", "out.parquet"])
def test_rows_come_with_their_spans(out, model, tmp_path):
    source = write_csv(tmp_path / "in.csv", {"id": range(10), "text": TEXTS})
    told = predict_spans_file(model, source, tmp_path / out, block=4)
    rows = read(tmp_path / out)
    assert [row["text"] for row in rows] == TEXTS and rows[3]["id"] == "3"
    assert [plain(row["spans"]) for row in rows] == expected(model, TEXTS)
    assert told["rows"] == 10 and told["spans"] == sum(map(len, expected(model, TEXTS)))
    assert all(0 < span["score"] <= 1 for row in rows for span in row["spans"])


def test_csv_holds_them_as_json(model, tmp_path):
    import csv

    (tmp_path / "in.txt").write_text("\n".join(TEXTS))
    predict_spans_file(model, tmp_path / "in.txt", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [plain(json.loads(row["spans"])) for row in rows] == expected(model, TEXTS)


def test_lists_of_words_come_with_tags_too(model, tmp_path):
    given = tagged_rows(8)
    source = write_jsonl(tmp_path / "in.jsonl", given)
    predict_spans_file(model, source, tmp_path / "out.jsonl", block=3)
    rows = read(tmp_path / "out.jsonl")
    words = [row["tokens"] for row in given]
    assert [row["tags"] for row in rows] == model.tag(words)
    assert [plain(row["spans"]) for row in rows] == expected(model, words)
    assert [row["ner_tags"] for row in rows] == [row["ner_tags"] for row in given]
    # What comes out goes in again as data.
    again = read_tagged(tmp_path / "out.jsonl", columns={"tokens": "tokens", "tags": "tags"})
    assert [[tuple(s) for s in own] for own in again.spans] == [
        [span[:3] for span in own] for own in expected(model, words)
    ]
    lines = "\n\n".join("\n".join(own) for own in words)
    (tmp_path / "in.conll").write_text(lines)
    predict_spans_file(model, tmp_path / "in.conll", tmp_path / "from_conll.parquet")
    assert [row["tags"] for row in read(tmp_path / "from_conll.parquet")] == model.tag(words)


def test_columns_of_the_same_names_are_kept(model, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", [{"body": "a cat", "spans": "mine"}])
    predict_spans_file(model, source, tmp_path / "out.jsonl", column="body")
    assert set(read(tmp_path / "out.jsonl")[0]) == {"body", "spans", "found_spans"}


def test_bad_rows_stop_it_or_are_left_out(model, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "a cat"}, {"text": None}, {"text": 5}])
    with pytest.raises(DataError, match="the text is missing") as error:
        predict_spans_file(model, source, tmp_path / "out.jsonl")
    assert error.value.line == 2 and not (tmp_path / "out.jsonl").exists()
    told = predict_spans_file(model, source, tmp_path / "out.jsonl", on_bad_row="skip")
    assert (told["rows"], told["skipped"]) == (1, 2)


def test_files_that_do_not_suit(model, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", [{"title": "a cat"}])
    with pytest.raises(DataError, match="--column"):
        predict_spans_file(model, source, tmp_path / "out.jsonl")
    with pytest.raises(ConfigError, match="another file"):
        predict_spans_file(model, source, source)
    with pytest.raises(DataError, match=r"name a \.parquet"):
        predict_spans_file(model, source, tmp_path / "out.xml", column="title")
