"""Measuring a tagger on texts."""

from types import SimpleNamespace

import numpy as np
import pytest

from tenor.data.tagging import read_tagged
from tenor.evaluation.compare import difference
from tenor.evaluation.tagging import SpanEvaluation
from tiny_tags import tagged_rows, tiny_tagger, write_jsonl


class Knows:
    """Finds a share of the spans that it was told, and some that are not there."""

    def __init__(self, table, share=1.0, spurious=0, seed=0):
        self.generator = np.random.default_rng(seed)
        self.table, self.share, self.spurious = table, share, spurious

    def tag_blocks(self, blocks, *, total=None):
        row = 0
        for block in blocks:
            found = []
            for _ in block:
                spans = [s for s in self.table.spans[row] if self.generator.random() < self.share]
                if row < self.spurious:
                    spans.append(SimpleNamespace(start=500, end=501, label="GHOST"))
                words = np.array(self.table.words[row])
                found.append(SimpleNamespace(spans=spans, words=words, windows=1 + (row == 0)))
                row += 1
            yield found


@pytest.fixture
def table(tmp_path):
    return read_tagged(write_jsonl(tmp_path / "a.jsonl", tagged_rows(60)))


def test_a_model_that_knows_all(table):
    result = SpanEvaluation(table)(Knows(table))
    assert result.metrics["f1"] == result.metrics["macro_f1"] == 1.0
    assert result.intervals["f1"] == (1.0, 1.0) and result.n == 60
    assert result.notes["missed"] == result.notes["spurious"] == 0
    assert result.notes["texts_read_in_windows"] == 1
    assert result.data == {"path": table.path, "sha256": table.sha256}


def test_a_model_that_knows_some(table):
    report = SpanEvaluation(table).report(Knows(table, 0.7, spurious=5))
    result = report.result
    total = sum(table.counts.values())
    found = result.notes["spans_found"]
    assert result.notes["spurious"] == 5
    assert result.notes["missed"] == total - found + 5
    assert result.metrics["precision"] == pytest.approx((found - 5) / found)
    assert result.metrics["recall"] == pytest.approx((found - 5) / total)
    ghost = next(row for row in result.per_type if row["type"] == "GHOST")
    assert (ghost["f1"], ghost["spans"], ghost["found"]) == (0.0, 0, 5)
    assert result.to_json()["per_type"] == result.per_type
    low, high = result.intervals["f1"]
    assert low < result.metrics["f1"] < high
    examples = report.examples(2)
    assert set(examples) == {"missed", "spurious"} and len(examples["missed"]) == 2
    first = examples["missed"][0]
    gold = first["gold"]
    assert first["text"][gold["start"] : gold["end"]] == gold["text"] and first["found"] is None
    assert table.texts[table.lines.tolist().index(first["line"])] == first["text"]


def test_two_models_can_be_compared_text_by_text(table):
    evaluation = SpanEvaluation(table)
    worse, better = evaluation(Knows(table, 0.5)), evaluation(Knows(table, 0.9, seed=1))
    assert worse.per_item["f1"].mean() == pytest.approx(worse.metrics["f1"])
    found = difference(worse, better, "f1")
    assert found["value"] == pytest.approx(better.metrics["f1"] - worse.metrics["f1"])
    assert found["verdict"] == "better" and found["low"] < found["value"] < found["high"]
    same = difference(better, better, "f1")
    assert same["value"] == 0.0 and same["verdict"] == "no clear difference"
    none = evaluation(Knows(table, 0.0))
    assert none.metrics["f1"] == 0.0 and difference(none, better, "f1")["verdict"] == "better"


def test_intervals_of_the_shares_are_those_of_f1(table):
    from tenor.evaluation.intervals import bootstrap_mean

    result = SpanEvaluation(table)(Knows(table, 0.6, spurious=10))
    np.testing.assert_allclose(
        bootstrap_mean(result.per_item["f1"]), result.intervals["f1"], atol=0.01
    )


def test_a_tagger_on_words_and_on_texts(tmp_path):
    model = tiny_tagger(max_length=10, seed=3)
    rows = tagged_rows(30, words=(5, 12))
    words = read_tagged(write_jsonl(tmp_path / "words.jsonl", rows))
    spans = [
        {"text": text, "spans": [list(span) for span in own]}
        for text, own in zip(words.texts, words.spans, strict=True)
    ]
    texts = read_tagged(write_jsonl(tmp_path / "texts.jsonl", spans))
    one, other = SpanEvaluation(words)(model), SpanEvaluation(texts)(model)
    assert one.metrics == other.metrics and one.per_type == other.per_type
    assert one.notes["texts_read_in_windows"] > 0


def test_spans_that_cannot_be_found_are_told(tmp_path):
    rows = [{"text": "redgreen dog", "spans": [[0, 3, "COLOUR"], [9, 12, "ANIMAL"]]}]
    result = SpanEvaluation(read_tagged(write_jsonl(tmp_path / "a.jsonl", rows)))(tiny_tagger())
    assert result.notes["spans_that_begin_or_end_within_a_word_and_cannot_be_found"] == 1
