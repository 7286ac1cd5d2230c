"""Embedding a whole file: texts stream in, vectors stream out."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tenor.data.read import count_rows, iterate_texts
from tenor.models.embedder import Embedder

__all__ = ["encode_file", "encode_file_on_ray"]

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
    blocks = iterate_texts(source, column=column, block=block)
    encoded = model.encode_blocks(blocks, total=count_rows(source), **options)
    return _write(encoded, Path(out))


def encode_file_on_ray(
    model: str,
    source: str | Path,
    out: str | Path,
    *,
    column: str = "text",
    address: str | None = None,
    workers: int | None = None,
    dtype: str = "auto",
    block: int = BLOCK,
    **options: Any,
) -> dict[str, float]:
    """Like `encode_file`, by workers on a Ray cluster: the same vectors in the same order.

    Args:
        model: name, folder or hub id of an embedder; the workers need no copy of it.
        source: as in `encode_file`.
        out: as in `encode_file`.
        column: which column holds the texts.
        address: of a running cluster that this machine is a part of; by default this machine
            alone.
        workers: how many hold the model; by default one for each GPU, or else for each CPU.
        dtype: auto, bf16 or fp32.
        block: texts that a worker takes at a time.
        **options: of `Embedder.encode`.

    Returns:
        texts, truncated, seconds.

    Raises:
        DataError: for a row that cannot be read; no output is left.
        MissingExtraError: without the extra ray.
    """
    from tenor.recipes.ray_engine import Cluster, embed_on_ray

    blocks = partial(iterate_texts, Path(source), column=column, block=block)
    cluster = Cluster(address=address, workers=workers)
    return _write(embed_on_ray(model, blocks, cluster, dtype=dtype, **options), Path(out))


def _write(
    encoded: Iterable[tuple[npt.NDArray[np.float32], int]], target: Path
) -> dict[str, float]:
    """Write blocks of vectors to Parquet as they come."""
    start = time.perf_counter()
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.part")
    writer: pq.ParquetWriter | None = None
    written = truncated = 0
    try:
        for vectors, cut in encoded:
            width = vectors.shape[1]
            rows = pa.array(np.arange(written, written + len(vectors)))
            values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width)
            table = pa.table({"row": rows, "embedding": values})
            if writer is None:
                writer = pq.ParquetWriter(scratch, table.schema, compression="zstd")
            writer.write_table(table)
            written += len(vectors)
            truncated += cut
        assert writer is not None  # a file without rows was refused
        writer.close()
        scratch.replace(target)
    finally:
        if writer is not None:
            writer.close()
        scratch.unlink(missing_ok=True)
    seconds = time.perf_counter() - start
    log.info(
        "%d texts, %d truncated, %.1f s (%.0f a second): %s",
        written, truncated, seconds, written / max(seconds, 1e-9), target,
    )  # fmt: skip
    return {"texts": written, "truncated": truncated, "seconds": seconds}
