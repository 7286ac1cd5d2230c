"""How much of the evaluation data already stands in the training data."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from tenor.data.schema import PairTable

__all__ = ["Overlap", "OverlapExample", "normalise", "overlap"]


@dataclass(frozen=True)
class OverlapExample:
    """An evaluation text that occurs in training, and its line in the evaluation file."""

    text: str
    line: int


@dataclass(frozen=True)
class Overlap:
    """What `overlap` found; `share` is the part of the evaluation texts seen in training, 0..1.

    Args:
        texts: distinct evaluation texts.
        shared_texts: how many of them occur in training.
        examples: the first of these, in the order of the evaluation data.
        pairs: distinct evaluation pairs, where both sides are pairs, else `None`.
        shared_pairs: how many of them occur in training, in either order.
    """

    texts: int
    shared_texts: int
    examples: tuple[OverlapExample, ...] = ()
    pairs: int | None = None
    shared_pairs: int | None = None

    @property
    def share(self) -> float:
        """Shared texts divided by texts; 0 where there are none."""
        return self.shared_texts / self.texts if self.texts else 0.0

    def describe(self) -> str:
        """One sentence for a log."""
        if not self.shared_texts:
            return f"None of the {self.texts:,} evaluation texts occurs in the training data."
        sentence = (
            f"{self.shared_texts:,} of {self.texts:,} evaluation texts ({self.share:.1%}) also "
            "occur in the training data"
        )
        if self.pairs is not None:
            sentence += f", and {self.shared_pairs:,} of {self.pairs:,} evaluation pairs"
        first = self.examples[0]
        text = first.text if len(first.text) <= 60 else first.text[:57] + "..."
        return f"{sentence}; the first on line {first.line}: {text!r}."


def normalise(text: str) -> str:
    """The form in which two texts count as the same: NFKC, case folded, white space collapsed.

    >>> normalise("  Caf\\u00e9\\tNO\\u2163 ")
    'café noiv'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def overlap(
    training: PairTable | Iterable[str], evaluation: PairTable | Iterable[str], *, examples: int = 5
) -> Overlap:
    """Counts the evaluation texts, and pairs, that also occur in training.

    Texts are compared as `normalise` writes them, by digests of 8 bytes (two different texts among
    a million are taken for the same once in some twenty million runs).

    Args:
        training: a table, of which all text columns count, or any texts.
        evaluation: the same; plain texts are counted from line 1.
        examples: how many of the shared texts to keep.

    >>> print(overlap(["A cat."], ["a  CAT.", "A bird."]).describe())
    1 of 2 evaluation texts (50.0%) also occur in the training data; the first on line 1: 'a  CAT.'.
    """
    seen, seen_pairs, _, _ = _digests(training)
    digests, pairs, texts, lines = _digests(evaluation)
    flat = digests.ravel()
    distinct, first = np.unique(flat, return_index=True)
    shared = np.isin(distinct, seen.ravel())
    shown = np.sort(first[shared])[:examples].tolist()
    width = digests.shape[1]
    result = Overlap(
        texts=len(distinct),
        shared_texts=int(shared.sum()),
        examples=tuple(
            OverlapExample(texts[place % width][place // width], int(lines[place // width]))
            for place in shown
        ),
    )
    if pairs is None or seen_pairs is None:
        return result
    distinct_pairs = np.unique(pairs)
    return Overlap(
        texts=result.texts,
        shared_texts=result.shared_texts,
        examples=result.examples,
        pairs=len(distinct_pairs),
        shared_pairs=int(np.isin(distinct_pairs, seen_pairs).sum()),
    )


def _digests(
    source: PairTable | Iterable[str],
) -> tuple[np.ndarray, np.ndarray | None, list[list[str]], np.ndarray]:
    """Digests `(rows, columns)`, of the pairs `(rows,)` if any, texts by column, lines."""
    if isinstance(source, PairTable):
        texts, lines = list(source.columns.values()), source.lines
    else:
        texts = [list(source)]
        lines = np.arange(1, len(texts[0]) + 1)
    digests = np.stack([_column_digests(column) for column in texts], axis=1)
    if len(texts) < 2:
        return digests, None, texts, lines
    low, high = np.sort(digests[:, :2], axis=1).T
    # An odd factor keeps (a, b) apart from the other pairs with the same sum; it wraps at 2^64.
    return digests, low * np.uint64(0x9E3779B97F4A7C15) + high, texts, lines


def _column_digests(texts: Iterable[str]) -> np.ndarray:
    forms = (normalise(text).encode(errors="surrogatepass") for text in texts)
    digests = b"".join(blake2b(form, digest_size=8).digest() for form in forms)
    return np.frombuffer(digests, dtype=np.uint64)
