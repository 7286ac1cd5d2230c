"""Precision, recall and F1 of spans: a span is right if its place and its type are (CoNLL).

Shape legend: N texts, K types, R resamples.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from tenor.data.tags import read_tag, tag_spans
from tenor.errors import DataError
from tenor.evaluation.intervals import percentile_interval, resample_counts

__all__ = ["PARTS", "count_spans", "span_intervals", "span_metrics", "tag_metrics"]

Floats = npt.NDArray[np.float64]
PARTS = ("precision", "recall", "f1")
Place = tuple[int, int, str]  # start, end, type


def tag_metrics(
    gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]], *, strict: bool = False
) -> dict[str, float]:
    """Precision, recall and F1 of the spans that tags mean.

    Args:
        gold: the right tags of each text.
        found: the tags given to it.
        strict: read BIO as it is defined, where only B- begins a span; else an I- that follows
            nothing of its type begins one, too. seqeval has the same two readings:
            `mode="strict", scheme=IOB2`, and its default.

    Returns:
        What `span_metrics` gives.

    Raises:
        DataError: texts, or tags of a text, differ in number.

    >>> tag_metrics([["B-PER", "I-PER", "O"]], [["I-PER", "I-PER", "O"]])["f1"]
    1.0
    >>> tag_metrics([["B-PER", "I-PER", "O"]], [["I-PER", "I-PER", "O"]], strict=True)["f1"]
    0.0
    """
    if len(gold) != len(found):
        raise DataError(f"there are tags of {len(gold)} texts and of {len(found)}.")
    for row, (right, given) in enumerate(zip(gold, found, strict=True), start=1):
        if len(right) != len(given):
            raise DataError(f"it has {len(right)} tags and was given {len(given)}.", line=row)
    sides = [
        [tag_spans([read_tag(tag) for tag in tags], strict=strict) for tags in texts]
        for texts in (gold, found)
    ]
    types = sorted({span.type for side in sides for spans in side for span in spans})
    return span_metrics(count_spans(sides[0], sides[1], types).sum(axis=0), types)


def count_spans(
    gold: Sequence[Collection[Place]], found: Sequence[Collection[Place]], types: Sequence[str]
) -> Floats:
    """(N, K, 3) how many spans of each type are right, were found, and should have been found.

    Args:
        gold: the right spans of each text: start, end, type.
        found: the spans found in it.
        types: all types there are.
    """
    number = {name: place for place, name in enumerate(types)}
    counts = np.zeros((len(gold), len(types), 3))
    for row, (right, given) in enumerate(zip(gold, found, strict=True)):
        should, are = set(right), set(given)
        for part, spans in enumerate((should & are, are, should)):
            for span in spans:
                counts[row, number[span[2]], part] += 1
    return counts


def span_metrics(counts: npt.NDArray[np.floating], types: Sequence[str]) -> dict[str, float]:
    """Precision, recall and F1 over all spans (micro), averaged over types, and of each type.

    ::

        precision = right / found     recall = right / gold     F1 = 2 · right / (found + gold)

    `macro` is the mean over the types that occur or were found, `weighted` the mean weighted by how
    often each occurs; 0 where nothing is to be divided by. The same as seqeval's.

    Args:
        counts: (K, 3) right, found and gold spans of each type.
        types: K names.

    >>> figures = span_metrics(np.array([[1.0, 2.0, 1.0]]), ["PER"])
    >>> round(figures["precision"], 2), figures["recall"], round(figures["f1_PER"], 3)
    (0.5, 1.0, 0.667)
    """
    values = _figures(np.asarray(counts, dtype=np.float64)[None])
    return dict(zip(_names(types), values[0].tolist(), strict=True))


def span_intervals(
    counts_NK3: Floats, types: Sequence[str], *, resamples: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Bootstrap 95 % intervals of the figures of `span_metrics`, resampling the texts.

    Args:
        counts_NK3: of each text, from `count_spans`.
        types: K names.
        resamples: R, at least 1.
        seed: the same seed gives the same intervals.
    """
    texts, kinds = counts_NK3.shape[:2]
    flat = counts_NK3.reshape(texts, -1)
    drawn = [
        _figures((block @ flat).reshape(len(block), kinds, 3))
        for block in resample_counts(texts, resamples, seed)
    ]
    samples = np.concatenate(drawn)
    return {
        name: percentile_interval(column)
        for name, column in zip(_names(types), samples.T, strict=True)
    }


def _names(types: Sequence[str]) -> list[str]:
    averages = [f"{kind}{part}" for kind in ("", "macro_", "weighted_") for part in PARTS]
    return averages + [f"{part}_{name}" for name in types for part in PARTS]


def _figures(counts_RK3: Floats) -> Floats:
    """(R, 9 + 3 K) the figures, in the order of `_names`."""
    each_RK3 = _scores(counts_RK3)
    gold_RK = counts_RK3[..., 2]
    occurs_RK = counts_RK3[..., 1:].sum(axis=-1) > 0
    parts = [
        _scores(counts_RK3.sum(axis=1)),
        _mean(each_RK3, occurs_RK.astype(np.float64)),
        _mean(each_RK3, gold_RK),
        each_RK3.reshape(len(counts_RK3), -1),
    ]
    return np.concatenate(parts, axis=1)


def _scores(counts: Floats) -> Floats:
    """(…, 3) precision, recall and F1 of right, found and gold."""
    right, found, gold = counts[..., 0], counts[..., 1], counts[..., 2]
    pairs = [(right, found), (right, gold), (2 * right, found + gold)]
    return np.stack([above / np.where(below > 0, below, 1.0) for above, below in pairs], axis=-1)


def _mean(each_RK3: Floats, weights_RK: Floats) -> Floats:
    total_R1 = weights_RK.sum(axis=1, keepdims=True)
    shares_RK = weights_RK / np.where(total_R1 > 0, total_R1, 1.0)
    mean: Floats = (each_RK3 * shares_RK[..., None]).sum(axis=1)
    return mean
