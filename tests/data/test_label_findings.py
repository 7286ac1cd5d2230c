"""What leaves a method nothing to learn from."""

import numpy as np
import pytest

from tenor.data.label_findings import (
    class_findings,
    pair_findings,
    score_findings,
    span_type_findings,
    usable_negatives,
)
from tenor.data.profile import profile_table
from tiny import random_texts
from tiny_labels import label_table
from tiny_pairs import pair_table


def classes(counts):
    target = np.repeat(np.arange(len(counts)), counts)
    names = [f"label{number}" for number in range(len(counts))]
    texts = [f"text {row}" for row in range(len(target))]
    return profile_table(label_table(texts, target, names))


def codes(findings):
    return {each.code: each for each in findings}


def test_a_class_with_one_example_is_named():
    found = codes(class_findings("f.csv", classes([30, 1, 20])))
    assert found.keys() == {"single_example", "uneven_classes"}
    assert found["single_example"].severity == "problem"
    assert "'label1' (1)" in found["single_example"].message
    assert "30 times" in found["uneven_classes"].message


def test_few_texts_one_class_and_a_label_a_text():
    assert codes(class_findings("f", classes([10, 7])))["few_examples"].figures == {
        "classes": {"label1": 7}
    }
    assert codes(class_findings("f", classes([10]))).keys() == {"one_class"}
    assert codes(class_findings("f", classes([1] * 9))).keys() == {"label_per_text"}
    assert class_findings("f", classes([20, 30])) == []


def test_rare_types_of_spans():
    assert codes(span_type_findings("f", classes([30, 1])))["single_example"].severity == "warning"
    assert span_type_findings("f", classes([30, 20])) == []


def test_scores_that_are_all_the_same():
    columns = {"sentence1": ["a", "b"], "sentence2": ["c", "d"]}
    for scores, told in (([0.5, 0.5], True), ([0.5, 0.6], False)):
        table = pair_table("scored", columns, np.array(scores, dtype=np.float32))
        assert bool(score_findings("f", profile_table(table))) == told


def test_batches_without_negatives():
    texts = random_texts(40, words=(4, 9))
    same = pair_table("pairs", {"anchor": texts, "positive": ["Ask support."] * 40})
    found = codes(pair_findings(same, 8))
    assert found["no_negatives"].severity == "problem"
    assert "'ask support.'" in found["no_negatives"].message
    mostly = [f"answer {row}" if row % 10 == 0 else "Ask support." for row in range(40)]
    table = pair_table("pairs", {"anchor": texts, "positive": mostly})
    assert codes(pair_findings(table, 8))["no_negatives"].severity == "warning"
    good = pair_table("pairs", {"anchor": texts, "positive": [f"answer {n}" for n in range(40)]})
    assert pair_findings(good, 8) == []


def test_pairs_of_a_text_and_itself():
    texts = random_texts(20, words=(4, 9))
    others = [f"answer {row}" for row in range(19)]
    table = pair_table("pairs", {"anchor": texts, "positive": [texts[0].upper(), *others]})
    found = codes(pair_findings(table, 8))["identical_pair"]
    assert found.figures == {"pairs": 1} and found.examples[0].line == 1


def test_negatives_are_counted_as_batches_have_them():
    """Against counting in random batches."""
    generator = np.random.default_rng(0)
    positives = np.repeat(np.arange(6), [40, 20, 20, 10, 5, 5])
    counts = {str(number): int((positives == number).sum()) for number in range(6)}
    seen = []
    for _ in range(4_000):
        batch = generator.choice(positives, 8)
        seen.append(len(set(batch[1:]) - {batch[0]}))
    assert usable_negatives(counts, 100, 8) == pytest.approx(np.mean(seen), rel=0.02)
