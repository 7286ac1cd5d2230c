"""Embedding a whole file: texts stream in, vectors stream out."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenor.data.read import count_rows, iterate_texts
from tenor.models.embedder import Embedder

__all__ = ["encode_file"]

log = logging.getLogger("tenor")

BLOCK = 32_768  # texts that stand in memory at a time


def encode_file(
    model: Embedder,
    source: str | Path,
    out: str | Path,
    *,
    column: str = "text",
    block: int = BLOCK,
    **options: Any,
) -> dict[str, float]:
    """Write the embedding of every text of a file to Parquet, in the order of the file.

    The file appears under its name when it is complete; memory stays flat however long it is.

    Args:
        model: the embedder.
        source: csv, tsv, jsonl, parquet or txt, also .gz.
        out: Parquet file: `row` int64 from 0, `embedding` list of float32.
        column: which column holds the texts.
        block: texts that stand in memory at a time.
        **options: of `Embedder.encode`.

    Returns:
        texts, truncated, seconds.

    Raises:
        DataError: for a row that cannot be read; no output is left.
    """
    start = time.perf_counter()
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.part")
    total = count_rows(source)
    width = min(model.dimensions, options.get("truncate_dim") or model.dimensions)
    schema = pa.schema([("row", pa.int64()), ("embedding", pa.list_(pa.float32(), width))])
    written = truncated = 0
    try:
        with pq.ParquetWriter(scratch, schema, compression="zstd") as writer:
            blocks = iterate_texts(source, column=column, block=block)
            for vectors, cut in model.encode_blocks(blocks, total=total, **options):
                rows = pa.array(np.arange(written, written + len(vectors)))
                values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width)
                writer.write_table(pa.table([rows, values], schema=schema))
                written += len(vectors)
                truncated += cut
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    seconds = time.perf_counter() - start
    log.info(
        "%d texts, %d truncated, %.1f s (%.0f a second): %s",
        written, truncated, seconds, written / max(seconds, 1e-9), target,
    )  # fmt: skip
    return {"texts": written, "truncated": truncated, "seconds": seconds}
