"""Hard negatives: from ranked candidates and their scores to the ones chosen.

Shape legend: A anchors, K candidates an anchor, M negatives wanted, N texts of the corpus. A row
number of -1 stands for no candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tenor.data.negative_rules import NegativeRules
from tenor.data.overlap import normalise

__all__ = [
    "choose_negatives",
    "draw_rows",
    "interleave",
    "judge_candidates",
    "leftmost",
    "text_digests",
]

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Number = TypeVar("Number", np.int64, np.float32)


def text_digests(
    texts: Iterable[str], form: Callable[[str], str] = normalise
) -> npt.NDArray[np.uint64]:
    """Digests of 8 bytes, equal for texts that count as the same."""
    forms = (form(text).encode(errors="surrogatepass") for text in texts)
    return np.frombuffer(
        b"".join(blake2b(text, digest_size=8).digest() for text in forms), dtype=np.uint64
    )


def interleave(rankings_AK: Sequence[Rows]) -> Rows:
    """One ranking of several: their first places, then their second, ...; each row once.

    Args:
        rankings_AK: rows of the corpus, best first, of as many anchors each.

    >>> interleave([np.array([[4, 2, 7]]), np.array([[2, 9, -1]])]).tolist()
    [[4, 2, 9, 7, -1, -1]]
    """
    if len(rankings_AK) == 1:
        return rankings_AK[0]
    width = max(ranking.shape[1] for ranking in rankings_AK)
    padded = [
        np.pad(ranking, ((0, 0), (0, width - ranking.shape[1])), constant_values=-1)
        for ranking in rankings_AK
    ]
    merged = np.stack(padded, axis=2).reshape(len(padded[0]), -1)
    # Of equal rows a stable sort puts the first place first; the others are repeats.
    order = np.argsort(merged, axis=1, kind="stable")
    ordered = np.take_along_axis(merged, order, axis=1)
    repeated = np.zeros(merged.shape, dtype=bool)
    np.put_along_axis(repeated, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return leftmost((merged >= 0) & ~repeated, merged, -1, merged.shape[1])


def judge_candidates(
    rules: NegativeRules,
    rows_AK: Rows,
    scores_AK: Scores,
    positive_A: Scores,
    *,
    skip: int | None = None,
) -> tuple[Mask, dict[str, int]]:
    """Which candidates the rules allow, and how many each rule drops.

    Args:
        rules: the rules.
        rows_AK: candidates, best first, known positives left out.
        scores_AK: their similarity to the anchor.
        positive_A: the lowest similarity of the anchor and a positive of it.
        skip: instead of the rules' own.

    Returns:
        Mask of shape (A, K); counts by rule, a candidate counted once, at the first it breaks.

    >>> rows = np.array([[3, 8, 1]])
    >>> scores = np.array([[0.9, 0.78, 0.5]], dtype=np.float32)
    >>> kept, dropped = judge_candidates(NegativeRules(), rows, scores, np.float32([0.8]))
    >>> kept.tolist(), dropped["relative_margin"]
    ([[False, False, True]], 2)
    """
    allowed_skip = rules.skip if skip is None else skip
    kept = rows_AK >= 0
    positive = positive_A.astype(np.float64)[:, None]
    broken_by: dict[str, Mask] = {"skip": np.cumsum(kept, axis=1) <= allowed_skip}
    if rules.margin is not None:
        broken_by["margin"] = scores_AK >= positive - rules.margin
    if rules.relative_margin is not None:
        ceiling = positive - rules.relative_margin * np.abs(positive)
        broken_by["relative_margin"] = scores_AK >= ceiling
    if rules.max_score is not None:
        broken_by["max_score"] = scores_AK > np.float32(rules.max_score)
    if rules.min_score is not None:
        broken_by["min_score"] = scores_AK < np.float32(rules.min_score)
    dropped = {}
    for name, broken in broken_by.items():
        dropped[name] = int((kept & broken).sum())
        kept &= ~broken
    return kept, dropped


def choose_negatives(
    rules: NegativeRules,
    rows_AK: Rows,
    kept_AK: Mask,
    anchors_A: Rows,
    wanted_A: Rows,
    accept: Callable[[Rows, Rows], Mask] | None = None,
) -> tuple[Mask, int]:
    """Choose among the candidates that the rules allow.

    Args:
        rules: say whether the first or random ones are taken.
        rows_AK: candidates, best first.
        kept_AK: those allowed.
        anchors_A: numbers of the anchors, which the random choice depends on.
        wanted_A: how many each anchor lacks.
        accept: a last, expensive test of (places among the A anchors, rows of the corpus), asked
            only about candidates that would be taken; one that fails makes room for the next.

    Returns:
        Mask of those chosen, and how many `accept` refused.
    """
    order = np.argsort(~kept_AK, axis=1, kind="stable")
    if rules.sampling == "random":
        keys = np.stack(
            [
                np.random.default_rng([rules.seed, anchor]).random(rows_AK.shape[1])
                for anchor in anchors_A.tolist()
            ]
        )
        order = np.argsort(np.where(kept_AK, keys, 2.0), axis=1, kind="stable")
    left_A = kept_AK.sum(axis=1)
    taken_AK = np.zeros(kept_AK.shape, dtype=bool)
    have_A, next_A = np.zeros_like(left_A), np.zeros_like(left_A)
    places_K = np.arange(kept_AK.shape[1])
    refused = 0
    while True:
        step_A = np.minimum(np.maximum(wanted_A - have_A, 0), left_A - next_A)
        if not step_A.any():
            break
        asked = (places_K >= next_A[:, None]) & (places_K < (next_A + step_A)[:, None])
        anchor, place = np.nonzero(asked)
        column = order[anchor, place]
        passed = np.ones(len(anchor), dtype=bool)
        if accept is not None:
            passed = accept(anchor, rows_AK[anchor, column])
        taken_AK[anchor[passed], column[passed]] = True
        have_A += np.bincount(anchor[passed], minlength=len(have_A))
        next_A += step_A
        refused += int((~passed).sum())
    return taken_AK, refused


def draw_rows(rules: NegativeRules, anchors_A: Rows, count: int, texts: int) -> Rows:
    """Random rows of a corpus of N texts, different ones for an anchor: (A, count), -1 padded."""
    drawn = np.full((len(anchors_A), count), -1, dtype=np.int64)
    for place, anchor in enumerate(anchors_A.tolist()):
        generator = np.random.default_rng([rules.seed, anchor, 1])
        if texts <= 4 * count:
            rows = generator.permutation(texts)[:count]
        else:
            rows = np.array(list(dict.fromkeys(generator.integers(0, texts, count).tolist())))
        drawn[place, : len(rows)] = rows
    return drawn


def leftmost(
    chosen_AK: Mask, values_AK: npt.NDArray[Number], filler: float, width: int
) -> npt.NDArray[Number]:
    """The chosen values of each line moved to its left, cut or filled up to a width.

    >>> leftmost(np.array([[False, True, True]]), np.array([[7, 8, 9]]), -1, 4).tolist()
    [[8, 9, -1, -1]]
    """
    order = np.argsort(~chosen_AK, axis=1, kind="stable")[:, :width]
    found = np.take_along_axis(values_AK, order, axis=1)
    found[~np.take_along_axis(chosen_AK, order, axis=1)] = filler
    missing = width - found.shape[1]
    if missing > 0:
        found = np.pad(found, ((0, 0), (0, missing)), constant_values=filler)
    return found
