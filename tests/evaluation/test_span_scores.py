"""Figures of spans: definitions, averages and intervals."""

import numpy as np
import pytest

from tenor.errors import DataError
from tenor.evaluation.span_scores import count_spans, span_intervals, span_metrics, tag_metrics

GOLD = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-PER", "O", "O"], ["B-LOC", "O", "O", "O"]]
FOUND = [["B-PER", "I-PER", "O", "B-ORG"], ["O", "B-PER", "I-PER", "O"], ["B-LOC", "O", "O", "O"]]


def test_the_figures_by_hand():
    figures = tag_metrics(GOLD, FOUND)
    assert figures["precision"] == figures["recall"] == figures["f1"] == pytest.approx(2 / 4)
    assert figures["f1_PER"] == pytest.approx(0.5)
    assert figures["precision_LOC"] == 1.0 and figures["recall_LOC"] == 0.5
    assert figures["f1_LOC"] == pytest.approx(2 / 3) and figures["f1_ORG"] == 0.0
    assert figures["macro_f1"] == pytest.approx((0.5 + 2 / 3 + 0) / 3)
    assert figures["weighted_f1"] == pytest.approx((2 * 0.5 + 2 * 2 / 3) / 4)


def test_nothing_to_find():
    figures = tag_metrics([["O"]], [["O"]])
    assert set(figures.values()) == {0.0}


def test_texts_and_tags_must_match():
    with pytest.raises(DataError, match="of 1 texts and of 2"):
        tag_metrics([["O"]], [["O"], ["O"]])
    with pytest.raises(DataError, match="has 1 tags and was given 2"):
        tag_metrics([["O"]], [["O", "O"]])


def test_intervals_hold_the_figures_and_resample_texts():
    generator = np.random.default_rng(0)
    gold = [{(n, n + 1, "A") for n in range(3)} for _ in range(200)]
    found = [{place for place in own if generator.random() < 0.8} for own in gold]
    counts = count_spans(gold, found, ["A"])
    figures, around = span_metrics(counts.sum(axis=0), ["A"]), span_intervals(counts, ["A"])
    assert figures.keys() == around.keys()
    for name, value in figures.items():
        low, high = around[name]
        assert low <= value <= high
    low, high = around["recall"]
    assert 0.03 < high - low < 0.1  # sqrt(0.8 · 0.2 / 600) on each side, twice
    assert span_intervals(counts, ["A"]) == around
