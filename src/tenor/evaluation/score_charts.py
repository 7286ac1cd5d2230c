"""Charts of the scores that models give to pairs, each drawn for a desktop and for a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tenor.evaluation.charts import legend
from tenor.evaluation.svg import Drawing, Frame, for_screens

__all__ = ["histograms", "score_ranges"]

BINS = 30


def histograms(scores: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """Draw how the scores of positive and of negative pairs are spread.

    Args:
        scores: of the positives and of the negatives, by the name of the model that gave them; one
            panel each, on the same axis.

    Returns:
        SVG for wide and for narrow screens; "" where there is no score.
    """
    every = [value for sides in scores.values() for side in sides for value in side]
    if not every:
        return ""
    low, high = min(every), max(every)
    high = high if high > low else low + 1.0

    def draw(width: float) -> Drawing:
        drawing = Drawing(width)
        legend(drawing, (("negatives", "before"), ("positives", "after")))
        for number, (name, (positive, negative)) in enumerate(scores.items()):
            counted = [_shares(side, low, high) for side in (negative, positive)]
            top = max(max(shares) for shares in counted)
            title = "score" if number == len(scores) - 1 else ""
            frame = Frame(
                drawing, f"{name}: share of the pairs, %", (low, high), (0, 100 * top),
                height=110, x_title=title, y_ticks=3,
            )  # fmt: skip
            step = (high - low) / BINS
            for shares, style in zip(counted, ("before", "after"), strict=True):
                for place, share in enumerate(shares):
                    left, right = frame.x(low + place * step), frame.x(low + (place + 1) * step)
                    above = frame.y(100 * share)
                    at = f"{low + place * step:.3g} to {low + (place + 1) * step:.3g}"
                    title = f"{at}: {100 * share:.1f} %"
                    drawing.box(
                        left, above, right - left - 0.5, frame.y(0) - above, style,
                        title=title if share else "", opacity=0.65,
                    )  # fmt: skip
        return drawing

    return for_screens(draw)


def score_ranges(scores: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """Draw which scores a model gives to pairs of low, middling and high gold scores.

    Args:
        scores: gold scores and the model's, by the name of the model.

    Returns:
        SVG for wide and for narrow screens: in each of five equal ranges of gold scores the middle
        half of the model's as a box, the middle 90 % as a line; "" where there is no score.
    """
    scores = {name: (gold, own) for name, (gold, own) in scores.items() if len(own)}
    if not scores:
        return ""
    every = [value for _, own in scores.values() for value in own]
    low, high = min(every), max(every)

    def draw(width: float) -> Drawing:
        drawing = Drawing(width)
        legend(drawing, tuple((n, s) for n, s in zip(scores, ("before", "after"), strict=False)))
        gold = next(iter(scores.values()))[0]
        least, most = min(gold), max(gold)
        frame = Frame(
            drawing, "model's score", (0, 5), (low, high), height=190, x_ticks=0, y_ticks=5
        )  # fmt: skip
        step = (most - least) / 5 or 1.0
        many = len(scores)
        for place in range(5):
            ends = least + place * step, least + (place + 1) * step
            for number, (name, (own_gold, own)) in enumerate(scores.items()):
                within = sorted(
                    value
                    for value, truth in zip(own, own_gold, strict=True)
                    if min(4, int((truth - least) / step)) == place
                )
                if not within:
                    continue
                five, quarter, middle, three, top = (
                    within[min(len(within) - 1, int(share * len(within)))]
                    for share in (0.05, 0.25, 0.5, 0.75, 0.95)
                )
                bar = 0.7 / many
                left = frame.x(place + 0.15 + number * bar)
                right = frame.x(place + 0.15 + (number + 1) * bar) - 2
                centre = (left + right) / 2
                style = ("before", "after")[number % 2]
                said = (
                    f"{name}, gold {ends[0]:.3g} to {ends[1]:.3g}: median {middle:.3f}, "
                    f"middle half {quarter:.3f} to {three:.3f}, {len(within):,} pairs"
                )
                drawing.line(centre, frame.y(five), centre, frame.y(top), "rule")
                above = frame.y(three)
                drawing.box(
                    left, above, right - left, max(frame.y(quarter) - above, 1), style, title=said
                )
                drawing.line(left, frame.y(middle), right, frame.y(middle), "rule")
            words = f"{ends[0]:.2g}–{ends[1]:.2g}"
            drawing.text(frame.x(place + 0.5), frame.y.start + 16, words, anchor="middle")
        drawing.height += 18
        drawing.text(width / 2, drawing.height, "gold score", anchor="middle")
        drawing.height += 6
        return drawing

    return for_screens(draw)


def _shares(values: Sequence[float], low: float, high: float) -> list[float]:
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int((value - low) / (high - low) * BINS))] += 1
    return [count / max(len(values), 1) for count in counts]
