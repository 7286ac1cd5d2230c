import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.errors import DataError
from tenor.evaluation.beir import read_beir
from tenor.evaluation.result import hash_files

DATA = Path(__file__).parents[3] / "shared" / "data"


class Table:
    """A stub whose text is the vector: "1 0 2" is [1, 0, 2]."""

    def encode(self, texts):
        return np.array([[float(x) for x in text.split()] for text in texts], dtype=np.float32)


class Random:
    def encode(self, texts):
        return np.random.default_rng(0).normal(size=(len(texts), 24)).astype(np.float32)


def write_parquet(folder, corpus=None, queries=None, qrels=None):
    tables = {
        "corpus": corpus or {"title": ["t", "t"], "id": ["a", "b"], "text": ["1 0", "0 1"]},
        "queries": queries or {"text": ["1 0"], "id": ["q"]},
        "qrels": qrels or {"score": [2], "doc_id": ["a"], "query_id": ["q"], "link": ["x"]},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def write_jsonl(folder, qrels="query-id\tcorpus-id\tscore\nq\ta\t1\n"):
    corpus = [{"_id": "a", "title": "1", "text": "0"}, {"_id": "b", "title": "", "text": "0 1"}]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "1 0", "metadata": {}}\n\n')
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(qrels)


def test_parquet_folder_is_read_by_column_name(tmp_path):
    write_parquet(tmp_path)
    retrieval = read_beir(tmp_path, metrics=["ndcg@10"])
    assert retrieval.documents == ["1 0", "0 1"]
    result = retrieval(Table())
    assert result.metrics == {"ndcg@10": 1.0}
    files = [tmp_path / f"{name}.parquet" for name in ("corpus", "queries", "qrels")]
    assert result.data == {"path": str(tmp_path), "sha256": hash_files(files)}


def test_numbers_as_ids_match_across_files(tmp_path):
    write_parquet(
        tmp_path,
        corpus={"id": [1, 2], "text": ["1 0", "0 1"]},
        queries={"id": [7], "text": ["1 0"]},
        qrels={"query_id": ["7"], "doc_id": ["1"], "score": [0.5]},
    )
    assert read_beir(tmp_path)(Table()).metrics["mrr@10"] == 1.0


def test_beir_folder_joins_title_and_text(tmp_path):
    write_jsonl(tmp_path)
    retrieval = read_beir(tmp_path)
    assert retrieval.documents == ["1 0", "0 1"]
    assert retrieval(Table()).metrics["accuracy@1"] == 1.0


def test_a_missing_file_and_a_missing_column_are_named(tmp_path):
    write_parquet(tmp_path, queries={"id": ["q"], "query": ["1 0"]})
    with pytest.raises(DataError, match=r"queries\.parquet, column 'text': is missing.*id, query"):
        read_beir(tmp_path)
    (tmp_path / "qrels.parquet").unlink()
    with pytest.raises(DataError, match=r"qrels\.parquet or qrels\.tsv or qrels/test\.tsv"):
        read_beir(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus": {"id": ["a", "a"], "text": ["x", "y"]}}, r"corpus\.parquet:2, column 'id'"),
        ({"corpus": {"id": ["a", "b"], "text": ["x", None]}}, r"corpus\.parquet:2, column 'text'"),
        ({"corpus": {"id": ["a"], "text": [3]}}, r"corpus\.parquet:1.*must be a string"),
        ({"queries": {"id": pa.array([], pa.string()), "text": pa.array([], pa.string())}},
         r"queries\.parquet: holds no texts"),
        ({"qrels": {"query_id": ["q"], "doc_id": ["a"], "score": ["x"]}}, "must be a number"),
        ({"qrels": {"query_id": ["q", "q"], "doc_id": ["a", "a"], "score": [1, 2]}},
         r"qrels\.parquet:2: .*judged before"),
    ],
)  # fmt: skip
def test_bad_parquet_rows_are_named(tmp_path, changes, message):
    write_parquet(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        read_beir(tmp_path)


def test_what_is_no_parquet_is_named(tmp_path):
    write_parquet(tmp_path)
    (tmp_path / "corpus.parquet").write_text("no")
    with pytest.raises(DataError, match=r"corpus\.parquet: is not a readable Parquet"):
        read_beir(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("corpus.jsonl", b'{"_id": "a", "text": "1 0"}\n{"_id"\n', r"corpus\.jsonl:2: is not JSON"),
        ("corpus.jsonl", b"[1]\n", "not a JSON object"),
        ("corpus.jsonl", b'{"_id": "a"}\n', r"corpus\.jsonl:1, column 'text'"),
        ("corpus.jsonl", b'{"text": "x"}\n', r"corpus\.jsonl:1, column '_id'"),
        ("corpus.jsonl", b'{"_id": "\xff"}\n', r"corpus\.jsonl:1: is not UTF-8"),
        ("qrels/test.tsv", b"q\ta\t1\n", r"test\.tsv:1, column 'query-id'"),
        ("qrels/test.tsv", b"", r"test\.tsv:1, column 'query-id'"),
        ("qrels/test.tsv", b"query-id\tcorpus-id\tscore\nq\ta\n", r"test\.tsv:2: has 2 fields"),
        ("qrels/test.tsv", b"query-id\tcorpus-id\tscore\nq\ta\tyes\n", r"test\.tsv:2.*'yes'"),
    ],
)
def test_bad_lines_are_named(tmp_path, file, content, message):
    write_jsonl(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_beir(tmp_path)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "queries", "documents", "self_hits"),
    [("travel_se", 682, 4919, 682), ("medquad", 1483, 15809, None)],
)
def test_real_folders_are_read_and_searched(name, queries, documents, self_hits):
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is not there")
    result = read_beir(DATA / name)(Random())
    assert (result.n, result.notes["documents"]) == (queries, documents)
    assert result.notes["queries_without_relevant"] == 0
    assert result.notes["relevant_not_in_corpus"] == 0
    assert result.notes.get("self_hits_dropped") == self_hits
    assert result.metrics["recall@100"] < 0.1
