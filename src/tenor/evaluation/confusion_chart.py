"""A confusion matrix as SVG, for few labels and for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tenor.evaluation.svg import Drawing, for_screens, text_width

__all__ = ["confusion_chart"]

MOST = 150  # labels that a matrix is drawn of
NUMBERED, NAMED = 12, 40  # labels up to which cells have numbers, and rows have names
LEAST_SHADE = 0.12


def confusion_chart(labels: Sequence[str], cells: Sequence[Mapping[str, Any]]) -> str:
    """Draw how many texts of each label (rows) were given which label (columns).

    Args:
        labels: all of them, in order; of more than 150 only those in a confusion are kept, as far
            as they fit.
        cells: `gold`, `found` and `count` of every combination that occurs.

    Returns:
        SVG for wide and for narrow screens.
    """
    if len(labels) > MOST:
        wrong = [cell for cell in cells if cell["gold"] != cell["found"]]
        named = dict.fromkeys(cell[side] for cell in wrong for side in ("gold", "found"))
        labels = list(named)[:MOST] or list(labels)[:MOST]
    place = {label: number for number, label in enumerate(labels)}
    shown = [cell for cell in cells if cell["gold"] in place and cell["found"] in place]
    texts: dict[str, int] = {}
    for cell in shown:
        texts[cell["gold"]] = texts.get(cell["gold"], 0) + int(cell["count"])

    def draw(width: float) -> Drawing:
        drawing = Drawing(width)
        many = len(labels)
        letters = 22 if width > 500 else 13
        names = [_short(label, letters) if many <= NAMED else "" for label in labels]
        numbers = [f"{number + 1} " if many <= NAMED else "" for number in range(many)]
        rows = [number + name for number, name in zip(numbers, names, strict=True)]
        left = max((text_width(name) for name in rows), default=0) + 8 if many <= NAMED else 16
        size = min(46.0, (width - left) / max(many, 1))
        top = 36.0
        drawing.text(left, 12, "right: down, given: across", "muted")
        for number, name in enumerate(rows):
            if many <= NAMED and size >= 12:
                middle = left + (number + 0.5) * size
                drawing.text(middle, top - 6, f"{number + 1}", anchor="middle")
            if many <= NAMED:
                drawing.text(left - 8, top + (number + 0.5) * size + 4, name, "ink", "end")
        for cell in shown:
            row, column = place[cell["gold"]], place[cell["found"]]
            share = int(cell["count"]) / texts[cell["gold"]]
            right = row == column
            x, y = left + column * size, top + row * size
            title = (
                f"{cell['gold']} given {cell['found']}: {cell['count']:,} of "
                f"{texts[cell['gold']]:,} ({share:.1%})"
            )
            shade = LEAST_SHADE + (1 - LEAST_SHADE) * share
            drawing.box(
                x, y, size - min(2.0, size / 8), size - min(2.0, size / 8),
                "after" if right else "worse", title=title, opacity=shade,
            )  # fmt: skip
            if many <= NUMBERED:
                style = "on-dark" if share > 0.6 else "ink"
                words = f"{cell['count']:,}"
                drawing.text(x + size / 2 - 1, y + size / 2 + 4, words, style, "middle")
        drawing.height = top + many * size + 6
        return drawing

    return for_screens(draw)


def _short(label: str, letters: int) -> str:
    return label if len(label) <= letters else label[: letters - 1] + "…"
