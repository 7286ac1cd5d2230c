"""Commands around a search index: build it, change it, and ask it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from tenor.search.changes import IndexChange
    from tenor.search.hits import Hit
    from tenor.search.index import SearchIndex

__all__ = ["add_to", "index", "index_add", "index_delete", "index_rebuild", "search"]

Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]
SNIPPET = 200  # characters of a text that a table shows


def add_to(app: App) -> None:
    """Add the commands `index`, `index add`, `index delete`, `index rebuild` and `search`."""
    indexing = App(name="index", help="Build a search index of a corpus, or change one.")
    indexing.default(index)
    indexing.command(index_add, name="add")
    indexing.command(index_delete, name="delete")
    indexing.command(index_rebuild, name="rebuild")
    app.command(indexing)
    app.command(search)


def index(
    model: str,
    corpus: str,
    /,
    *,
    out: Path,
    column: str = "text",
    id_column: str | None = None,
    metadata_columns: list[str] | None = None,
    approximate: Flag = False,
    lexical: Flag = False,
    similarity: str | None = None,
    vector_dtype: str = "float32",
    query_prompt_name: str | None = None,
    document_prompt_name: str | None = None,
    on_bad_row: str = "error",
    tokens_per_batch: int | None = None,
    dtype: str = "auto",
    json_output: Json = False,
) -> None:
    """Index the documents of a corpus, so that they can be searched by meaning.

    An index that is there already is replaced when the new one is complete.

    Args:
        model: a name, folder or hub id.
        corpus: csv, tsv, jsonl, parquet or txt (a text a line), also .gz.
        out: folder of the index.
        column: which column holds the texts.
        id_column: which column holds the ids; `id` or `_id` by default. Without one, documents are
            numbered from 1.
        metadata_columns: columns to keep for filters and to show (give it once for each); all the
            others by default.
        approximate: build an HNSW graph (extra `search`): quicker from some 100,000 documents on.
        lexical: count words too (extra `bm25`), for `tenor search --hybrid`.
        similarity: cosine or dot; the model's own by default.
        vector_dtype: float32, or float16 for half the disk.
        query_prompt_name: the model's prompt for queries; `query` where it has one.
        document_prompt_name: the model's prompt for documents; `document` where it has one.
        on_bad_row: error, or skip.
        tokens_per_batch: tokens encoded at a time.
        dtype: auto, bf16 or fp32.
        json_output: print one JSON object on stdout.
    """
    from tenor.models.embedder import Embedder
    from tenor.search.corpus import Corpus
    from tenor.search.index import SearchIndex

    source = Corpus(
        source=corpus,
        column=column,
        id_column=id_column,
        metadata_columns=metadata_columns,
        on_bad_row=on_bad_row,  # type: ignore[arg-type]
    )
    built = SearchIndex.build(
        out,
        Embedder.load(model, dtype=dtype),
        source,
        approximate=approximate,
        lexical=lexical,
        similarity=similarity,
        vector_dtype=vector_dtype,
        query_prompt_name=query_prompt_name,
        document_prompt_name=document_prompt_name,
        tokens_per_batch=tokens_per_batch,
    )
    _report(built, as_json=json_output)


def index_add(
    folder: Path,
    corpus: str,
    /,
    *,
    model: str | None = None,
    column: str | None = None,
    id_column: str | None = None,
    metadata_columns: list[str] | None = None,
    on_bad_row: str = "error",
    tokens_per_batch: int | None = None,
    dtype: str = "auto",
    json_output: Json = False,
) -> None:
    """Add documents to an index; one with the id of a document that is there replaces it.

    Args:
        folder: of the index.
        corpus: csv, tsv, jsonl, parquet or txt (a text a line), also .gz.
        model: where the index's model lies now, if it was moved.
        column: which column holds the texts; as when the index was built by default.
        id_column: the same for the ids.
        metadata_columns: the same for the columns to keep.
        on_bad_row: error, or skip.
        tokens_per_batch: tokens encoded at a time.
        dtype: auto, bf16 or fp32.
        json_output: print one JSON object on stdout.
    """
    from tenor.search.corpus import Corpus
    from tenor.search.index import SearchIndex

    opened = SearchIndex.load(folder, model, dtype=dtype)
    columns = opened.description.columns
    source = Corpus(
        source=corpus,
        column=column or columns["text"],
        id_column=id_column or columns["id"],
        metadata_columns=metadata_columns or columns["metadata"],
        on_bad_row=on_bad_row,  # type: ignore[arg-type]
    )
    opened.add(source, tokens_per_batch=tokens_per_batch)
    _report(opened, as_json=json_output)


def index_delete(
    folder: Path,
    ids: Annotated[list[str] | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    ids_from: str | None = None,
    id_column: str | None = None,
    json_output: Json = False,
) -> None:
    """Delete documents from an index by their ids.

    Args:
        folder: of the index.
        ids: of the documents.
        ids_from: file with more ids: txt (an id a line), or csv, tsv, jsonl or parquet.
        id_column: which column of that file holds them; `id` by default.
        json_output: print one JSON object on stdout.
    """
    from tenor.data.read import read_table
    from tenor.errors import ConfigError
    from tenor.search.index import SearchIndex

    wanted = list(ids or [])
    if ids_from is not None:
        lines = Path(ids_from.removesuffix(".gz")).suffix == ".txt"
        name = id_column or ("text" if lines else "id")
        wanted += [str(value) for value in read_table(ids_from, columns=[name])[name]]
    if not wanted:
        raise ConfigError("ids", wanted, "at least one id, as an argument or in --ids-from FILE")
    opened = SearchIndex.load(folder)
    opened.delete(wanted)
    _report(opened, as_json=json_output)


def index_rebuild(
    folder: Path,
    /,
    *,
    approximate: bool | None = None,
    lexical: bool | None = None,
    json_output: Json = False,
) -> None:
    """Write an index anew with or without its HNSW graph and BM25; nothing is encoded again.

    Args:
        folder: of the index.
        approximate: whether to have an HNSW graph (extra `search`); as it is by default.
        lexical: whether to have BM25 (extra `bm25`); as it is by default.
        json_output: print one JSON object on stdout.
    """
    from tenor.search.index import SearchIndex

    opened = SearchIndex.load(folder)
    opened.rebuild(approximate=approximate, lexical=lexical)
    _report(opened, as_json=json_output)


def search(
    folder: Path,
    query: str,
    /,
    *,
    k: Annotated[int, Parameter(name=["--k", "-k"])] = 10,
    hybrid: Flag = False,
    rerank: str | None = None,
    candidates: int = 100,
    where: list[str] | None = None,
    model: str | None = None,
    dtype: str = "auto",
    json_output: Json = False,
) -> None:
    """Search an index.

    Args:
        folder: of the index.
        query: any text.
        k: hits to show.
        hybrid: search by words too, and fuse both rankings.
        rerank: a cross-encoder (name, folder or hub id) that orders the best candidates anew.
        candidates: documents of each ranking that are fused, and that are re-ranked.
        where: column=value, for documents with this value only. Given again for the same column,
            any of the values will do; for other columns, all must match.
        model: where the index's model lies now, if it was moved.
        dtype: auto, bf16 or fp32.
        json_output: print one JSON object on stdout.
    """
    from tenor.search.filters import parse_where
    from tenor.search.index import SearchIndex

    opened = SearchIndex.load(folder, model, dtype=dtype)
    reranker = None
    if rerank is not None:
        from tenor.models.cross_encoder import CrossEncoder

        reranker = CrossEncoder.load(rerank, dtype=dtype)
    conditions = parse_where(where or [])
    [hits] = opened.search(
        query, k, hybrid=hybrid, rerank=reranker, candidates=candidates, where=conditions
    )
    if json_output:
        answer = {
            "query": query,
            "index": str(folder),
            "documents": len(opened),
            "model": opened.description.model.name,
            "hybrid": hybrid,
            "rerank": rerank,
            "where": conditions,
            "hits": [asdict(hit) for hit in hits],
        }
        _print_json(answer)
    else:
        _print_hits(query, hits)


def _print_hits(query: str, hits: Sequence[Hit]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not hits:
        console.print("No document matches.")
        return
    parts = list(dict.fromkeys(name for hit in hits for name in hit.scores))
    # The last part is what the hits are ordered by.
    parts = sorted(parts, key=["reranked", "fused", "similarity", "bm25"].index)
    table = Table("", *parts, "id", "text", title=Text(query), title_justify="left")
    for hit in hits:
        scores = [f"{hit.scores[part]:.4f}" if part in hit.scores else "–" for part in parts]
        text = " ".join(hit.text[: 2 * SNIPPET].split())
        text = text if len(text) <= SNIPPET else text[:SNIPPET].rstrip() + " …"
        table.add_row(str(hit.rank), *scores, Text(hit.id), Text(text))
    console.print(table)


def _report(index: SearchIndex, *, as_json: bool) -> None:
    change: IndexChange | None = index.change
    assert change is not None
    if as_json:
        _print_json({"index": str(index.folder), **asdict(change)})


def _print_json(value: dict[str, Any]) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, default=str)
    sys.stdout.write("\n")
