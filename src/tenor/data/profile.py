"""A data set in figures: how many rows, how long, which classes, which languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tenor.data.languages import language_mix
from tenor.data.overlap import normalise
from tenor.data.schema import PairTable
from tenor.data.scripts import script_mix
from tenor.data.shots import count_texts
from tenor.data.tagging import TaggedTexts

__all__ = ["Profile", "Spread", "profile_table", "profile_tagged", "profile_texts"]


@dataclass(frozen=True)
class Spread:
    """How a count is spread over items.

    Attributes:
        median: half of the items have at most this.
        high: 95 % of them have.
        longest: the largest one.
    """

    median: int
    high: int
    longest: int

    @classmethod
    def of(cls, values: Any) -> Spread:
        """Of some counts, at least one."""
        counts = np.asarray(values)
        median, high = np.quantile(counts, [0.5, 0.95], method="lower")
        return cls(int(median), int(high), int(counts.max()))


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a data set is, in figures.

    Attributes:
        rows: that can be used.
        texts: different ones among all its texts, as `normalise` writes them.
        words: of a text.
        scripts: share of the texts by their main script.
        languages: share of the texts by their language, an ISO 639-1 code or "unsure".
        classes: texts of each label, or spans of each type, the most frequent first; empty where
            there are none.
        scores: lowest, mean and highest, scaled to 0..1, and how many different ones; `None` where
            there are none.
    """

    rows: int
    texts: int
    words: Spread
    scripts: Mapping[str, float]
    languages: Mapping[str, float]
    classes: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def describe_classes(self, what: str = "labels") -> str:
        """How many classes there are, and how unevenly they are filled.

        Args:
            what: they are called.
        """
        counts = list(self.classes.values())
        if not counts:
            return ""
        low, high = min(counts), max(counts)
        each = f"{low:,} each" if low == high else f"{low:,} to {high:,} each"
        return f"{len(counts):,} {what}, {each}"


def profile_texts(texts: Sequence[str], rows: int | None = None) -> Profile:
    """The profile of texts without labels.

    Args:
        texts: at least one.
        rows: of the file, if not one for each text.
    """
    distinct = list(dict.fromkeys(texts))
    return Profile(
        rows=len(texts) if rows is None else rows,
        texts=len({normalise(text) for text in distinct}),
        words=Spread.of([len(text.split()) for text in distinct]),
        scripts=script_mix(distinct),
        languages=language_mix(distinct),
    )


def profile_table(table: PairTable) -> Profile:
    """The profile of pairs, triplets, scored or labelled pairs, or labelled texts."""
    texts = [text for column in table.columns.values() for text in column]
    plain = profile_texts(texts, len(table))
    classes: dict[str, int] = {}
    scores = None
    if table.label_names is not None:
        counts = count_texts(table)
        order = np.argsort(-counts, kind="stable").tolist()
        classes = {table.label_names[place]: int(counts[place]) for place in order}
    elif table.target is not None:
        values = np.asarray(table.target)
        scores = {
            "lowest": float(values.min()),
            "mean": float(values.mean()),
            "highest": float(values.max()),
            "different": len(np.unique(values)),
        }
    return Profile(**{**vars(plain), "classes": classes, "scores": scores})


def profile_tagged(table: TaggedTexts) -> Profile:
    """The profile of texts with tagged spans; classes are the types of the spans."""
    plain = profile_texts(table.texts)
    counts = sorted(table.counts.items(), key=lambda each: -each[1])
    return Profile(**{**vars(plain), "classes": dict(counts)})
