"""Hard-negative mining: for every pair, texts that look like the positive and are not.

The positive-aware mining of NV-Retriever (Moreira et al. 2024, https://arxiv.org/abs/2407.15831),
with candidates from a bi-encoder, BM25 or both, and a cross-encoder against false negatives as in
RocketQA (Qu et al. 2021, https://arxiv.org/abs/2010.08191).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenor.data.negative_rules import NegativeRules
from tenor.errors import ConfigError, DataError, ModelError
from tenor.recipes.settings import check_run_settings, device_of

if TYPE_CHECKING:
    from tenor.data.schema import PairTable
    from tenor.models.embedder import Embedder
    from tenor.recipes.mining_block import ScoresPairs

__all__ = ["HardNegatives", "MineConfig", "MineSettings", "hard_negatives", "mine_negatives"]

log = logging.getLogger("tenor")


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
        _check_search(self, self.depth, self.using, self.cross_margin)


@dataclass(frozen=True, kw_only=True)
class MineConfig(MineSettings):
    """Settings of mining.

    Attributes:
        model: the bi-encoder: a name, folder or hub id.
    """

    model: str = "all-MiniLM-L6-v2"


@dataclass(frozen=True, eq=False)
class HardNegatives:
    """What `hard_negatives` found.

    Args:
        negatives: for each pair its negatives, hardest first; fewer where there were too few.
        scores: the similarity of each to the anchor.
        positive_scores: the similarity of each pair.
        report: counts; see `mine_negatives`.
    """

    negatives: list[list[str]]
    scores: list[list[float]]
    positive_scores: list[float]
    report: dict[str, Any]


def hard_negatives(
    model: Embedder,
    anchors: Sequence[str],
    positives: Sequence[str],
    corpus: Iterable[str] | None = None,
    *,
    rules: NegativeRules | None = None,
    depth: int = 100,
    using: str = "dense",
    cross_encoder: ScoresPairs | None = None,
    cross_margin: float = 0.1,
    tokens_per_batch: int | None = None,
) -> HardNegatives:
    """Find hard negatives for pairs of texts.

    Args:
        model: the bi-encoder.
        anchors: one text a pair.
        positives: the other text of each.
        corpus: texts that negatives are taken from, taken block by block and kept on disk; by
            default the distinct positives.
        rules: which candidates may be negatives, and how many; `NegativeRules()` by default.
        depth: candidates looked at for each anchor.
        using: dense, bm25 or both.
        cross_encoder: drops candidates that it scores as high as the positive, less `cross_margin`.
        cross_margin: see there.
        tokens_per_batch: tokens encoded at a time.

    Returns:
        The negatives of every pair, in the order of the pairs.

    Raises:
        ConfigError: a setting is out of range.
        DataError: there is nothing to mine from, or a text of a pair is empty.
        MissingExtraError: without the extra bm25, where it is needed.
        ModelError: the cross-encoder gives labels instead of a score.
    """
    from tenor.models.bulk import cut_in_blocks
    from tenor.recipes.mine_output import mining_report
    from tenor.recipes.miner import Miner
    from tenor.recipes.text_vectors import BLOCK, scratch_folder

    rules = rules or NegativeRules()
    _check_search(rules, depth, using, cross_margin)
    _check_parts(using, cross_encoder)
    with scratch_folder() as folder:
        blocks = None if corpus is None else cut_in_blocks(corpus, BLOCK)
        miner = Miner(model, anchors, positives, blocks, folder, tokens_per_batch=tokens_per_batch)
        chosen = miner.choose(
            rules,
            using=using,
            depth=depth,
            cross_encoder=cross_encoder,
            cross_margin=cross_margin,
        )
        rows, scores = chosen.rows[miner.anchor_R], chosen.scores[miner.anchor_R]
        return HardNegatives(
            negatives=[miner.texts.texts(line[line >= 0].tolist()) for line in rows],
            scores=[s[line >= 0].tolist() for line, s in zip(rows, scores, strict=True)],
            positive_scores=miner.similarity_R.tolist(),
            report=mining_report(miner, chosen, rows[:, 0] >= 0),
        )


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
    from tenor.data.read import count_rows, iterate_texts
    from tenor.data.schema import read_pairs
    from tenor.models.embedder import Embedder
    from tenor.recipes.mine_output import mining_report, tell_report, write_negatives
    from tenor.recipes.miner import Miner
    from tenor.recipes.text_vectors import BLOCK, scratch_folder

    start = time.perf_counter()
    table = read_pairs(config.train, columns=config.columns, on_bad_row=config.on_bad_row)  # type: ignore[arg-type]
    pairs = _positive_pairs(table, config)
    log.info("%s: %s pairs%s", table.path, f"{len(pairs):,}", _left_out(table, pairs))
    device = device_of(config)
    model = Embedder.load(
        config.model, device=device, dtype=config.dtype, max_seq_length=config.max_seq_length
    )
    cross_encoder = None
    if config.cross_encoder is not None:
        from tenor.models.cross_encoder import CrossEncoder

        cross_encoder = CrossEncoder.load(config.cross_encoder, device=device, dtype=config.dtype)
    _check_parts(config.using, cross_encoder)
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


def _check_search(rules: NegativeRules, depth: int, using: str, cross_margin: float) -> None:
    if using not in ("dense", "bm25", "both"):
        raise ConfigError("using", using, "dense, bm25 or both")
    if depth < rules.skip + rules.negatives:
        least = rules.skip + rules.negatives
        raise ConfigError("depth", depth, f"at least skip + negatives, {least}")
    if not cross_margin >= 0:
        raise ConfigError("cross_margin", cross_margin, "0 or more")


def _check_parts(using: str, cross_encoder: ScoresPairs | None) -> None:
    """Find out what would be missing later before hours of encoding."""
    if using != "dense":
        from tenor.search.bm25 import bm25_library

        bm25_library()
    if cross_encoder is not None and len(cross_encoder.labels) != 1:
        raise ModelError(
            f"the cross-encoder gives {len(cross_encoder.labels)} labels; name one that gives a "
            "single score."
        )


def _positive_pairs(table: PairTable, config: MineConfig) -> PairTable:
    """The pairs of a table that belong together."""
    import numpy as np

    from tenor.data.prepare import prepare, take
    from tenor.data.roles import NLI_LABELS

    if table.kind == "labelled_texts":
        raise DataError(
            "holds labelled texts; mining needs pairs: anchor and positive.", path=table.path
        )
    if table.kind != "nli":
        return prepare(table, "mnr", threshold=config.positive_from)
    assert table.target is not None
    entailed = take(table, np.flatnonzero(table.target == NLI_LABELS.index("entailment")))
    if not len(entailed):
        raise DataError("no pair is labelled entailment.", path=table.path)
    left, right = entailed.columns.values()
    columns = {"anchor": left, "positive": right}
    return replace(entailed, kind="pairs", columns=columns, target=None, label_names=None)


def _left_out(table: PairTable, pairs: PairTable) -> str:
    parts = []
    if len(pairs) < len(table):
        parts.append(f"{len(table) - len(pairs):,} others left out")
    if table.skipped:
        parts.append(f"{len(table.skipped):,} bad rows skipped")
    if "negative" in table.columns:
        parts.append("the negatives it has are replaced")
    return "; " + ", ".join(parts) if parts else ""
