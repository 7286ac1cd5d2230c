"""The sections that a report can have.

A section is a dataclass with a title and the name of its template in `templates/`: a new kind of
section is one more dataclass and one more template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol

from tenor.evaluation import charts
from tenor.evaluation.intervals import PairedDifference

__all__ = [
    "BarIntervals",
    "Changes",
    "Comparison",
    "Estimate",
    "Figures",
    "Hit",
    "LossCurve",
    "RankChange",
    "Repeat",
    "SearchExample",
    "SearchExamples",
    "Section",
    "Text",
    "Warnings",
]


class Estimate(NamedTuple):
    """A figure with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One metric of two systems on the same items.

    Args:
        metric: its name as the field writes it: `ndcg@10`.
        before: figure of the first system.
        after: figure of the second.
        difference: after minus before, on the same resamples; None: not known.
        higher_is_better: False for a loss or a time.
        digits: decimals shown.
    """

    metric: str
    before: Estimate
    after: Estimate
    difference: PairedDifference | None = None
    higher_is_better: bool = True
    digits: int = 3

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the difference's interval excludes zero, else `unclear`."""
        if self.difference is None:
            return "unclear"
        low, high = self.difference.low, self.difference.high
        if low > 0 or high < 0:
            return "better" if (low > 0) == self.higher_is_better else "worse"
        return "unclear"

    @property
    def verdict_in_words(self) -> str:
        """The verdict and what it rests on."""
        if self.difference is None:
            return "not compared item by item"
        if self.verdict == "unclear":
            return "unclear: the interval includes zero"
        return f"{self.verdict}: the interval excludes zero"


class Section(Protocol):
    """What a report is made of."""

    template: ClassVar[str]

    @property
    def title(self) -> str:
        """Heading of the section."""


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text."""

    template: ClassVar[str] = "text.html"
    title: str
    paragraphs: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Table of metrics before and after, with intervals and the paired difference.

    Args:
        title: heading.
        comparisons: one a row.
        before: name of the first system.
        after: name of the second.
        note: what the figures rest on: data, number of items, resamples.
    """

    template: ClassVar[str] = "figures.html"
    title: str = "Before and after"
    comparisons: Sequence[Comparison]
    before: str = "before"
    after: str = "after"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class BarIntervals:
    """The same as a chart; `Figures` says it in words."""

    template: ClassVar[str] = "bar_intervals.html"
    title: str = "Before and after, drawn"
    comparisons: Sequence[Comparison]
    before: str = "before"
    after: str = "after"

    def chart(self) -> str:
        """SVG of the chart, safe to put into a page."""
        return charts.comparison_bars(self.comparisons, self.before, self.after)


@dataclass(frozen=True, kw_only=True)
class LossCurve:
    """Loss, and a validation metric if there is one, over the steps of training.

    Args:
        title: heading.
        loss: (step, loss) pairs in the order of the steps.
        validation: (step, value) pairs likewise.
        validation_metric: name of the validation's figure.
        note: what a reader should know of it.
    """

    template: ClassVar[str] = "loss_curve.html"
    title: str = "Training"
    loss: Sequence[tuple[float, float]]
    validation: Sequence[tuple[float, float]] = ()
    validation_metric: str = "metric"
    note: str = ""

    def chart(self) -> str:
        """SVG of the chart, safe to put into a page."""
        return charts.loss_curve(self.loss, self.validation, self.validation_metric)


@dataclass(frozen=True, kw_only=True)
class RankChange:
    """A query whose right document moved.

    Args:
        query: what was asked.
        name: of the right document.
        text: of the right document; its beginning is shown.
        before: the document's rank by the first system, from 1; 0: beyond the ranks looked at.
        after: likewise by the second.
        top_before: text of the document that the first system ranks highest; "": not told.
        top_after: likewise by the second.
    """

    query: str
    name: str
    text: str
    before: int
    after: int
    top_before: str = ""
    top_after: str = ""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Where retrieval improved and where it got worse.

    Args:
        title: heading.
        improved: examples, the most telling first.
        worsened: likewise.
        counts: number of queries by what became of them (`improved`, `unchanged`, `worse`).
        depth: ranks looked at.
        note: how the examples were chosen.
    """

    template: ClassVar[str] = "changes.html"
    title: str = "Where it improved, and where it got worse"
    improved: Sequence[RankChange]
    worsened: Sequence[RankChange]
    counts: Mapping[str, int] = field(default_factory=dict)
    depth: int = 100
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A document that was found: its name, its text (the beginning is shown), its similarity."""

    name: str
    text: str
    score: float


@dataclass(frozen=True, kw_only=True)
class SearchExample:
    """A question and what both systems found, best first."""

    query: str
    before: Sequence[Hit]
    after: Sequence[Hit]


@dataclass(frozen=True, kw_only=True)
class SearchExamples:
    """What somebody sees who searches, before and after."""

    template: ClassVar[str] = "search_examples.html"
    title: str = "Searches"
    examples: Sequence[SearchExample]
    before: str = "before"
    after: str = "after"
    note: str = ""


@dataclass(frozen=True)
class Warnings:
    """What was noticed about the data: truncated texts, overlap, dropped rows."""

    template: ClassVar[str] = "warnings.html"
    title: str
    warnings: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """Everything that is needed to do it again.

    Args:
        command: as typed.
        config: every setting, also those left at their default.
        versions: of Python and of the packages that compute.
        hashes: SHA-256 of model and data, by name.
        seeds: by what they seed.
        machine: processor, cores, memory, precision.
        title: heading.
    """

    template: ClassVar[str] = "repeat.html"
    command: str
    config: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, object] = field(default_factory=dict)
    hashes: Mapping[str, object] = field(default_factory=dict)
    seeds: Mapping[str, object] = field(default_factory=dict)
    machine: Mapping[str, object] = field(default_factory=dict)
    title: str = "To repeat it"
