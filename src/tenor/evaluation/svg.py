"""Drawing with axes as plain SVG: lines, bars and points whose titles show when pointed at.

SVG needs no script, opens from any disk or mail, prints, and weighs kilobytes. What is drawn has
classes instead of colours, so that the page around it decides about light and dark; a drawing that
stands alone brings the light ones itself (`Drawing.alone`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["STYLE", "Drawing", "Frame", "Scale", "axis_ticks", "for_screens", "text_width"]

WIDTHS = {"wide": 680, "narrow": 340}
PADDING = 2
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
.ink { fill: #1f2933; } .muted { fill: #5f6b7a; } .paper { fill: #ffffff; }
.grid { stroke: #e4e7eb; } .rule { stroke: #1f2933; stroke-width: 1.2; }
.before { fill: #9aa8b9; } .after { fill: #0f766e; } .worse { fill: #b04a1c; }
.curve { fill: none; stroke: #0f766e; stroke-width: 2; }
.curve-before { fill: none; stroke: #9aa8b9; stroke-width: 2; }
"""


def text_width(words: str, size: float = 12.0) -> float:
    """About how wide words are, in the unit of the letters' size."""
    return 0.56 * size * len(words)


def axis_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between two values, about as many as asked for.

    >>> axis_ticks(0.0, 1.0, 4)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    >>> axis_ticks(3.0, 17.0, 5)
    [5.0, 10.0, 15.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _tick_words(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 1000 else f"{value:.6g}"


@dataclass(frozen=True)
class Scale:
    """From a value to a place on the drawing.

    Attributes:
        low: the value at `start`.
        high: the value at `end`.
        start: in pixels.
        end: in pixels; below `start` for an axis that goes up.
        logarithmic: whether equal ratios are equally long.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        share = 0.5 if high == low else (value - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Round numbers on it."""
        if not self.logarithmic:
            return axis_ticks(self.low, self.high, count)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if len(powers) <= 3 else (1,)
        found = [each * 10.0**power for power in powers for each in steps]
        return [value for value in found if self.low <= value <= self.high]


class Drawing:
    """Shapes and words, one after the other.

    Args:
        width: in pixels.

    Attributes:
        height: in pixels; grows as panels are added below one another.
    """

    def __init__(self, width: float) -> None:
        self.width, self.height = width, 0.0
        self._parts: list[str] = []

    def text(
        self, x: float, y: float, words: str, style: str = "muted", anchor: str = "start"
    ) -> None:
        """Words whose base line begins, ends or has its middle at a place."""
        self._parts.append(
            f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str = "grid") -> None:
        """A straight line."""
        self._parts.append(
            f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        )

    def curve(self, points: Sequence[tuple[float, float]], style: str = "curve") -> None:
        """Straight lines from point to point."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline class="{style}" points="{path}"/>')

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        style: str,
        *,
        title: str = "",
        opacity: float = 1.0,
    ) -> None:
        """A filled rectangle."""
        faint = "" if opacity >= 1 else f' opacity="{opacity:.3f}"'
        self._parts.append(
            f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
            f'height="{max(height, 0):.1f}"{faint}>{_titled(title)}</rect>'
        )

    def point(self, x: float, y: float, radius: float, style: str, *, title: str = "") -> None:
        """A filled circle."""
        self._parts.append(
            f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">'
            f"{_titled(title)}</circle>"
        )

    def diamond(self, x: float, y: float, radius: float, style: str, *, title: str = "") -> None:
        """A filled square that stands on a corner."""
        corners = ((0, -radius), (radius, 0), (0, radius), (-radius, 0))
        path = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
        self._parts.append(f'<polygon class="{style}" points="{path}">{_titled(title)}</polygon>')

    def svg(self, attributes: str = "", style: str = "") -> str:
        """The drawing as an element that a page can hold."""
        size = f"{-PADDING} {-PADDING} {self.width + 2 * PADDING:g} {self.height + 2 * PADDING:g}"
        return (
            f'<svg {attributes}viewBox="{size}" width="{self.width + 2 * PADDING:g}" '
            f'height="{self.height + 2 * PADDING:g}">{style}{"".join(self._parts)}</svg>'
        )

    def alone(self) -> str:
        """The drawing as a file of its own, on paper."""
        style = f"<style>{STYLE}</style>"
        paper = f'<rect class="paper" x="-20" y="-20" width="{self.width + 40:g}" height="99999"/>'
        return self.svg('xmlns="http://www.w3.org/2000/svg" ', style + paper) + "\n"


class Frame:
    """Axes with a grid, below what is already on the drawing.

    Args:
        drawing: to draw on.
        title: above the axes.
        x: ends of the values across.
        y: ends of the values up.
        height: between the axes' ends, in pixels.
        x_title: below the axis.
        y_ticks: about how many.
        x_ticks: about how many; 0 for none.
        logarithmic: the axis across.

    Attributes:
        x: the scale across.
        y: the scale up.
    """

    def __init__(
        self,
        drawing: Drawing,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        height: float,
        x_title: str = "",
        y_ticks: int = 4,
        x_ticks: int = 5,
        logarithmic: bool = False,
    ) -> None:
        top = drawing.height + (26 if title else 8)
        if title:
            drawing.text(0, drawing.height + 13, title, "ink")
        low, high = _room(*y)
        up = Scale(low, high, top + height, top)
        marks = up.ticks(y_ticks) if y[0] < y[1] else [y[0]]
        left = max(text_width(_tick_words(mark)) for mark in marks) + 8
        across = Scale(*x, left, drawing.width - 8, logarithmic)
        for mark in marks:
            drawing.line(left, up(mark), drawing.width, up(mark))
            drawing.text(left - 6, up(mark) + 4, _tick_words(mark), anchor="end")
        bottom = top + height
        for mark in across.ticks(x_ticks) if x_ticks else []:
            drawing.line(across(mark), bottom, across(mark), bottom + 4)
            drawing.text(across(mark), bottom + 17, _tick_words(mark), anchor="middle")
        bottom += 20 if x_ticks else 4
        if x_title:
            drawing.text((left + drawing.width) / 2, bottom + 12, x_title, anchor="middle")
            bottom += 16
        drawing.height = bottom + 14
        self.x, self.y = across, up


def for_screens(draw: Callable[[float], Drawing]) -> str:
    """A drawing for a desktop and one for a phone, so that its letters stay readable on both.

    Args:
        draw: from a width in pixels to the drawing.
    """
    return "".join(draw(width).svg(f'data-screen="{name}" ') for name, width in WIDTHS.items())


def _room(low: float, high: float) -> tuple[float, float]:
    """Room around values that are all the same."""
    if low < high:
        return low, high
    room = abs(low) / 10 or 1.0
    return low - room, low + room


def _titled(title: str) -> str:
    return f"<title>{escape(title)}</title>" if title else ""
