"""The charts of reports, each drawn for a desktop and for a phone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tenor.evaluation.svg import Drawing, Frame, Scale, for_screens, text_width

if TYPE_CHECKING:
    from tenor.evaluation.report_sections import Comparison

__all__ = ["Choice", "comparison_bars", "legend", "loss_curve", "pareto", "thin"]

Points = Sequence[tuple[float, float]]

MOST_POINTS = 200
BAR, GAP = 14, 3


class Choice(NamedTuple):
    """A model on a plot of quality against cost.

    Attributes:
        name: the model's.
        cost: what it takes, above 0.
        value: its quality.
        low: lower end of the quality's interval.
        high: upper end.
        on_front: whether no other is both better and cheaper.
    """

    name: str
    cost: float
    value: float
    low: float
    high: float
    on_front: bool


def loss_curve(loss: Points, validation: Points, validation_metric: str) -> str:
    """Draw training loss, and below it a validation metric, over optimiser steps.

    Args:
        loss: (step, loss) pairs; beyond 200 they are averaged in runs of equal length.
        validation: (step, value) pairs, each drawn as a point. As of the loss, a single one is no
            curve, and is left out.
        validation_metric: its name.

    Returns:
        SVG for wide and for narrow screens, one after the other; "" where there is no curve.
    """
    loss, validation = _finite(loss), _finite(validation)
    last = max((step for step, _ in (*loss, *validation)), default=0.0)

    def draw(width: float) -> Drawing:
        drawing = Drawing(width)
        both = len(loss) > 1 and len(validation) > 1
        if len(loss) > 1:
            points = thin(loss)
            frame = Frame(
                drawing, "Training loss", (0, last), _ends(points), height=170,
                x_title="" if both else "step",
            )  # fmt: skip
            drawing.curve([(frame.x(step), frame.y(value)) for step, value in points])
        if len(validation) > 1:
            title = f"Validation: {validation_metric}"
            frame = Frame(
                drawing, title, (0, last), _ends(validation), height=120, x_title="step"
            )  # fmt: skip
            drawing.curve([(frame.x(step), frame.y(value)) for step, value in validation])
            for step, value in validation:
                where = f"step {step:g}: {value:.4f}"
                drawing.point(frame.x(step), frame.y(value), 3.5, "after", title=where)
        return drawing

    return for_screens(draw) if len(loss) > 1 or len(validation) > 1 else ""


def comparison_bars(comparisons: Sequence[Comparison], before: str, after: str) -> str:
    """Draw each metric's value before and after as bars with their intervals.

    Args:
        comparisons: what to draw; those with a value that is not finite are left out.
        before: name of the first system.
        after: name of the second.

    Returns:
        SVG for wide and for narrow screens, one after the other; "" where there is nothing to draw.
    """
    drawn = [each for each in comparisons if all(map(math.isfinite, (*each.before, *each.after)))]
    if not drawn:
        return ""
    ends = [end for each in drawn for end in (*each.before, *each.after)]
    low, high = min(0.0, *ends), max(0.0, *ends)

    def draw(width: float) -> Drawing:
        drawing = Drawing(width)
        legend(drawing, ((before, "before"), (after, "after")))
        across = Scale(low, high if high > low else low + 1, 0, width - 52)
        for each in drawn:
            drawing.text(0, drawing.height + 12, each.metric, "ink")
            drawing.height += 18
            for estimate, style in ((each.before, "before"), (each.after, "after")):
                top = drawing.height
                ends = sorted((across(0.0), across(estimate.value)))
                words = f"{estimate.value:.{each.digits}f}"
                title = (
                    f"{words}, {estimate.low:.{each.digits}f} to {estimate.high:.{each.digits}f}"
                )
                drawing.box(ends[0], top, ends[1] - ends[0], BAR, style, title=title)
                middle = top + BAR / 2
                drawing.line(across(estimate.low), middle, across(estimate.high), middle, "rule")
                furthest = max(across(estimate.high), ends[1])
                drawing.text(furthest + 6, middle + 4, words, "ink")
                drawing.height += BAR + GAP
            drawing.height += 9
        return drawing

    return for_screens(draw)


def pareto(choices: Sequence[Choice], cost: str, quality: str) -> str:
    """Draw models by what they cost and how good they are, and the front that none is beyond.

    Args:
        choices: the models.
        cost: what is paid, with its unit.
        quality: what is got.

    Returns:
        SVG for wide and for narrow screens; "" where there is no model.
    """
    choices = [each for each in choices if each.cost > 0 and math.isfinite(each.value)]
    if not choices:
        return ""
    costs = [each.cost for each in choices]
    ends = min(costs) / 1.5, max(costs) * 1.5
    values = [end for each in choices for end in (each.low, each.high)]

    def draw(width: float) -> Drawing:
        drawing = Drawing(width)
        frame = Frame(
            drawing, quality, ends, (min(values), max(values)), height=220, x_title=cost,
            logarithmic=True,
        )  # fmt: skip
        front = sorted((each.cost, each.value) for each in choices if each.on_front)
        drawing.curve([(frame.x(x), frame.y(y)) for x, y in front], "curve-before")
        taken: list[tuple[float, float, float]] = []
        for each in sorted(choices, key=lambda one: one.cost):
            x, y = frame.x(each.cost), frame.y(each.value)
            drawing.line(x, frame.y(each.low), x, frame.y(each.high), "rule")
            title = f"{each.name}: {each.value:.4f}, {each.cost:.4g} ({cost})"
            style = "after" if each.on_front else "before"
            drawing.point(x, y, 5, style, title=title)
            name = each.name if len(each.name) <= 28 else each.name[:12] + "…" + each.name[-14:]
            _label(drawing, name, x, y, taken)
        return drawing

    return for_screens(draw)


def thin(points: Points) -> list[tuple[float, float]]:
    """Average runs of points until at most 200 are left.

    >>> thin([(1, 2.0), (2, 4.0)])
    [(1, 2.0), (2, 4.0)]
    >>> thin([(step, float(step % 2)) for step in range(400)])[:2]
    [(0.5, 0.5), (2.5, 0.5)]
    """
    run = math.ceil(len(points) / MOST_POINTS)
    if run <= 1:
        return list(points)
    runs = [points[start : start + run] for start in range(0, len(points), run)]
    return [
        (sum(step for step, _ in part) / len(part), sum(value for _, value in part) / len(part))
        for part in runs
    ]


def _label(
    drawing: Drawing, name: str, x: float, y: float, taken: list[tuple[float, float, float]]
) -> None:
    """A name beside a point, where no other name stands."""
    wide = text_width(name)
    left = x + 8 if x + 8 + wide <= drawing.width else max(x - 8 - wide, 0)
    height = y - 7
    while any(abs(height - other) < 13 and left < end and start < left + wide
              for start, end, other in taken):  # fmt: skip
        height += 13
    taken.append((left, left + wide, height))
    drawing.text(left, height, name, "ink")


def legend(drawing: Drawing, entries: Sequence[tuple[str, str]]) -> None:
    """Names of what has which style, below what is on the drawing.

    Args:
        drawing: to draw on.
        entries: names and styles.
    """
    left = 0.0
    for name, style in entries:
        drawing.box(left, drawing.height + 2, 11, 11, style)
        drawing.text(left + 17, drawing.height + 12, name, "ink")
        left += 17 + text_width(name) + 18
    drawing.height += 24


def _ends(points: Points) -> tuple[float, float]:
    values = [value for _, value in points]
    return min(values), max(values)


def _finite(points: Points) -> list[tuple[float, float]]:
    return [point for point in points if all(map(math.isfinite, point))]
