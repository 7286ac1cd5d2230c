"""Hard-negative mining from file to file; how it is done says `tenor.recipes.hard_negatives`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenor.data.negative_rules import NegativeRules
from tenor.errors import ConfigError, DataError
from tenor.recipes.hard_negatives import check_parts, check_search
from tenor.recipes.settings import check_run_settings, device_of

__all__ = ["MineConfig", "MineSettings", "mine_negatives"]


@dataclass(frozen=True, kw_only=True)
class MineSettings(NegativeRules):
    """Settings of mining, beside the rules of choosing, for any model.

    Attributes:
        train: file (csv, tsv, jsonl, parquet, also .gz) or hub data set with anchors and
            positives; of labelled or scored pairs those that are the same.
        out: .parquet, .csv, .tsv or .jsonl file to write: anchor, positive, negative, negative_2,
            ...
        corpus: file with the texts that negatives are taken from; by default the distinct
            positives.
        corpus_column: which column of it holds the texts.
        columns: role = column of the training file, where columns are not named as usual, such as
            anchor = title.
        on_bad_row: error, or skip to drop bad rows of the training file and count them.
        positive_from: of scored pairs, the lowest score (0 to 1) of a positive pair.
        depth: candidates looked at for each anchor; its positives are not counted.
        using: what proposes candidates: dense (the model), bm25 (the extra bm25), or both in turn.
        cross_encoder: name, folder or hub id of a cross-encoder that drops false negatives.
        cross_margin: how far below the positive's own score, by the cross-encoder, a negative has
            to stay.
        format: list for all negatives of a pair in one row, triplet for a row each.
        scores: write the similarities, too: positive_score, negative_score, negative_2_score, ...
        max_seq_length: tokens of a text that count; the model's own limit by default.
        tokens_per_batch: tokens encoded at a time; chosen for the device by default.
        dtype: dtype of the products: auto, bf16 or fp32.
        device: auto, cpu, cuda or mps.
    """

    train: str
    out: str
    corpus: str | None = None
    corpus_column: str = "text"
    columns: dict[str, str] | None = None
    on_bad_row: str = "error"
    positive_from: float = 0.8
    depth: int = 100
    using: str = "dense"
    cross_encoder: str | None = None
    cross_margin: float = 0.1
    format: str = "list"
    scores: bool = False
    max_seq_length: int | None = None
    tokens_per_batch: int | None = None
    dtype: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if Path(self.out).suffix.lower() not in (".parquet", ".csv", ".tsv", ".jsonl"):
            raise ConfigError("out", self.out, "a .parquet, .csv, .tsv or .jsonl file")
        if self.format not in ("list", "triplet"):
            raise ConfigError("format", self.format, "list or triplet")
        check_run_settings(self)
        check_search(self, self.depth, self.using, self.cross_margin)


@dataclass(frozen=True, kw_only=True)
class MineConfig(MineSettings):
    """Settings of mining.

    Attributes:
        model: the bi-encoder: a name, folder or hub id.
    """

    model: str = "all-MiniLM-L6-v2"


def mine_negatives(config: MineConfig) -> dict[str, Any]:
    """Mine hard negatives for the pairs of a file and write them to another.

    The corpus is streamed; its texts and vectors lie on disk beside `out` while mining runs, so
    that a million documents need no more memory than a few numbers each. The same settings give
    the same file.

    Args:
        config: the settings.

    Returns:
        Counts: rows, anchors (distinct), corpus (distinct texts), corpus_repeats, corpus_empty,
        candidates, dropped (by rule), negatives (in what was written), random (those of them that
        only fill up), rows_short (rows with too few hard negatives), rows_dropped, rows_written;
        mean_positive_score, mean_negative_score (of the hard ones); truncated, seconds, out, and
        what was used.

    Raises:
        TenorError: for settings, data or a model that cannot be used; `out` is as it was.
    """
    from tenor.data.prepare import positive_pairs
    from tenor.data.read import count_rows, iterate_texts
    from tenor.data.schema import read_pairs
    from tenor.models.embedder import Embedder
    from tenor.recipes.mine_output import (
        mining_report,
        tell_pairs,
        tell_report,
        write_negatives,
    )
    from tenor.recipes.miner import Miner
    from tenor.recipes.text_vectors import BLOCK, scratch_folder

    start = time.perf_counter()
    table = read_pairs(config.train, columns=config.columns, on_bad_row=config.on_bad_row)  # type: ignore[arg-type]
    pairs = positive_pairs(table, threshold=config.positive_from)
    tell_pairs(table, pairs)
    device = device_of(config)
    model = Embedder.load(
        config.model, device=device, dtype=config.dtype, max_seq_length=config.max_seq_length
    )
    cross_encoder = None
    if config.cross_encoder is not None:
        from tenor.models.cross_encoder import CrossEncoder

        cross_encoder = CrossEncoder.load(config.cross_encoder, device=device, dtype=config.dtype)
    check_parts(config.using, cross_encoder)
    with scratch_folder(beside=config.out) as folder:
        blocks = total = None
        if config.corpus is not None:
            blocks = iterate_texts(config.corpus, column=config.corpus_column, block=BLOCK)
            total = count_rows(config.corpus)
        miner = Miner(
            model,
            pairs.columns["anchor"],
            pairs.columns["positive"],
            blocks,
            folder,
            total=total,
            tokens_per_batch=config.tokens_per_batch,
        )
        chosen = miner.choose(
            config,
            using=config.using,
            depth=config.depth,
            cross_encoder=cross_encoder,
            cross_margin=config.cross_margin,
        )
        complete = (chosen.rows >= 0).sum(axis=1)[miner.anchor_R]
        written = complete >= (1 if config.format == "triplet" else config.negatives)
        if not written.any():
            raise DataError(
                "no pair got its negatives, so nothing was written: allow more by a smaller "
                "margin, a larger depth or a larger corpus.",
                path=config.train,
            )
        report = mining_report(miner, chosen, written)
        report["rows_written"] = write_negatives(config, pairs, miner, chosen, written)
    report |= {
        "skipped": len(table.skipped),
        "model": {"name": model.name, "sha256": model.sha256},
        "cross_encoder": config.cross_encoder,
        "data": {"path": table.path, "sha256": table.sha256},
        "out": config.out,
        "seconds": time.perf_counter() - start,
    }
    tell_report(report, config)
    return report
