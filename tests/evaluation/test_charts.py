"""The charts of reports: what they show, on wide and on narrow screens."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from tenor.evaluation.charts import Choice, pareto
from tenor.evaluation.confusion_chart import confusion_chart
from tenor.evaluation.score_charts import histograms, score_ranges
from tenor.evaluation.svg import Drawing, Frame


def titles(drawing):
    return re.findall(r"<title>(.*?)</title>", drawing)


def one_of(drawing):
    wide, narrow = re.findall(r"<svg.*?</svg>", drawing, flags=re.DOTALL)
    for each in (wide, narrow):
        ElementTree.fromstring(each)
    return wide


def test_positives_and_negatives_are_counted_by_their_scores():
    drawing = one_of(histograms({"before": ([0.9, 0.95], [0.1, 0.12]), "after": ([1.0], [0.0])}))
    shown = [title for title in titles(drawing) if title]
    assert sum(float(t.rpartition(": ")[2].rstrip(" %")) for t in shown) == pytest.approx(
        400, abs=1
    )
    assert "before: share of the pairs" in drawing and "after: share of the pairs" in drawing
    assert histograms({"after": ([], [])}) == ""
    one_of(histograms({"after": ([0.5], [0.5])}))  # all the same


def test_scores_by_gold_score_have_their_median():
    gold = [n / 99 for n in range(100)]
    drawing = one_of(score_ranges({"before": (gold, gold[::-1]), "after": (gold, gold)}))
    found = titles(drawing)
    assert len(found) == 10
    assert any(t.startswith("after, gold 0 to 0.2: median 0.1") for t in found)
    assert any(t.startswith("before, gold 0 to 0.2: median 0.9") for t in found)


def test_the_front_and_the_others_are_told_apart_and_names_stay_inside():
    choices = [
        Choice("small", 1.0, 0.7, 0.68, 0.72, True),
        Choice("a large model <of many letters>", 100.0, 0.8, 0.78, 0.82, True),
        Choice("dear", 90.0, 0.6, 0.58, 0.62, False),
    ]
    drawing = one_of(pareto(choices, "latency, ms", "mean"))
    assert (
        drawing.count('<circle class="after"') == 2 and drawing.count('<circle class="before"') == 1
    )
    assert "dear: 0.6000, 90 (latency, ms)" in titles(drawing)
    assert "<of" not in drawing
    assert pareto([], "latency", "mean") == ""


@pytest.mark.parametrize("count", [2, 30, 77, 400])
def test_a_matrix_of_few_and_of_many_labels(count):
    labels = [f"label {n}" for n in range(count)]
    cells = [{"gold": label, "found": label, "count": 999} for label in labels]
    cells.append({"gold": "label 0", "found": "label 1", "count": 1})
    drawing = one_of(confusion_chart(labels, cells))
    assert "label 0 given label 1: 1 of 1,000 (0.1%)" in titles(drawing)
    assert drawing.count('class="worse"') == 1
    # Of very many labels only those are drawn that are confused: here two.
    assert (">999<" in drawing) == (count in (2, 400))


def test_level_values_and_far_apart_ones_get_an_axis():
    drawing = Drawing(300)
    frame = Frame(drawing, "level", (0, 10), (0.25, 0.25), height=100)
    assert ">0.25<" in drawing.svg() and frame.y(0.25) == pytest.approx(26 + 50)
    wide = Drawing(300)
    Frame(wide, "far", (0.1, 1e5), (0, 1), height=100, logarithmic=True)
    assert ">100,000<" in wide.svg() or ">10,000<" in wide.svg()
