"""The table of a distilled model: principal components, weights, and the fit to the teacher."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import DataError
from tenor.models.table_fit import bag_matrix, fit_table, mean_cosine
from tenor.models.token_weights import common_directions, sif_weights, zipf
from tenor.tokens.token_ids import TokenIds

__all__ = [
    "choose_and_fit",
    "count_tokens",
    "first_table",
    "frequencies",
    "principal",
    "sample_sentences",
]

Floats = npt.NDArray[np.float32]

STRENGTHS = (0.01, 0.03, 0.1, 0.3)
HELD_OUT = 10  # one sentence in so many chooses the strength
UNSEEN = 0.05  # the share of all tokens that Zipf's law speaks for, beside the corpus
SHORTEST = 3  # characters of a sentence
# Behind the end of a sentence, and at every line break.
SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+|(?<=[。！？])|\s*\n+\s*")


def sample_sentences(texts: Iterable[str], count: int, seed: int) -> list[str]:
    """Distinct sentences of a corpus, each with the same chance, in flat memory.

    Args:
        texts: the corpus; streamed once.
        count: how many sentences to keep.
        seed: decides which.

    >>> sample_sentences(["One. Two! 3?\\nFour five"], 9, 0)
    ['One.', 'Two!', 'Four five']
    """
    generator = np.random.default_rng(seed)
    kept: list[str] = []
    places: dict[str, int] = {}
    seen = 0
    for text in texts:
        for piece in SENTENCE_END.split(text):
            sentence = piece.strip()
            if len(sentence) < SHORTEST or sentence in places:
                continue
            seen += 1
            place = len(kept) if len(kept) < count else int(generator.integers(seen))
            if place >= count:
                continue
            if place < len(kept):
                del places[kept[place]]
                kept[place] = sentence
            else:
                kept.append(sentence)
            places[sentence] = place
    return kept


def frequencies(counts: npt.NDArray[np.int64] | None, tokens: int) -> npt.NDArray[np.float64]:
    """(tokens,) probabilities: as counted, with a little of Zipf's law for what was not seen."""
    prior = zipf(tokens)
    if counts is None or not counts.sum():
        return prior
    found: npt.NDArray[np.float64] = (1 - UNSEEN) * counts / counts.sum() + UNSEEN * prior
    return found


def principal(vectors: Floats, dimensions: int) -> npt.NDArray[np.float64]:
    """(width, dimensions) the directions that hold most of some vectors (N, width), not centred."""
    exact = vectors.astype(np.float64)
    return common_directions(exact.T @ exact / max(len(exact), 1), dimensions).T


def first_table(
    vectors: Floats, live: npt.NDArray[np.bool_], p: npt.NDArray[np.float64], a: float,
    basis: npt.NDArray[np.float64] | None, dimensions: int,
) -> Floats:  # fmt: skip
    """The tokens' own vectors, centred, in fewer dimensions, weighted by rareness.

    Args:
        vectors: (V, width) what the teacher makes of each token by itself.
        live: (V,) which tokens stand for text.
        p: (V,) their probabilities.
        a: of SIF.
        basis: (width, D) directions to keep; the tokens' own principal components by default.
        dimensions: D.
    """
    centred = vectors - vectors[live].mean(axis=0)
    centred[~live] = 0
    if basis is None:
        basis = principal(centred[live], dimensions)
    table: Floats = (centred @ basis * sif_weights(p, a)[:, None]).astype(np.float32)
    return table


def choose_and_fit(
    ids: TokenIds,
    targets: Floats,
    start: Floats,
    *,
    tell: Callable[[str], None],
) -> tuple[Floats, dict[str, float]]:
    """Fit a table to the teacher's vectors, with the strength that does best on held-out sentences.

    Args:
        ids: N sentences in the student's tokens.
        targets: (N, D) the teacher's vectors of them.
        start: (V, D) the first table.
        tell: gets a line for each strength.

    Returns:
        The table, and the mean cosine with the teacher on held-out sentences before and after.

    Raises:
        DataError: when there are too few sentences to hold some out.
    """
    bags = bag_matrix(ids, len(start))
    held = np.arange(len(ids)) % HELD_OUT == HELD_OUT - 1
    if not held.any():
        raise DataError(
            f"{len(ids)} sentences are too few to fit to; give more text, or passages = 0."
        )
    means = bags @ start
    start = start * np.float32(np.vdot(means, targets) / max(float(np.vdot(means, means)), 1e-12))
    before = mean_cosine(bags[held], targets[held], start)
    tell(f"mean cosine with the teacher on {held.sum():,} held-out sentences: {before:.4f}")
    best, strength = -1.0, STRENGTHS[0]
    for candidate in STRENGTHS:
        table = fit_table(bags[~held], targets[~held], start, strength=candidate)
        found = mean_cosine(bags[held], targets[held], table)
        tell(f"fitted with strength {candidate}: {found:.4f}")
        if found <= best:
            break  # weaker than the last: stronger ones only get weaker
        best, strength = found, candidate
    if best <= before:
        tell("the fit brings nothing; the first table is kept")
        return start, {"before": before, "after": before, "strength": 0.0}
    table = fit_table(bags, targets, start, strength=strength)
    return table, {"before": before, "after": best, "strength": strength}


def count_tokens(tokenizer: Any, blocks: Iterable[list[str]], size: int) -> npt.NDArray[np.int64]:
    """(size,) how often each token stands in a corpus."""
    counts = np.zeros(size, dtype=np.int64)
    for block in blocks:
        counts += np.bincount(tokenizer(block).ids, minlength=size)
    return counts
