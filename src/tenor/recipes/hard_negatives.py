"""Hard negatives for pairs of texts: texts that look like the positive and are not.

The positive-aware mining of NV-Retriever (Moreira et al. 2024, https://arxiv.org/abs/2407.15831),
with candidates from a bi-encoder, BM25 or both, and a cross-encoder against false negatives as in
RocketQA (Qu et al. 2021, https://arxiv.org/abs/2010.08191).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenor.data.negative_rules import NegativeRules
from tenor.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from tenor.models.embedder import Embedder
    from tenor.recipes.mining_block import ScoresPairs

__all__ = ["HardNegatives", "check_parts", "check_search", "hard_negatives"]


@dataclass(frozen=True, eq=False)
class HardNegatives:
    """What `hard_negatives` found.

    Args:
        negatives: for each pair its negatives, hardest first; fewer where there were too few.
        scores: the similarity of each to the anchor.
        positive_scores: the similarity of each pair.
        report: counts; see `tenor.recipes.mine.mine_negatives`.
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
    check_search(rules, depth, using, cross_margin)
    check_parts(using, cross_encoder)
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


def check_search(rules: NegativeRules, depth: int, using: str, cross_margin: float) -> None:
    """Check how candidates are searched; see `hard_negatives`.

    Raises:
        ConfigError: a setting is out of range.
    """
    if using not in ("dense", "bm25", "both"):
        raise ConfigError("using", using, "dense, bm25 or both")
    if depth < rules.skip + rules.negatives:
        least = rules.skip + rules.negatives
        raise ConfigError("depth", depth, f"at least skip + negatives, {least}")
    if not cross_margin >= 0:
        raise ConfigError("cross_margin", cross_margin, "0 or more")


def check_parts(using: str, cross_encoder: ScoresPairs | None) -> None:
    """Find out what would be missing later before hours of encoding; see `hard_negatives`.

    Raises:
        MissingExtraError: without the extra bm25, where it is needed.
        ModelError: the cross-encoder gives labels instead of a score.
    """
    if using != "dense":
        from tenor.search.bm25 import bm25_library

        bm25_library()
    if cross_encoder is not None and len(cross_encoder.labels) != 1:
        raise ModelError(
            f"the cross-encoder gives {len(cross_encoder.labels)} labels; name one that gives a "
            "single score."
        )
