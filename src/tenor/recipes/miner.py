"""Hard negatives of many anchors, in blocks: search, judge, choose.

Shape legend: R rows of anchor and positive, A distinct anchors, N texts of the corpus, K candidates
an anchor, M negatives wanted, D width of a vector.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tenor.data import mine
from tenor.data.negative_rules import DROPPED_BY, NegativeRules
from tenor.data.overlap import normalise
from tenor.errors import DataError
from tenor.evaluation.exact_search import search_exact
from tenor.models.bulk import progress_bar
from tenor.models.embedder import Embedder
from tenor.models.encode_options import DOCUMENT_PROMPTS, QUERY_PROMPTS
from tenor.recipes.mining_block import MiningBlock, ScoresPairs
from tenor.recipes.text_vectors import BLOCK, TextVectors

__all__ = ["Chosen", "Miner"]

log = logging.getLogger("tenor")

ANCHORS = 2_048  # mined at a time
GATHERED = 1 << 24  # numbers of vectors that are gathered from disk at a time

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Chosen:
    """The negatives of every anchor.

    Args:
        rows: (A, M) numbers of texts of the corpus, hardest first, random ones last, then -1.
        scores: (A, M) their similarity to the anchor.
        random: (A,) how many of them are random.
        short: (A,) how many hard negatives were missing.
        candidates: texts that were looked at, known positives not counted.
        dropped: candidates that each rule dropped, and the known positives met.
    """

    rows: Rows
    scores: Scores
    random: Rows
    short: Rows
    candidates: int
    dropped: dict[str, int]


class Miner:
    """Anchors, positives and a corpus, encoded and ready to be mined.

    Args:
        model: the bi-encoder.
        anchors: the anchor of each row.
        positives: the positive of each row.
        corpus: blocks of texts that negatives are taken from; the positives by default.
        folder: for vectors and texts.
        total: texts of the corpus, for the progress bar, if known.
        tokens_per_batch: tokens encoded at a time.

    Attributes:
        anchors: the distinct anchors and their vectors.
        texts: the corpus, and after its N texts the positives that are not in it.
        size: N.
        given: texts the corpus was given as, repeats and empty ones counted.
        empty: those of them that hold nothing.
        anchor_R: number of each row's anchor.
        positive_R: number of each row's positive among `texts`.
        similarity_R: of each row's anchor and positive.
    """

    def __init__(
        self,
        model: Embedder,
        anchors: Sequence[str],
        positives: Sequence[str],
        corpus: Iterable[Sequence[str]] | None,
        folder: Path,
        *,
        total: int | None = None,
        tokens_per_batch: int | None = None,
    ) -> None:
        if len(anchors) != len(positives):
            raise DataError(f"{len(anchors)} anchors and {len(positives)} positives: no pairs.")
        self.model = model
        # The model's own dot product is kept; of distances the cosine serves as well.
        options: dict[str, Any] = {"tokens_per_batch": tokens_per_batch}
        options["normalize"] = None if model.similarity_name == "dot" else True
        sides = []
        for name, prompts in (("anchors", QUERY_PROMPTS), ("corpus", DOCUMENT_PROMPTS)):
            part = folder / name
            part.mkdir()
            prompt = next((prompt for prompt in prompts if prompt in model.prompts), None)
            sides.append(TextVectors(part, model, form=normalise, prompt_name=prompt, **options))
        self.anchors, self.texts = sides
        log.info("encoding the corpus ...")
        self.texts.add(_blocks(positives) if corpus is None else corpus, total=total)
        self.size, self.given, self.empty = len(self.texts), self.texts.given, self.texts.empty
        if corpus is not None:
            self.texts.add(_blocks(positives), total=len(positives))
        self.texts.seal()
        if self.size < 2:
            raise DataError(f"the corpus holds {self.size} texts; negatives need some to be among.")
        log.info("encoding the anchors ...")
        self.anchors.add(_blocks(anchors), total=len(anchors))
        self.anchors.seal()
        self.anchor_R = self.anchors.find(mine.text_digests(anchors))
        self.positive_R = self.texts.find(mine.text_digests(positives))
        if (self.anchor_R < 0).any() or (self.positive_R < 0).any():
            row = int(np.argmax((self.anchor_R < 0) | (self.positive_R < 0)))
            raise DataError(f"row {row + 1}: the anchor or the positive is empty.")
        self.similarity_R = self.similarity(self.anchor_R, self.positive_R[:, None])[:, 0]
        self.lowest_A = np.full(len(self.anchors), np.inf, dtype=np.float32)
        np.minimum.at(self.lowest_A, self.anchor_R, self.similarity_R)
        self._known = self._known_keys(anchors, positives)

    def choose(
        self,
        rules: NegativeRules,
        *,
        using: str = "dense",
        depth: int = 100,
        cross_encoder: ScoresPairs | None = None,
        cross_margin: float = 0.0,
    ) -> Chosen:
        """Choose negatives for every anchor.

        Args:
            rules: which candidates may be negatives.
            using: dense, bm25 or both, in turn.
            depth: candidates looked at an anchor, its positives not counted.
            cross_encoder: drops false negatives.
            cross_margin: how far below the positive's score, as the cross-encoder gives it, a
                negative's has to stay.

        Raises:
            MissingExtraError: without the extra bm25, where it is needed.
        """
        bm25 = None
        if using != "dense":
            from tenor.search.bm25 import BM25

            log.info("indexing the corpus for BM25 ...")
            bm25 = BM25.build(map(self.texts.text, range(self.size)))
        count = len(self.anchors)
        rows_AM = np.full((count, rules.negatives), -1, dtype=np.int64)
        scores_AM = np.full((count, rules.negatives), -np.inf, dtype=np.float32)
        random_A, short_A = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        candidates, dropped = 0, Counter(dict.fromkeys(DROPPED_BY, 0))
        log.info("mining %s anchors among %s texts (%s) ...", f"{count:,}", f"{self.size:,}", using)
        with progress_bar(None, count, "mining") as bar:
            for start in range(0, count, ANCHORS):
                part = np.arange(start, min(start + ANCHORS, count))
                block = MiningBlock(self, rules, part, cross_encoder, cross_margin)
                rankings = self._rankings(part, using, depth, bm25)
                rows_AM[part], scores_AM[part] = block.hard(mine.interleave(rankings), depth)
                short_A[part] = (rows_AM[part] < 0).sum(axis=1)
                if rules.too_few == "fill":
                    random_A[part] = block.fill(rows_AM, scores_AM)
                candidates += block.candidates
                dropped.update(block.dropped)
                if bar is not None:
                    bar.advance(bar.task_ids[0], len(part))
                elif count > 10 * ANCHORS and (start // ANCHORS) % 10 == 9:
                    log.info("mined %s of %s anchors", f"{part[-1] + 1:,}", f"{count:,}")
        return Chosen(rows_AM, scores_AM, random_A, short_A, candidates, dict(dropped))

    def is_known(self, anchors_A: Rows, rows_AK: Rows) -> Mask:
        """Which candidates are the anchor itself, or known to belong to it."""
        keys = anchors_A[:, None] * len(self.texts) + rows_AK
        places = np.minimum(np.searchsorted(self._known, keys), len(self._known) - 1)
        known: Mask = self._known[places] == keys
        return known

    def similarity(self, anchors_A: Rows, rows_AK: Rows) -> Scores:
        """Similarity of anchors and texts, (A, K); of a row -1 that of the last text."""
        found = np.empty(rows_AK.shape, dtype=np.float32)
        width = self.texts.vectors.shape[1]
        step = max(1, GATHERED // (width * max(1, rows_AK.shape[1])))
        for start in range(0, len(found), step):
            part = slice(start, start + step)
            left, right = self.anchors.vectors[anchors_A[part]], self.texts.vectors[rows_AK[part]]
            found[part] = np.einsum("ad,akd->ak", left, right)
        return found

    def rows_of(self, anchors_A: Rows) -> Rows:
        """All rows of some anchors, in the order of the anchors."""
        parts = [
            self._by_anchor[self._starts[anchor] : self._starts[anchor + 1]]
            for anchor in anchors_A.tolist()
        ]
        return np.concatenate(parts)

    @cached_property
    def _by_anchor(self) -> Rows:
        return np.argsort(self.anchor_R, kind="stable")

    @cached_property
    def _starts(self) -> Rows:
        ordered = self.anchor_R[self._by_anchor]
        return np.searchsorted(ordered, np.arange(len(self.anchors) + 1))

    @cached_property
    def _corpus(self) -> torch.Tensor:
        """The corpus's vectors; on the model's device where they fill less than half of it."""
        vectors = torch.from_numpy(self.texts.vectors[: self.size])
        device = self.model.device
        if device.type == "cuda" and vectors.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
            return vectors.to(device)
        return vectors

    def _rankings(self, part: Rows, using: str, depth: int, bm25: Any) -> list[Rows]:
        """Rows of the corpus, best first, deep enough that known positives cost no depth."""
        keys = self._known // len(self.texts)
        known = np.searchsorted(keys, part, side="right") - np.searchsorted(keys, part)
        k = min(self.size, depth + int(known.max()))
        rankings = []
        if using != "bm25":
            queries = torch.from_numpy(self.anchors.vectors[part]).to(self._corpus.device)
            rankings.append(search_exact(queries, self._corpus, k, query_block=1_024)[1])
        if bm25 is not None:
            scores, rows = bm25.search(self.anchors.texts(part.tolist()), k)
            rankings.append(np.where(scores > 0, rows, -1))  # 0: not a word in common
        return rankings

    def _known_keys(self, anchors: Sequence[str], positives: Sequence[str]) -> Rows:
        """anchor · texts + text of every text that is no negative of an anchor, ascending."""
        size = len(self.texts)
        own_R = self.texts.find(mine.text_digests(anchors))
        reverse_R = self.anchors.find(mine.text_digests(positives))
        keys = [self.anchor_R * size + self.positive_R]
        keys.append((self.anchor_R * size + own_R)[own_R >= 0])
        keys.append((reverse_R * size + own_R)[(own_R >= 0) & (reverse_R >= 0)])
        return np.unique(np.concatenate(keys))


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), BLOCK):
        yield texts[start : start + BLOCK]
