"""Charts as plain SVG, drawn once by Vega-Lite (extra `report`).

SVG instead of an embedded Vega: a report then needs no script, opens from any disk or mail, prints,
and weighs kilobytes instead of a megabyte. Each chart is drawn for a desktop and for a phone, so
that its letters stay readable; the page's style sheet shows the one that fits, and turns the
colours used here into those of the dark mode.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tenor.errors import MissingExtraError

if TYPE_CHECKING:
    from tenor.evaluation.report_sections import Comparison

__all__ = ["comparison_bars", "loss_curve"]

Points = Sequence[tuple[float, float]]
Spec = dict[str, Any]

# templates/report.css finds them by these values.
_PAPER, _INK, _MUTED, _GRID = "#ffffff", "#1f2933", "#5f6b7a", "#e4e7eb"
_BEFORE, _AFTER = "#9aa8b9", "#0f766e"
_WIDTHS = {"wide": 660, "narrow": 270}
_MOST_POINTS = 200

_CONFIG: Spec = {
    "background": None,
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domainColor": _GRID,
        "gridColor": _GRID,
        "tickColor": _GRID,
        "labelColor": _MUTED,
        "titleColor": _MUTED,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelLimit": 160,
    },
    "title": {"color": _INK, "fontSize": 13, "fontWeight": "normal", "anchor": "start"},
    "legend": {
        "labelColor": _INK,
        "labelFontSize": 12,
        "title": None,
        "orient": "top",
        "symbolType": "square",
    },
}


def loss_curve(loss: Points, validation: Points, validation_metric: str) -> str:
    """Draw training loss, and below it a validation metric, over optimiser steps.

    Args:
        loss: (step, loss) pairs; beyond 200 they are averaged in runs of equal length.
        validation: (step, value) pairs, each drawn as a point. As of the loss, a single one is no
            curve, and is left out.
        validation_metric: its name.

    Returns:
        SVG for wide and for narrow screens, one after the other; "" where there is no curve.

    Raises:
        MissingExtraError: the extra `report` is not installed.
    """
    loss, validation = _finite(loss), _finite(validation)
    last = max((step for step, _ in (*loss, *validation)), default=0.0)
    panels: list[Spec] = []
    if len(loss) > 1:
        mark = {"type": "line", "color": _AFTER, "strokeWidth": 2}
        panels.append(_panel(thin(loss), "Training loss", mark, last, 180))
    if len(validation) > 1:
        mark = {"type": "line", "color": _AFTER, "strokeWidth": 2, "point": {"color": _AFTER}}
        panels.append(_panel(validation, f"Validation: {validation_metric}", mark, last, 120))
    return _svg(panels) if panels else ""


def comparison_bars(comparisons: Sequence[Comparison], before: str, after: str) -> str:
    """Draw each metric's value before and after as bars with their intervals.

    Args:
        comparisons: what to draw; those with a value that is not finite are left out.
        before: name of the first system.
        after: name of the second.

    Returns:
        SVG for wide and for narrow screens, one after the other; "" where there is nothing to draw.

    Raises:
        MissingExtraError: the extra `report` is not installed.
    """
    rows = [
        {
            "metric": comparison.metric,
            "system": system,
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "label": f"{estimate.value:.{comparison.digits}f}",
        }
        for comparison in comparisons
        if all(math.isfinite(number) for number in (*comparison.before, *comparison.after))
        for system, estimate in ((before, comparison.before), (after, comparison.after))
    ]
    if not rows:
        return ""
    metrics = list(dict.fromkeys(str(row["metric"]) for row in rows))
    base: Spec = {
        "y": {
            "field": "metric",
            "type": "nominal",
            "sort": metrics,
            "title": None,
            "axis": {"ticks": False, "domain": False, "labelColor": _INK, "labelPadding": 8},
            "scale": {"paddingInner": 0.32, "paddingOuter": 0.1},
        },
        "yOffset": {"field": "system", "sort": [before, after]},
    }
    bars: Spec = {
        "mark": {"type": "bar", "cornerRadiusEnd": 2},
        "encoding": {
            "x": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "axis": {"tickCount": 5},
            },
            "color": {
                "field": "system",
                "type": "nominal",
                "sort": [before, after],
                "scale": {"domain": [before, after], "range": [_BEFORE, _AFTER]},
            },
        },
    }
    # Dark on dark, half of an interval would be lost on its bar: it gets an edge of paper.
    intervals: list[Spec] = [
        {
            "mark": {"type": "rule", "color": colour, "strokeWidth": width},
            "encoding": {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}},
        }
        for colour, width in ((_PAPER, 4.5), (_INK, 1.5))
    ]
    labels: Spec = {
        "mark": {"type": "text", "align": "left", "dx": 7, "fontSize": 12, "color": _INK},
        "encoding": {"x": {"field": "high", "type": "quantitative"}, "text": {"field": "label"}},
    }
    panel: Spec = {
        "data": {"values": rows},
        "height": {"step": 20},
        "encoding": base,
        "layer": [bars, *intervals, labels],
    }
    return _svg([panel])


def thin(points: Points) -> list[tuple[float, float]]:
    """Average runs of points until at most 200 are left.

    >>> thin([(1, 2.0), (2, 4.0)])
    [(1, 2.0), (2, 4.0)]
    >>> thin([(step, float(step % 2)) for step in range(400)])[:2]
    [(0.5, 0.5), (2.5, 0.5)]
    """
    run = math.ceil(len(points) / _MOST_POINTS)
    if run <= 1:
        return list(points)
    runs = [points[start : start + run] for start in range(0, len(points), run)]
    return [
        (sum(step for step, _ in part) / len(part), sum(value for _, value in part) / len(part))
        for part in runs
    ]


def _panel(points: Points, title: str, mark: Spec, last: float, height: int) -> Spec:
    return {
        "title": title,
        "height": height,
        "data": {"values": [{"step": step, "value": value} for step, value in points]},
        "mark": mark,
        "encoding": {
            "x": {
                "field": "step",
                "type": "quantitative",
                "title": "step",
                "scale": {"domain": [0, last], "nice": False},
                "axis": {"grid": False, "tickCount": 5},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": {"zero": False, **_span([value for _, value in points])},
                "axis": {"tickCount": 4},
            },
        },
    }


def _span(values: Sequence[float]) -> Spec:
    """Room around values that are all the same, which Vega-Lite would label as 1."""
    if min(values) < max(values):
        return {}
    room = abs(values[0]) / 10 or 1.0
    return {"domain": [values[0] - room, values[0] + room]}


def _svg(panels: Sequence[Spec]) -> str:
    try:
        import vl_convert
    except ImportError as error:
        raise MissingExtraError("report", "A chart") from error
    drawings = []
    for name, width in _WIDTHS.items():
        spec = {
            "config": _CONFIG,
            "padding": 4,
            "vconcat": [{**panel, "width": width} for panel in panels],
        }
        drawing = str(vl_convert.vegalite_to_svg(json.dumps(spec), allowed_base_urls=[]))
        # Inside HTML the name spaces are known; without them the page holds no address at all.
        drawing = re.sub(r' xmlns(:\w+)?="[^"]*"', "", drawing, count=2)
        drawings.append(drawing.replace("<svg ", f'<svg data-screen="{name}" ', 1))
    return "".join(drawings)


def _finite(points: Points) -> list[tuple[float, float]]:
    return [point for point in points if all(map(math.isfinite, point))]
