"""Paraphrase mining: the pairs of texts in a file that say the same, and clusters of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenor.errors import ConfigError
from tenor.recipes.settings import check_run_settings, device_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tenor.models.embedder import Embedder

    Rows = npt.NDArray[np.int64]

__all__ = [
    "Duplicates",
    "DuplicatesConfig",
    "DuplicatesSettings",
    "duplicates_in_file",
    "find_duplicates",
]

log = logging.getLogger("tenor")

THRESHOLD = 0.9
_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")


@dataclass(frozen=True, kw_only=True)
class DuplicatesSettings:
    """Settings of finding duplicates, for any model and file.

    Attributes:
        out: .parquet, .csv, .tsv or .jsonl file to write, best pairs first: row1, row2 (from 0, in
            the order of the file), score, text1, text2.
        threshold: the lowest cosine similarity of a pair; 0.9 unless `top` is given.
        top: the pairs to keep at most, the best ones; five million by default.
        column: which column holds the texts.
        clusters: another such file, for clusters of more than one text, the largest first:
            cluster, size, row, first (whether it is the first text of its cluster: keep these to
            drop the duplicates), text.
        cluster_by: components (texts that a chain of pairs joins) or communities (every text is
            similar to the centre of its cluster).
        prompt: text to put before each text.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        tokens_per_batch: tokens encoded at a time; chosen for the device by default.
        dtype: dtype of the model's products: auto, bf16 or fp32.
        device: auto, cpu, cuda or mps.
    """

    out: str
    threshold: float | None = None
    top: int | None = None
    column: str = "text"
    clusters: str | None = None
    cluster_by: str = "components"
    prompt: str | None = None
    max_seq_length: int | None = None
    tokens_per_batch: int | None = None
    dtype: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, value in (("out", self.out), ("clusters", self.clusters)):
            if value is not None and Path(value).suffix.lower() not in _SUFFIXES:
                raise ConfigError(name, value, "a .parquet, .csv, .tsv or .jsonl file")
        if self.clusters is not None and Path(self.clusters) == Path(self.out):
            raise ConfigError("clusters", self.clusters, "another file than out")
        check_run_settings(self)
        _check(self.threshold, self.top, self.cluster_by)


@dataclass(frozen=True, kw_only=True)
class DuplicatesConfig(DuplicatesSettings):
    """Settings of finding duplicates.

    Attributes:
        file: csv, tsv, jsonl, parquet or txt (a text a line), also .gz, or a hub data set.
        model: the bi-encoder: a name, folder or hub id.
    """

    file: str
    model: str = "all-MiniLM-L6-v2"


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Pairs of similar texts, best first; equal scores in the order of their rows.

    Of texts that are the same to the letter only the first is compared with others; every further
    one is in one pair, with the first, of score 1. They are all in its cluster.

    Args:
        rows1: (P,) the lower row of each pair, from 0, in the order given.
        rows2: (P,) the higher one.
        scores: (P,) float32 cosine similarities.
        clusters: (texts,) cluster of each text given, the largest 0; -1 for texts like no other.
        report: counts; see `duplicates_in_file`.
    """

    rows1: Rows
    rows2: Rows
    scores: npt.NDArray[np.float32]
    clusters: Rows
    report: dict[str, Any]

    def __len__(self) -> int:
        return len(self.scores)


def find_duplicates(
    model: Embedder,
    texts: Iterable[str],
    *,
    threshold: float | None = None,
    top: int | None = None,
    cluster_by: str = "components",
    prompt: str | None = None,
    tokens_per_batch: int | None = None,
) -> Duplicates:
    """Find the pairs of texts with the highest cosine similarity, exactly.

    Args:
        model: the bi-encoder.
        texts: taken block by block; they and their vectors lie on disk meanwhile.
        threshold: the lowest similarity of a pair; 0.9 unless `top` is given.
        top: pairs to keep at most, the best ones.
        cluster_by: components or communities; see `DuplicatesSettings`.
        prompt: text to put before each text.
        tokens_per_batch: tokens encoded at a time.

    Raises:
        ConfigError: a setting is out of range.
        DataError: there is no text that is not empty.
    """
    from tenor.models.bulk import cut_in_blocks
    from tenor.recipes.duplicate_pairs import compare, encode_distinct
    from tenor.recipes.text_vectors import BLOCK, scratch_folder

    _check(threshold, top, cluster_by)
    with scratch_folder() as folder:
        store = encode_distinct(
            model,
            cut_in_blocks(texts, BLOCK),
            folder,
            prompt=prompt,
            tokens_per_batch=tokens_per_batch,
        )
        return compare(model, store, threshold, top, cluster_by)


def duplicates_in_file(config: DuplicatesConfig) -> dict[str, Any]:
    """Find the pairs of similar texts in a file and write them to another.

    All texts are compared with all others, so time grows with the square of their number; memory
    does not: the vectors lie on disk, and of the pairs only the best are kept.

    Args:
        config: the settings.

    Returns:
        Counts: texts, distinct, repeats (same to the letter as an earlier one), empty, pairs,
        complete (whether these are all the pairs from the threshold on), highest, lowest (scores),
        clusters, clustered (texts in one), largest_cluster; truncated, seconds, out, and what was
        used.

    Raises:
        TenorError: for settings, data or a model that cannot be used; the files are as they were.
    """
    from tenor.data.read import count_rows, iterate_texts
    from tenor.models.embedder import Embedder
    from tenor.recipes.duplicate_pairs import (
        compare,
        encode_distinct,
        tell_report,
        write_clusters,
        write_pairs,
    )
    from tenor.recipes.text_vectors import BLOCK, scratch_folder

    start = time.perf_counter()
    model = Embedder.load(
        config.model,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
    )
    with scratch_folder(beside=config.out) as folder:
        blocks = iterate_texts(config.file, column=config.column, block=BLOCK)
        store = encode_distinct(
            model,
            blocks,
            folder,
            total=count_rows(config.file),
            prompt=config.prompt,
            tokens_per_batch=config.tokens_per_batch,
        )
        found = compare(model, store, config.threshold, config.top, config.cluster_by)
        write_pairs(config.out, found, store)
        if config.clusters is not None:
            write_clusters(config.clusters, found, store)
    report = found.report | {
        "data": config.file,
        "out": config.out,
        "clusters_out": config.clusters,
        "seconds": time.perf_counter() - start,
    }
    tell_report(report)
    return report


def _check(threshold: float | None, top: int | None, cluster_by: str) -> None:
    if threshold is not None and not -1 <= threshold <= 1:
        raise ConfigError("threshold", threshold, "a cosine similarity from -1 to 1")
    if top is not None and top < 1:
        raise ConfigError("top", top, "at least 1")
    if cluster_by not in ("components", "communities"):
        raise ConfigError("cluster_by", cluster_by, "components or communities")
