"""Re-ranking: does a cross-encoder put an anchor's positives before other texts?

Shape legend: Q anchors, K candidates of an anchor.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tenor.data.overlap import normalise
from tenor.data.schema import PairTable
from tenor.errors import ConfigError, DataError, ModelError
from tenor.evaluation.intervals import bootstrap_mean
from tenor.evaluation.ranking_metrics import ndcg_at, reciprocal_rank_at
from tenor.evaluation.result import EvaluationResult

__all__ = ["PairRanking"]

CUT = 10  # ranks that count


class PairRanking:
    """MRR@10 and nDCG@10 of each anchor's positives among a list of candidates.

    An anchor's candidates are all its positives and its given negatives; random other texts of the
    data, none of them a positive of the anchor or the anchor itself, fill the list up. Random
    negatives are easy: give hard ones in negative columns for a figure that is worth something.

    Args:
        table: pairs or triplets.
        candidates: length of a list, at least 2; longer only where more texts are given.
        anchors: how many distinct anchors to rank for, drawn by the seed where there are more.
        seed: decides the anchors and the random candidates.
        data: path and hash, for the result.

    Raises:
        DataError: there are no negatives at all.
    """

    def __init__(
        self,
        table: PairTable,
        *,
        candidates: int = 20,
        anchors: int = 1000,
        seed: int = 0,
        data: dict[str, Any] | None = None,
    ) -> None:
        if candidates < 2:
            raise ConfigError("candidates", candidates, "at least 2")
        self.data = data or {"name": "pairs to rank"}
        generator = np.random.default_rng([seed, 2])
        positives: dict[str, dict[str, str]] = {}  # by their normalised forms
        given: dict[str, dict[str, str]] = {}
        negatives = [name for name in table.columns if name.startswith("negative")]
        for row, anchor in enumerate(table.columns["anchor"]):
            text = table.columns["positive"][row]
            positives.setdefault(anchor, {})[normalise(text)] = text
            for name in negatives:
                text = table.columns[name][row]
                given.setdefault(anchor, {})[normalise(text)] = text
        texts = [name for name in table.columns if name != "anchor"]
        pool = {normalise(text): text for name in texts for text in table.columns[name]}
        forms = list(pool)
        chosen = list(positives)
        self.left_out = max(0, len(chosen) - anchors)
        if self.left_out:
            places = np.sort(generator.permutation(len(chosen))[:anchors])
            chosen = [chosen[place] for place in places.tolist()]
        self.lists: list[tuple[str, list[str], int]] = []  # anchor, candidates, how many positives
        for anchor in chosen:
            own = positives[anchor]
            others = {f: t for f, t in given.get(anchor, {}).items() if f not in own}
            barred = {*own, *others, normalise(anchor)}
            wanted = min(
                candidates - len(own) - len(others), len(forms) - len(barred & pool.keys())
            )
            while wanted > 0:
                form = forms[int(generator.integers(len(forms)))]
                if form not in barred:
                    others[form] = pool[form]
                    barred.add(form)
                    wanted -= 1
            if others:
                self.lists.append((anchor, [*own.values(), *others.values()], len(own)))
        if not self.lists:
            raise DataError(
                "there are no other texts to rank the positives among.", path=table.path
            )

    def __call__(self, model: Any) -> EvaluationResult:
        """Evaluate a model that gives one score; `per_item` holds the figures of each anchor.

        With them the rank of its first positive, from 1, and the place of the text ranked highest.
        """
        start = time.perf_counter()
        if len(model.labels) != 1:
            raise ModelError("the model gives labels; only one that gives a single score can rank.")
        pairs = [(anchor, text) for anchor, texts, _ in self.lists for text in texts]
        scores, truncated = model.score_counted(pairs)
        scores = np.asarray(scores, dtype=np.float64)
        if not np.isfinite(scores).all():
            raise ModelError("the model gives NaN or infinite scores: its weights are damaged.")
        grades_QK = np.zeros((len(self.lists), CUT))
        ideal_QK = np.zeros((len(self.lists), CUT))
        ranks_Q, tops_Q = np.zeros((2, len(self.lists)), dtype=np.int64)
        first = 0
        for query, (_, texts, count) in enumerate(self.lists):
            own = scores[first : first + len(texts)]
            first += len(texts)
            # Of equal scores the positive comes last: a constant model must not look good.
            places = np.arange(len(texts))
            ranked = np.lexsort((places < count, -own))
            ranks_Q[query], tops_Q[query] = int((ranked < count).argmax()) + 1, ranked[0]
            order = ranked[:CUT]
            grades_QK[query, : len(order)] = order < count
            ideal_QK[query, :count] = 1.0
        per_item = {
            f"ndcg@{CUT}": ndcg_at(grades_QK, ideal_QK, CUT),
            f"mrr@{CUT}": reciprocal_rank_at(grades_QK, CUT),
        }
        notes: dict[str, int | str] = {"candidates": len(pairs)}
        if self.left_out:
            notes["anchors_left_out"] = self.left_out
        return EvaluationResult(
            metrics={name: float(values.mean()) for name, values in per_item.items()},
            intervals={name: bootstrap_mean(values) for name, values in per_item.items()},
            n=len(self.lists),
            truncated=int(truncated),
            seconds=time.perf_counter() - start,
            model={"name": type(model).__name__},
            data=self.data,
            notes=notes,
            per_item={**per_item, "first_relevant_rank": ranks_Q, "top_document": tops_Q},
        )
