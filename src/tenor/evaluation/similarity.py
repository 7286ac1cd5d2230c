"""Semantic textual similarity: do the model's similarities order pairs of texts as people do?

Pearson and Spearman correlation of gold scores with the cosine, the dot product and the negative
Manhattan and Euclidean distance of each pair's vectors, and the largest of the four (the figures
of the STS benchmark, Cer et al. 2017, SemEval-2017 task 1; Reimers et al. 2016 on why Spearman).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import DataError
from tenor.evaluation.correlation import correlations
from tenor.evaluation.intervals import bootstrap_correlations, percentile_interval
from tenor.evaluation.result import Encodes, EvaluationResult, encode_texts
from tenor.evaluation.values import require_variation

__all__ = ["SIMILARITIES", "EmbeddingSimilarity", "pair_similarities", "similarity_metrics"]

SIMILARITIES = ("cosine", "dot", "manhattan", "euclidean")

_BLOCK_ELEMENTS = 1 << 22


class EmbeddingSimilarity:
    """Ten correlations of a model's similarities with gold scores, each with an interval.

    Args:
        sentences1: left text of each pair.
        sentences2: right text of each pair.
        scores: gold score of each pair, on any scale: higher is more similar.
        name: of the data set, for the result.
        data: `path` and `sha256` of the file, for the result, where there is one.
        resamples: bootstrap resamples behind the intervals.
        seed: of these.

    Raises:
        DataError: the lengths differ, there are no pairs, or the gold scores are constant or not
            finite.

    >>> class Lengths:
    ...     def encode(self, texts):
    ...         return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)
    >>> evaluate = EmbeddingSimilarity(["a", "bb", "ccc"], ["a", "b", "c"], [1.0, 0.5, 0.2])
    >>> round(evaluate(Lengths()).metrics["spearman_euclidean"], 6)
    1.0
    """

    def __init__(
        self,
        sentences1: Sequence[str],
        sentences2: Sequence[str],
        scores: Sequence[float] | npt.NDArray[np.floating],
        *,
        name: str = "sts",
        data: dict[str, Any] | None = None,
        resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.sentences1, self.sentences2 = list(sentences1), list(sentences2)
        self.scores = _gold(scores)
        if not len(self.sentences1) == len(self.sentences2) == len(self.scores):
            raise DataError(
                f"{len(self.sentences1)} left sentences, {len(self.sentences2)} right sentences "
                f"and {len(self.scores)} scores do not make pairs; their numbers must be equal."
            )
        self.name = name
        self.data = {"name": name} if data is None else data
        self.resamples, self.seed = resamples, seed

    def __call__(self, model: Encodes) -> EvaluationResult:
        """Encode each distinct text once and return the ten correlations with 95 % intervals.

        The result's `per_item` holds the pairs' similarities by name, and `gold`.

        Raises:
            DataError: the model gives all pairs the same similarity.
            ModelError: the model returned the wrong shape, or a value that is not finite.
        """
        start = time.perf_counter()
        embeddings, truncated = encode_texts(model, self.sentences1 + self.sentences2)
        pairs = len(self.scores)
        similarities = _varying_similarities(embeddings[:pairs], embeddings[pairs:])
        columns = np.stack([similarities[name] for name in SIMILARITIES], axis=1)
        pearson, spearman = bootstrap_correlations(
            columns, self.scores, resamples=self.resamples, seed=self.seed
        )
        intervals = {}
        for kind, samples in (("pearson", pearson), ("spearman", spearman)):
            for column, name in enumerate(SIMILARITIES):
                intervals[f"{kind}_{name}"] = percentile_interval(samples[:, column])
            intervals[f"{kind}_max"] = percentile_interval(samples.max(axis=1))
        return EvaluationResult(
            metrics=_correlation_metrics(similarities, self.scores),
            intervals=intervals,
            n=pairs,
            truncated=truncated,
            seconds=time.perf_counter() - start,
            model={"name": type(model).__name__},
            data=self.data,
            per_item={**similarities, "gold": self.scores},
        )


def similarity_metrics(
    embeddings1: npt.NDArray[np.floating],
    embeddings2: npt.NDArray[np.floating],
    scores: Sequence[float] | npt.NDArray[np.floating],
) -> dict[str, float]:
    """Return the ten correlations, `pearson_cosine` to `spearman_max`.

    Args:
        embeddings1: vectors of the left texts, shape (pairs, width).
        embeddings2: vectors of the right texts, shape (pairs, width).
        scores: gold scores, shape (pairs,).

    Raises:
        DataError: shapes differ, or the gold scores or a similarity are constant.
    """
    gold = _gold(scores)
    if len(gold) != len(embeddings1):
        raise DataError(f"{len(gold)} gold scores do not match {len(embeddings1)} pairs.")
    return _correlation_metrics(_varying_similarities(embeddings1, embeddings2), gold)


def pair_similarities(
    embeddings1: npt.NDArray[np.floating], embeddings2: npt.NDArray[np.floating]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return cosine, dot product and negative Manhattan and Euclidean distance of each pair.

    They are summed in float64 and rounded to float32, so that what differs by rounding only (the
    cosine of a text with itself) is a tie. The cosine with a vector of zeros is 0.

    Args:
        embeddings1: shape (pairs, width).
        embeddings2: shape (pairs, width).

    Raises:
        DataError: the shapes differ.

    >>> pair_similarities(np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]]))["cosine"].tolist()
    [0.800000011920929]
    """
    if embeddings1.ndim != 2 or embeddings1.shape != embeddings2.shape:
        raise DataError(
            f"vectors of the shapes {embeddings1.shape} and {embeddings2.shape} do not make pairs."
        )
    similarities = {name: np.empty(len(embeddings1), dtype=np.float32) for name in SIMILARITIES}
    block = max(1, _BLOCK_ELEMENTS // max(1, embeddings1.shape[1]))
    for start in range(0, len(embeddings1), block):
        rows = slice(start, start + block)
        left, right = embeddings1[rows].astype(np.float64), embeddings2[rows].astype(np.float64)
        dot = np.einsum("nd,nd->n", left, right)
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        similarities["dot"][rows] = dot
        similarities["cosine"][rows] = dot / np.where(norms > 0.0, norms, 1.0)
        similarities["manhattan"][rows] = -np.abs(left - right).sum(axis=1)
        similarities["euclidean"][rows] = -np.linalg.norm(left - right, axis=1)
    return similarities


def _varying_similarities(
    embeddings1: npt.NDArray[np.floating], embeddings2: npt.NDArray[np.floating]
) -> dict[str, npt.NDArray[np.float32]]:
    similarities = pair_similarities(embeddings1, embeddings2)
    for name, values in similarities.items():
        require_variation(f"model's {name} scores", values)
    return similarities


def _correlation_metrics(
    similarities: dict[str, npt.NDArray[np.float32]], gold: npt.NDArray[np.float64]
) -> dict[str, float]:
    columns = np.stack([similarities[name] for name in SIMILARITIES], axis=1)
    metrics: dict[str, float] = {}
    for kind, values in zip(("pearson", "spearman"), correlations(columns, gold), strict=True):
        metrics |= {
            f"{kind}_{name}": float(v) for name, v in zip(SIMILARITIES, values, strict=True)
        }
        metrics[f"{kind}_max"] = float(values.max())
    return metrics


def _gold(scores: Sequence[float] | npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    gold = np.asarray(scores, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(gold))
    if len(bad):
        raise DataError(
            f"the gold score is {gold[bad[0]]}; it must be a finite number.",
            line=int(bad[0]) + 1,
            column="score",
        )
    require_variation("gold scores", gold)
    return gold
