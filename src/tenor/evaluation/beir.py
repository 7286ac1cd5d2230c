"""Retrieval sets from BEIR-style folders: corpus, queries and judgements (Thakur et al. 2021)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenor.errors import DataError
from tenor.evaluation.result import hash_files
from tenor.evaluation.retrieval import Retrieval

__all__ = ["BeirData", "is_beir", "read_beir", "read_beir_data", "read_candidates"]


class BeirData(NamedTuple):
    """A retrieval set as its files have it.

    Attributes:
        corpus: text of each document, by its id.
        queries: text of each query, by its id.
        qrels: grade by document id, by query id; above 0 is relevant.
        sha256: of the three files, one after the other.
    """

    corpus: dict[str, str]
    queries: dict[str, str]
    qrels: dict[str, dict[str, float]]
    sha256: str


def is_beir(folder: str | Path) -> bool:
    """Whether a folder holds a corpus and queries, as `read_beir` takes them."""
    root = Path(folder)
    return all(
        any((root / f"{name}{suffix}").is_file() for suffix in (".parquet", ".jsonl"))
        for name in ("corpus", "queries")
    )


def read_beir(folder: str | Path, **options: Any) -> Retrieval:
    """Make the evaluation of a BEIR-style folder (Thakur et al. 2021).

    `corpus` and `queries` are Parquet files with columns `id` and `text`, or JSON lines with `_id`
    (or `id`), `text` and, in front of the text, `title`. Judgements are `qrels.parquet` with
    `query_id`, `doc_id` and `score`, or `qrels.tsv` or `qrels/test.tsv` with BEIR's header
    `query-id`, `corpus-id`, `score`. Other columns are ignored.

    Args:
        folder: holds the files.
        **options: of `Retrieval`.

    Raises:
        DataError: a file, a column or a value is missing, an id occurs twice, or the same pair is
            judged twice with different grades; the message names file, line and column.
    """
    data = read_beir_data(folder)
    options.setdefault("name", Path(folder).resolve().name)
    options.setdefault("data", {"path": str(folder), "sha256": data.sha256})
    return Retrieval(data.corpus, data.queries, data.qrels, **options)


def read_beir_data(folder: str | Path) -> BeirData:
    """Read the files of a BEIR-style folder; see `read_beir`.

    Args:
        folder: holds the files.

    Raises:
        DataError: as `read_beir`.
    """
    root = Path(folder)
    corpus_file = _first_file(root, "corpus.parquet", "corpus.jsonl")
    queries_file = _first_file(root, "queries.parquet", "queries.jsonl")
    qrels_file = _first_file(root, "qrels.parquet", "qrels.tsv", "qrels/test.tsv")
    files = (corpus_file, queries_file, qrels_file)
    return BeirData(
        _read_texts(corpus_file),
        _read_texts(queries_file),
        _read_qrels(qrels_file),
        hash_files(files),
    )


def read_candidates(folder: str | Path) -> dict[str, list[str]] | None:
    """Read which documents are to be re-ranked for each query, where the folder says so.

    `candidates.parquet` with `query_id` and `doc_id`, a row a candidate, or `candidates.tsv` with
    the header `query-id`, `corpus-id`.

    Args:
        folder: of a retrieval set.

    Returns:
        Ids of documents, in the order of the file, by query id; `None` where there is no such file.

    Raises:
        DataError: a column or a value is missing; the message names file, line and column.
    """
    root = Path(folder)
    found: dict[str, dict[str, None]] = {}
    if (root / "candidates.parquet").is_file():
        rows = _parquet_rows(root / "candidates.parquet", ("query_id", "doc_id"))
    elif (root / "candidates.tsv").is_file():
        rows = _tsv_rows(root / "candidates.tsv", ("query-id", "corpus-id"))
    else:
        return None
    for _, query, document in rows:
        found.setdefault(str(query), {})[str(document)] = None
    return {query: list(documents) for query, documents in found.items()}


def _read_texts(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    if path.suffix == ".parquet":
        rows = _parquet_rows(path, ("id", "text"))
    else:
        rows = _json_rows(path)
    for line, identifier, text in rows:
        if str(identifier) in texts:
            raise DataError(
                f"the id {str(identifier)!r} occurs twice; give each text its own.",
                path=path,
                line=line,
                column="id",
            )
        if not isinstance(text, str):
            raise DataError(
                f"the text is {text!r}; it must be a string.", path=path, line=line, column="text"
            )
        texts[str(identifier)] = text
    if not texts:
        raise DataError("holds no texts.", path=path)
    return texts


def _read_qrels(path: Path) -> dict[str, dict[str, float]]:
    columns = ("query_id", "doc_id", "score")
    if path.suffix == ".parquet":
        rows = _parquet_rows(path, columns)
    else:
        rows = _tsv_rows(path, ("query-id", "corpus-id", "score"))
    qrels: dict[str, dict[str, float]] = {}
    for line, query, document, score in rows:
        try:
            grade = float(score)
        except (TypeError, ValueError):
            grade = np.nan
        if not np.isfinite(grade):
            raise DataError(
                f"the grade is {score!r}; it must be a number.",
                path=path,
                line=line,
                column="score",
            )
        grades = qrels.setdefault(str(query), {})
        if grades.setdefault(str(document), grade) != grade:
            raise DataError(
                f"query {str(query)!r} and document {str(document)!r} were judged before, with "
                f"grade {grades[str(document)]:g} instead of {grade:g}; keep one.",
                path=path,
                line=line,
            )
    return qrels


def _first_file(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"is missing; put it there as {' or '.join(names)}.", path=folder / names[0])


def _parquet_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    try:
        with pq.ParquetFile(path) as file:
            for column in columns:
                if column not in file.schema_arrow.names:
                    has = ", ".join(file.schema_arrow.names)
                    raise DataError(f"is missing; the file has {has}.", path=path, column=column)
            line = 0
            for batch in file.iter_batches(columns=list(columns)):
                # A column read may come in the order of the file.
                for values in zip(*(batch[column].to_pylist() for column in columns), strict=True):
                    line += 1
                    for column, value in zip(columns, values, strict=True):
                        if value is None:
                            raise DataError("has no value.", path=path, line=line, column=column)
                    yield line, *values
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"is not a readable Parquet file: {error}", path=path) from error


def _json_rows(path: Path) -> Iterator[tuple[int, Any, Any]]:
    for line, raw in _lines(path):
        try:
            row = json.loads(raw)
        except json.JSONDecodeError as error:
            raise DataError(f"is not JSON: {error}.", path=path, line=line) from error
        if not isinstance(row, dict):
            raise DataError("is not a JSON object.", path=path, line=line)
        identifier, text, title = row.get("_id", row.get("id")), row.get("text"), row.get("title")
        for column, value in (("_id", identifier), ("text", text)):
            if value is None:
                raise DataError("has no value.", path=path, line=line, column=column)
        yield line, identifier, f"{title} {text}".strip() if title else text


def _tsv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    lines = _lines(path)
    _, header_line = next(lines, (1, ""))
    header = header_line.split("\t")
    places = []
    for column in columns:
        if column not in header:
            raise DataError(
                f"is missing; the first line must name it, but is {header_line!r}.",
                path=path,
                line=1,
                column=column,
            )
        places.append(header.index(column))
    for line, raw in lines:
        fields = raw.split("\t")
        if len(fields) != len(header):
            raise DataError(
                f"has {len(fields)} fields where the header has {len(header)}.",
                path=path,
                line=line,
            )
        yield line, *(fields[place] for place in places)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with open(path, "rb") as file:
        for line, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(f"is not UTF-8: {error}.", path=path, line=line) from error
            if text.strip():
                yield line, text
