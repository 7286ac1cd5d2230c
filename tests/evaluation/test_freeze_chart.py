"""The chart of a freeze sweep, with and without memory."""

import xml.etree.ElementTree as ElementTree

from tenor.evaluation.freeze_chart import freeze_chart


def rows(*peaks):
    return [
        {
            "depth": 2 * depth,
            "test": {"metrics": {"macro_f1": 0.8}, "intervals": {"macro_f1": [0.7, 0.9]}},
            "train_seconds": 60.0,
            "peak_bytes": peak,
        }
        for depth, peak in enumerate(peaks)
    ]


def test_quality_time_and_memory_over_the_depths():
    drawing = freeze_chart(rows(2e9, 1e9, 1e9), "macro_f1")
    assert ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg"
    for text in ("macro_f1 on the test texts", "Training, minutes", "Peak memory", ">4<"):
        assert text in drawing, text


def test_no_panel_for_memory_that_nobody_could_measure():
    assert "Peak memory" not in freeze_chart(rows(2e9, None), "macro_f1")
