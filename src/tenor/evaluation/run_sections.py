"""The sections that reports of runs have beside those of `report_sections`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tenor.evaluation import charts
from tenor.evaluation.charts import Choice
from tenor.evaluation.confusion_chart import confusion_chart
from tenor.evaluation.embedding_map import MapPoint, map_chart
from tenor.evaluation.freeze_chart import freeze_figure
from tenor.evaluation.report_sections import Estimate
from tenor.evaluation.score_charts import histograms, score_ranges
from tenor.evaluation.tag_context import TagErrorExample

__all__ = [
    "Confusions",
    "EmbeddingMap",
    "FreezeCurve",
    "Measured",
    "Mistake",
    "Pareto",
    "ScoreSpread",
    "Table",
    "TagErrors",
]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Figures of one model, where there is no other to compare it with.

    Args:
        title: heading.
        figures: by the metric's name.
        note: what the figures rest on.
    """

    template: ClassVar[str] = "measured.html"
    title: str = "Figures"
    figures: Mapping[str, Estimate]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Any table of words and numbers; on a phone a card for each row.

    Args:
        title: heading.
        head: of the columns; the first names the rows.
        rows: cells, as words.
        note: what a reader should know of it.
    """

    template: ClassVar[str] = "table.html"
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A text that was given the wrong label.

    Args:
        text: its beginning is shown.
        gold: the right label, or labels.
        found: the one that was given.
        probability: that the model gave to it, from 0 to 1; `None` where it gives none.
    """

    text: str
    gold: str
    found: str
    probability: float | None = None


@dataclass(frozen=True, kw_only=True)
class Confusions:
    """What a classifier takes for what, and texts with which it does.

    Args:
        title: heading.
        labels: all of them, in order.
        cells: `gold`, `found` and `count` of every combination that occurs; none where a text may
            have several labels.
        mistakes: the most telling first.
        note: how these were chosen.
    """

    template: ClassVar[str] = "confusions.html"
    title: str = "What is taken for what"
    labels: Sequence[str] = ()
    cells: Sequence[Mapping[str, Any]] = ()
    mistakes: Sequence[Mistake] = ()
    note: str = ""

    def chart(self) -> str:
        """SVG of the matrix, safe to put into a page."""
        return confusion_chart(self.labels, self.cells) if self.cells else ""

    @property
    def worst(self) -> list[Mapping[str, Any]]:
        """The most frequent confusions of two different labels."""
        wrong = [cell for cell in self.cells if cell["gold"] != cell["found"]]
        return sorted(wrong, key=lambda cell: -int(cell["count"]))[:12]


@dataclass(frozen=True, kw_only=True)
class TagErrors:
    """The errors of a tagger, with the words around them.

    Args:
        title: heading.
        counts: errors of each kind.
        examples: of each kind.
        note: how these were chosen.
    """

    template: ClassVar[str] = "tag_errors.html"
    title: str = "Errors, with the words around them"
    counts: Mapping[str, int]
    examples: Mapping[str, Sequence[TagErrorExample]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ScoreSpread:
    """How scores of pairs are spread: positives against negatives, or by gold score.

    Args:
        title: heading.
        scores: by the name of the model, two columns: scores of the positives and of the negatives;
            or gold scores and the model's.
        by_gold: whether it is gold scores.
        note: what the pairs are.
    """

    template: ClassVar[str] = "score_spread.html"
    title: str = "Scores"
    scores: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    by_gold: bool = False
    note: str = ""

    def chart(self) -> str:
        """SVG of the chart, safe to put into a page."""
        return (score_ranges if self.by_gold else histograms)(self.scores)


@dataclass(frozen=True, kw_only=True)
class EmbeddingMap:
    """Texts as points, near one another where their vectors are.

    Args:
        title: heading.
        panels: points by the name of the model whose vectors they are; the same texts in each.
        links: pairs of points, by number, that belong together.
        method: how the vectors were put on a plane, in words.
        note: what is shown.
    """

    template: ClassVar[str] = "embedding_map.html"
    touchable: ClassVar[bool] = True
    title: str = "Map of the embeddings"
    panels: Mapping[str, Sequence[MapPoint]]
    links: Sequence[tuple[int, int]] = ()
    method: str = ""
    note: str = ""

    def chart(self) -> str:
        """SVG of the map, safe to put into a page."""
        return map_chart(self.panels, self.links)


@dataclass(frozen=True, kw_only=True)
class Pareto:
    """Models by quality and what they cost; the front is the line.

    Args:
        title: heading.
        plots: models by the name of the cost, with its unit.
        quality: name of the figure.
        note: what a reader should know of it.
    """

    template: ClassVar[str] = "pareto.html"
    title: str = "Quality against cost"
    plots: Mapping[str, Sequence[Choice]]
    quality: str = "quality"
    note: str = ""

    def charts(self) -> list[tuple[str, str]]:
        """The cost and the SVG of each plot."""
        drawn = (
            (cost, charts.pareto(all_, cost, self.quality)) for cost, all_ in self.plots.items()
        )
        return [(cost, drawing) for cost, drawing in drawn if drawing]


@dataclass(frozen=True, kw_only=True)
class FreezeCurve:
    """What every frozen depth of a sweep reached, and what it took.

    Args:
        title: heading.
        rows: of the sweep's result.json.
        metric: the figure that decides.
    """

    template: ClassVar[str] = "freeze_curve.html"
    title: str = "The freeze curve"
    rows: Sequence[dict[str, Any]] = field(default_factory=list)
    metric: str = ""

    def chart(self) -> str:
        """SVG of the curve, safe to put into a page."""
        return freeze_figure(self.rows, self.metric)
