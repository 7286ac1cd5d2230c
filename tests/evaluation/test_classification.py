"""Figures of a classifier, against scikit-learn's."""

import json
import warnings

import numpy as np
import pytest
from sklearn import metrics as peer

from tenor.errors import DataError, ModelError
from tenor.evaluation.classification import Classification, classification_metric
from tenor.evaluation.classification_figures import paired_f_score
from tenor.evaluation.compare import difference
from tenor.evaluation.result import EvaluationResult
from tiny_labels import ProbabilityModel, label_table

GENERATOR = np.random.default_rng(0)
NAMES = tuple("abcdef")


def shares(rows, classes, *, gold=None, seed=0, levels=None):
    """Random probabilities, better than chance where the gold labels are given."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, classes))
    if gold is not None:
        logits[np.arange(rows), gold] += 1.0
    if levels:
        logits = np.round(logits * levels) / levels
    found = np.exp(logits)
    return found / found.sum(axis=1, keepdims=True)


def evaluate(target, probabilities, names=None, **options):
    multi_label = np.ndim(target) == 2
    names = NAMES[: probabilities.shape[1]] if names is None else names
    table = label_table([f"text {row}" for row in range(len(target))], target, names)
    model = ProbabilityModel(probabilities, names, multi_label=multi_label)
    return Classification(table, **options)(model)


@pytest.mark.parametrize("levels", [None, 1])
def test_several_classes_are_measured_as_scikit_learn_does(levels):
    gold = np.random.default_rng(1).integers(0, 4, 200)
    found = shares(200, 5, gold=gold, levels=levels)  # the last label stands in no text
    metrics = evaluate(gold, found).metrics
    given = found.argmax(axis=1)
    expected = {
        "accuracy": peer.accuracy_score(gold, given),
        "macro_f1": peer.f1_score(gold, given, average="macro", zero_division=0),
        "macro_precision": peer.precision_score(gold, given, average="macro", zero_division=0),
        "macro_recall": peer.recall_score(gold, given, average="macro", zero_division=0),
        "weighted_f1": peer.f1_score(gold, given, average="weighted", zero_division=0),
        "log_loss": peer.log_loss(gold, found, labels=np.arange(5)),
        "roc_auc": np.mean([peer.roc_auc_score(gold == c, found[:, c]) for c in range(4)]),
    }
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, abs=1e-12), name
    assert metrics.keys() == expected.keys() | {"expected_calibration_error"}


def test_one_against_the_rest_is_that_of_scikit_learn():
    gold = np.random.default_rng(1).integers(0, 4, 200)
    found = shares(200, 4, gold=gold)
    expected = peer.roc_auc_score(gold, found, multi_class="ovr", average="macro")
    assert evaluate(gold, found).metrics["roc_auc"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("levels", [None, 1])
def test_two_classes_are_measured_as_scikit_learn_does(levels):
    gold = np.random.default_rng(2).integers(0, 2, 150)
    found = shares(150, 2, gold=gold, levels=levels)
    result = evaluate(gold, found)
    given = found.argmax(axis=1)
    assert result.metrics["precision"] == pytest.approx(peer.precision_score(gold, given))
    assert result.metrics["recall"] == pytest.approx(peer.recall_score(gold, given))
    assert result.metrics["f1"] == pytest.approx(peer.f1_score(gold, given))
    assert result.metrics["roc_auc"] == pytest.approx(peer.roc_auc_score(gold, found[:, 1]))
    assert result.notes["f1_is_of"] == "b"


def test_several_labels_a_text_are_measured_as_scikit_learn_does():
    generator = np.random.default_rng(3)
    gold = generator.random((120, 5)) < [0.5, 0.3, 0.1, 0.05, 0.0]
    found = np.clip(0.45 * gold + 0.7 * generator.random((120, 5)), 0, 1)
    found[:, 4] = 0.1  # never there, never given: scikit-learn counts its F1 as 0
    metrics = evaluate(gold.astype(np.float32), found).metrics
    given = found >= 0.5
    expected = {
        "subset_accuracy": peer.accuracy_score(gold, given),
        "log_loss": np.mean(
            [peer.log_loss(gold[:, c], found[:, c], labels=[0, 1]) for c in range(5)]
        ),
        "roc_auc": np.mean([peer.roc_auc_score(gold[:, c], found[:, c]) for c in range(4)]),
    }
    for average in ("micro", "macro", "weighted"):
        options = {"average": average, "zero_division": 0}
        expected[f"{average}_f1"] = peer.f1_score(gold, given, **options)
        if average != "weighted":
            expected[f"{average}_precision"] = peer.precision_score(gold, given, **options)
            expected[f"{average}_recall"] = peer.recall_score(gold, given, **options)
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, abs=1e-12), name
    assert metrics.keys() == expected.keys() | {"expected_calibration_error"}


def test_the_table_of_labels_and_the_confusion_matrix():
    gold = np.random.default_rng(4).integers(0, 3, 90)
    found = shares(90, 4, gold=gold)
    result = evaluate(gold, found)
    given = found.argmax(axis=1)
    columns = peer.precision_recall_fscore_support(gold, given, labels=range(4), zero_division=0)
    for row, values in zip(result.per_label, zip(*columns, strict=True), strict=True):
        names = ("precision", "recall", "f1", "texts")
        assert [row[name] for name in names] == pytest.approx(list(values))
    assert [row["label"] for row in result.per_label] == list("abcd")
    expected = peer.confusion_matrix(gold, given, labels=range(4))
    np.testing.assert_array_equal(result.confusion_matrix, expected)
    counts = [cell["count"] for cell in result.confusion]
    assert counts == sorted(counts, reverse=True) and sum(counts) == 90


def test_calibration_error_by_hand():
    # Confidence 0.8 four times, right twice; 0.6 once, right: (4 * |0.5 - 0.8| + 0.4) / 5.
    top = np.array([0.8, 0.8, 0.8, 0.8, 0.6])
    result = evaluate([0, 0, 1, 1, 0], np.stack([top, 1 - top], axis=1))
    assert result.metrics["expected_calibration_error"] == pytest.approx((4 * 0.3 + 0.4) / 5)
    # Of several labels each decision counts by itself: 0.25 and 0.75, right and wrong.
    several = evaluate(np.array([[0.0, 0.0]]), np.array([[0.25, 0.75]]))
    assert several.metrics["expected_calibration_error"] == pytest.approx((0.25 + 0.75) / 2)


def test_intervals_hold_the_figures_and_shrink_with_the_texts():
    gold = np.random.default_rng(5).integers(0, 3, 400)
    found = shares(400, 3, gold=gold)
    few, many = evaluate(gold[:50], found[:50]), evaluate(gold, found)
    for result in (few, many):
        assert result.intervals.keys() == result.metrics.keys()
        for name in set(result.metrics) - {"expected_calibration_error"}:  # biased upwards
            low, high = result.intervals[name]
            assert low <= result.metrics[name] <= high, name
    width = {n: np.subtract(*reversed(r.intervals["macro_f1"])) for n, r in ((0, few), (1, many))}
    assert width[1] < width[0]
    assert evaluate(gold, found).intervals == many.intervals


@pytest.mark.parametrize("multi_label", [False, True])
def test_two_models_are_compared_text_by_text(multi_label):
    gold = np.random.default_rng(6).integers(0, 3, 200)
    better, worse = shares(200, 3, gold=gold), shares(200, 3, seed=9)
    target = np.eye(3)[gold] if multi_label else gold
    left, right = evaluate(target, worse), evaluate(target, better)
    metric = classification_metric(multi_label)
    assert metric == ("micro_f1" if multi_label else "macro_f1")
    found = difference(left, right, metric)
    assert found["value"] == pytest.approx(right.metrics[metric] - left.metrics[metric])
    assert found["verdict"] == "better" and 0 < found["low"] < found["high"]
    assert difference(left, left, metric)["verdict"] == "no clear difference"
    exact = "subset_accuracy" if multi_label else "accuracy"
    found = difference(left, right, exact)
    assert found["value"] == pytest.approx(right.metrics[exact] - left.metrics[exact])
    other = evaluate(np.roll(target, 1, axis=0), worse)
    with pytest.raises(DataError, match="the same labelled texts"):
        paired_f_score(left, other, metric)


def test_labels_are_matched_by_name_whatever_their_order():
    table = label_table(["x", "y"], [0, 1], ["no", "yes"])
    model = ProbabilityModel([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]], ["Yes", "maybe", "No"])
    result = Classification(table)(model)
    assert result.metrics["accuracy"] == 1.0
    assert result.per_item["gold"].tolist() == [2, 0] and result.labels == ("Yes", "maybe", "No")


def test_what_does_not_fit_the_model_is_named():
    table = label_table(["x", "y"], [0, 1], ["no", "yes"])
    wide = label_table(["x"], [2], ["no", "yes", "maybe"])
    with pytest.raises(ModelError, match="does not know the label maybe of the data; it has no"):
        Classification(wide)(ProbabilityModel([[0.5, 0.5]], ["no", "yes"]))
    with pytest.raises(ModelError, match="gives several labels a text, and the data has one"):
        Classification(table)(ProbabilityModel(np.ones((2, 2)), ["no", "yes"], multi_label=True))
    with pytest.raises(ModelError, match="NaN"):
        Classification(table)(ProbabilityModel(np.full((2, 2), np.nan), ["no", "yes"]))


def test_a_single_label_has_no_ranking():
    result = evaluate([0, 0], np.array([[0.9, 0.1], [0.4, 0.6]]))
    assert "roc_auc" not in result.metrics and "not defined" in result.notes["roc_auc"]
    assert result.notes["most_frequent_label"] == "a, of 100.0% of the texts"


def test_the_result_is_json():
    gold = [0, 1, 1]
    result = evaluate(gold, shares(3, 2, gold=np.array(gold)))
    written = json.loads(json.dumps(result.to_json()))
    assert written["labels"] == ["a", "b"] and written["per_label"][0]["label"] == "a"
    assert written["confusion"] == result.confusion
    assert EvaluationResult.from_json(written).metrics == result.metrics


def test_a_text_that_is_certain_and_wrong_has_a_finite_loss():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate([0, 1], np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert 0 < result.metrics["log_loss"] < 40
