"""The curve of a freeze sweep as plain SVG: quality, time and memory over frozen blocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tenor.errors import MissingExtraError
from tenor.evaluation.charts import _AFTER, _BEFORE, _CONFIG, _PAPER, Spec

__all__ = ["freeze_chart"]

WIDTH = 560


def freeze_chart(rows: Sequence[dict[str, Any]], metric: str) -> str:
    """Draw what every depth reached and what it took.

    Args:
        rows: of a sweep's result.json.
        metric: the figure to draw, with its interval.

    Returns:
        An SVG file's text.

    Raises:
        MissingExtraError: the extra `report` is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise MissingExtraError("report", "A chart") from error
    values = [
        {
            "depth": row["depth"],
            "value": row["test"]["metrics"][metric],
            "low": row["test"]["intervals"][metric][0],
            "high": row["test"]["intervals"][metric][1],
            "minutes": row["train_seconds"] / 60,
            "memory": None if row["peak_bytes"] is None else row["peak_bytes"] / 2**30,
        }
        for row in rows
    ]
    panels = [_quality(metric), _bars("minutes", "Training, minutes")]
    if all(each["memory"] is not None for each in values):
        panels.append(_bars("memory", "Peak memory, GiB"))
    spec = {
        "config": {**_CONFIG, "background": _PAPER},
        "padding": 12,
        "data": {"values": values},
        "vconcat": panels,
    }
    return str(vl_convert.vegalite_to_svg(json.dumps(spec), allowed_base_urls=[]))


def _quality(metric: str) -> Spec:
    curve = {
        "mark": {"type": "line", "color": _AFTER, "strokeWidth": 2, "point": {"color": _AFTER}},
        "encoding": {"y": {"field": "value", "type": "quantitative"}},
    }
    intervals = {
        "mark": {"type": "rule", "color": _AFTER, "strokeWidth": 1.5},
        "encoding": {
            "y": {
                "field": "low",
                "type": "quantitative",
                "title": None,
                "scale": {"zero": False},
                "axis": {"tickCount": 5},
            },
            "y2": {"field": "high"},
        },
    }
    return {
        "title": f"{metric} on the test texts, 95 % intervals",
        "width": WIDTH,
        "height": 200,
        "encoding": {"x": _depths()},
        "layer": [intervals, curve],
    }


def _bars(field: str, title: str) -> Spec:
    return {
        "title": title,
        "width": WIDTH,
        "height": 90,
        "mark": {"type": "bar", "color": _BEFORE, "cornerRadiusEnd": 2, "width": {"band": 0.5}},
        "encoding": {
            "x": _depths(),
            "y": {
                "field": field,
                "type": "quantitative",
                "title": None,
                "axis": {"tickCount": 3},
            },
        },
    }


def _depths() -> Spec:
    return {
        "field": "depth",
        "type": "ordinal",
        "title": "frozen blocks",
        "axis": {"labelAngle": 0, "grid": False},
    }
