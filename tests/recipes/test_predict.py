"""Labels for a file: every row comes out once, whatever the formats."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.errors import ConfigError, DataError
from tenor.recipes.predict import predict_file
from tiny import random_texts
from tiny_labels import tiny_encoder_classifier

TEXTS = random_texts(23, words=(1, 10))


@pytest.fixture(scope="module")
def model():
    return tiny_encoder_classifier()


@pytest.fixture(scope="module")
def several():
    return tiny_encoder_classifier(multi_label=True)


def write(path, texts=TEXTS, column="text", **more):
    rows = [
        {column: text, "id": n, **{k: v[n] for k, v in more.items()}}
        for n, text in enumerate(texts)
    ]
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".txt":
        path.write_text("".join(text + "\n" for text in texts))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet", "txt"])
@pytest.mark.parametrize("out", ["csv", "tsv", "jsonl", "parquet"])
def test_every_row_gets_its_label(source, out, model, tmp_path):
    path = write(tmp_path / f"source.{source}")
    counts = predict_file(model, path, tmp_path / f"out.{out}", block=7)
    rows = read(tmp_path / f"out.{out}")
    assert [row["text"] for row in rows] == TEXTS and counts["rows"] == 23
    assert [row["label"] for row in rows] == model.predict(TEXTS)
    found = [float(row["probability"]) for row in rows]
    np.testing.assert_allclose(found, model.predict_proba(TEXTS).max(axis=1), atol=1e-5)
    if source != "txt":
        assert [int(row["id"]) for row in rows] == list(range(23))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("out", ["csv", "jsonl", "parquet"])
def test_all_probabilities(out, model, tmp_path):
    path = write(tmp_path / "source.jsonl")
    predict_file(model, path, tmp_path / f"out.{out}", all_probabilities=True)
    rows = read(tmp_path / f"out.{out}")
    found = [[float(row[f"probability_{label}"]) for label in model.labels] for row in rows]
    np.testing.assert_allclose(found, model.predict_proba(TEXTS), atol=1e-5)


@pytest.mark.parametrize("out", ["csv", "jsonl", "parquet"])
def test_several_labels_a_text(out, several, tmp_path):
    path = write(tmp_path / "source.csv")
    predict_file(several, path, tmp_path / f"out.{out}", threshold=0.4, block=5)
    rows = read(tmp_path / f"out.{out}")
    expected = several.predict(TEXTS, threshold=0.4)
    labels = [row["label"] for row in rows]
    if out == "csv":
        labels = [row["label"].split("|") if row["label"] else [] for row in rows]
    assert [tuple(each) for each in labels] == expected
    first = next(n for n, each in enumerate(expected) if each)
    share = rows[first]["probability"]
    share = share.split("|")[0] if out == "csv" else share[0]
    place = several.labels.index(expected[first][0])
    assert float(share) == pytest.approx(several.predict_proba(TEXTS)[first, place], abs=1e-5)


def test_columns_of_these_names_stay(model, tmp_path):
    path = write(tmp_path / "source.csv", label=["gold"] * 23)
    predict_file(model, path, tmp_path / "out.csv")
    rows = read(tmp_path / "out.csv")
    assert {row["label"] for row in rows} == {"gold"}
    assert [row["predicted_label"] for row in rows] == model.predict(TEXTS)
    with pytest.raises(DataError, match="has the columns 'predicted_label'"):
        predict_file(model, tmp_path / "out.csv", tmp_path / "again.csv")


def test_another_column(model, tmp_path):
    path = write(tmp_path / "source.csv", column="body")
    predict_file(model, path, tmp_path / "out.csv", column="body")
    assert [row["label"] for row in read(tmp_path / "out.csv")] == model.predict(TEXTS)
    with pytest.raises(DataError, match="no such column; found: 'body', 'id'"):
        predict_file(model, path, tmp_path / "other.csv")
    assert not (tmp_path / "other.csv").exists()


def test_a_row_without_a_text_is_named_or_left_out(model, tmp_path):
    texts = [*TEXTS[:10], None, *TEXTS[10:]]
    path = write(tmp_path / "source.jsonl", texts)
    with pytest.raises(DataError, match=r"source.jsonl:11, column 'text': the text is missing"):
        predict_file(model, path, tmp_path / "out.jsonl", block=4)
    assert not list(tmp_path.glob("*out*"))
    counts = predict_file(model, path, tmp_path / "out.jsonl", block=4, on_bad_row="skip")
    assert counts["rows"] == 23 and counts["skipped"] == 1
    assert [row["id"] for row in read(tmp_path / "out.jsonl")] == [n for n in range(24) if n != 10]


@pytest.mark.parametrize("out", ["csv", "jsonl", "parquet"])
def test_values_of_any_kind_come_along(out, model, tmp_path):
    tags = [[{"b": n}] for n in range(23)]
    path = write(tmp_path / "source.jsonl", tags=tags, empty=[None] * 23)
    predict_file(model, path, tmp_path / f"out.{out}")
    row = read(tmp_path / f"out.{out}")[3]
    if out == "csv":
        assert json.loads(row["tags"]) == [{"b": 3}] and row["empty"] == ""
    else:
        assert row["tags"] == [{"b": 3}] and row["empty"] is None


def test_dates_of_parquet_become_text_elsewhere(model, tmp_path):
    path = tmp_path / "source.parquet"
    days = pa.array(range(23), pa.date32())
    pq.write_table(pa.table({"text": TEXTS, "day": days}), path)
    for out in ("jsonl", "parquet"):
        predict_file(model, path, tmp_path / f"out.{out}")
    assert read(tmp_path / "out.jsonl")[1]["day"] == "1970-01-02"
    assert pq.read_schema(tmp_path / "out.parquet").field("day").type == pa.date32()


def test_values_that_change_their_type_are_named(model, tmp_path):
    path = write(tmp_path / "source.jsonl", kind=[1] * 12 + ["one"] * 11)
    with pytest.raises(
        DataError, match=r"column .kind.: its values change their type .* .jsonl file"
    ):
        predict_file(model, path, tmp_path / "out.parquet", block=10)
    assert not list(tmp_path.glob("*out*"))
    predict_file(model, path, tmp_path / "out.jsonl", block=10)
    assert read(tmp_path / "out.jsonl")[20]["kind"] == "one"


def test_the_source_is_not_overwritten(model, tmp_path):
    path = write(tmp_path / "source.csv")
    with pytest.raises(ConfigError, match="another file than the one that is read"):
        predict_file(model, path, path)
    with pytest.raises(ConfigError, match="threshold"):
        predict_file(model, path, tmp_path / "out.csv", threshold=2)
    with pytest.raises(DataError, match=r"name a \.parquet"):
        predict_file(model, path, tmp_path / "out.xlsx")
    (tmp_path / "empty.csv").write_text("text\n")
    with pytest.raises(DataError, match="no rows"):
        predict_file(model, tmp_path / "empty.csv", tmp_path / "out.csv")
