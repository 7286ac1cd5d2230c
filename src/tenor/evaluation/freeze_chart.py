"""The curve of a freeze sweep: quality, time and memory over frozen blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenor.evaluation.svg import Drawing, Frame, for_screens

__all__ = ["freeze_chart", "freeze_figure"]

WIDTH = 560
Rows = Sequence[dict[str, Any]]


def freeze_chart(rows: Rows, metric: str) -> str:
    """Draw what every depth reached and what it took.

    Args:
        rows: of a sweep's result.json.
        metric: the figure to draw, with its interval.

    Returns:
        An SVG file's text.
    """
    return _drawn(rows, metric, WIDTH).alone()


def freeze_figure(rows: Rows, metric: str) -> str:
    """The same inside a page, for wide and for narrow screens."""
    return for_screens(lambda width: _drawn(rows, metric, width))


def _drawn(rows: Rows, metric: str, width: float) -> Drawing:
    drawing = Drawing(width)
    ends = [end for row in rows for end in row["test"]["intervals"][metric]]
    frame = _frame(
        drawing, f"{metric} on the test texts, 95 % intervals", rows, (min(ends), max(ends)), 200
    )
    points = []
    for place, row in enumerate(rows):
        value, (low, high) = row["test"]["metrics"][metric], row["test"]["intervals"][metric]
        x = frame.x(place)
        points.append((x, frame.y(value)))
        drawing.line(x, frame.y(low), x, frame.y(high), "rule")
        title = f"{row['depth']} frozen: {value:.4f}, {low:.4f} to {high:.4f}"
        drawing.point(x, frame.y(value), 4.5, "after", title=title)
    drawing.curve(points)
    panels = [("Training, minutes", [row["train_seconds"] / 60 for row in rows])]
    if all(row["peak_bytes"] is not None for row in rows):
        panels.append(("Peak memory, GiB", [row["peak_bytes"] / 2**30 for row in rows]))
    for title, values in panels:
        frame = _frame(drawing, title, rows, (0.0, max(values)), 80)
        half = min(20.0, (frame.x(1) - frame.x(0)) / 4)
        for place, value in enumerate(values):
            x, top = frame.x(place), frame.y(value)
            drawing.box(x - half, top, 2 * half, frame.y(0.0) - top, "before", title=f"{value:.3g}")
    return drawing


def _frame(
    drawing: Drawing, title: str, rows: Rows, y: tuple[float, float], height: float
) -> Frame:
    """Axes over the depths, each as far from the next."""
    frame = Frame(
        drawing, title, (-0.5, len(rows) - 0.5), y, height=height, x_ticks=0, y_ticks=3
    )  # fmt: skip
    bottom = frame.y.start
    for place, row in enumerate(rows):
        drawing.text(frame.x(place), bottom + 16, str(row["depth"]), anchor="middle")
    drawing.text(drawing.width / 2, bottom + 31, "frozen blocks", anchor="middle")
    drawing.height += 24
    return frame
