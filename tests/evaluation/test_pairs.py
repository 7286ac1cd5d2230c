"""What is measured of a cross-encoder: each kind of rows its figures, right ones."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn

from tenor.errors import DataError, ModelError
from tenor.evaluation.pairs import LabelledPairScores, PairLabels, PairScores, pair_evaluation
from tiny_pairs import ScoreModel, pair_table

ROWS = 40
LEFT = [f"left {row}" for row in range(ROWS)]
RIGHT = [f"right {row}" for row in range(ROWS)]
NLI = ("entailment", "neutral", "contradiction")


def table(kind, target=None, names=None, **columns):
    return pair_table(kind, columns or {"sentence1": LEFT, "sentence2": RIGHT}, target, names)


@pytest.fixture
def generator():
    return np.random.default_rng(1)


def test_scores_are_correlated_with_the_gold_scores(generator):
    gold = generator.random(ROWS).astype(np.float32)
    scores = gold + generator.normal(size=ROWS).astype(np.float32)
    result = PairScores(table("scored", gold))(ScoreModel(scores, cut=3))
    assert result.metrics["spearman"] == pytest.approx(stats.spearmanr(scores, gold)[0])
    assert result.metrics["pearson"] == pytest.approx(stats.pearsonr(scores, gold)[0], abs=1e-6)
    for name, value in result.metrics.items():
        low, high = result.intervals[name]
        assert -1 <= low < value < high <= 1
    assert (result.n, result.truncated) == (ROWS, 3)
    assert np.array_equal(result.per_item["score"], scores.astype(np.float64))
    assert np.array_equal(result.per_item["gold"], gold.astype(np.float64))


def test_labels_same_or_different(generator):
    labels = np.arange(ROWS) % 2
    scores = (labels + generator.normal(size=ROWS)).round(1)  # with ties
    result = LabelledPairScores(table("labelled_pairs", labels))(ScoreModel(scores))
    expected = sklearn.average_precision_score(labels, scores.astype(np.float32))
    assert result.metrics["average_precision"] == pytest.approx(expected)
    threshold = float(result.notes["best_f1_from_score"])
    best = sklearn.f1_score(labels, scores >= threshold - 1e-4)
    assert result.metrics["f1"] == pytest.approx(best)
    tried = [sklearn.f1_score(labels, scores >= t) for t in np.unique(scores)]
    assert result.metrics["f1"] == pytest.approx(max(tried))
    low, high = result.intervals["f1"]
    assert low <= result.metrics["f1"] <= high


def test_two_labels_are_as_good_as_one_score(generator):
    labels = np.arange(ROWS) % 2
    logits = generator.normal(size=(ROWS, 2)).astype(np.float32)
    rows = table("labelled_pairs", labels)
    two = LabelledPairScores(rows)(ScoreModel(logits, labels=("different", "same")))
    one = LabelledPairScores(rows)(ScoreModel(logits[:, 1] - logits[:, 0]))
    assert two.metrics == pytest.approx(one.metrics)


def test_labels_of_several_kinds(generator):
    gold = np.arange(ROWS) % 3
    logits = np.eye(3)[gold] + generator.normal(size=(ROWS, 3))
    result = PairLabels(table("nli", gold, NLI))(ScoreModel(logits, labels=NLI))
    found = logits.astype(np.float32).argmax(1)
    assert result.metrics["accuracy"] == pytest.approx(sklearn.accuracy_score(gold, found))
    expected = sklearn.f1_score(gold, found, average="macro")
    assert result.metrics["macro_f1"] == pytest.approx(expected)
    assert result.per_item["accuracy"].mean() == pytest.approx(result.metrics["accuracy"])
    for name, value in result.metrics.items():
        assert result.intervals[name][0] < value < result.intervals[name][1]


def test_labels_are_matched_by_their_names(generator):
    gold = np.arange(ROWS) % 3
    logits = np.eye(3)[gold] + generator.normal(size=(ROWS, 3))
    rows = table("nli", gold, NLI)
    expected = PairLabels(rows)(ScoreModel(logits, labels=NLI)).metrics
    order = [2, 0, 1]
    other = ScoreModel(logits[:, order], labels=tuple(NLI[place].upper() for place in order))
    assert PairLabels(rows)(other).metrics == expected
    unnamed = ScoreModel(logits, labels=("LABEL_0", "LABEL_1", "LABEL_2"))
    assert PairLabels(rows)(unnamed).metrics == expected
    with pytest.raises(ModelError, match="the model gives the labels good, bad"):
        PairLabels(rows)(ScoreModel(logits[:, :2], labels=("good", "bad")))
    with pytest.raises(ModelError, match="the model gives a single score"):
        PairLabels(rows)(ScoreModel(logits[:, 0]))


@pytest.mark.parametrize(
    ("kind", "target", "names", "metric"),
    [
        ("scored", np.linspace(0, 1, ROWS, dtype=np.float32), None, "spearman"),
        ("labelled_pairs", np.arange(ROWS) % 2, ("0", "1"), "average_precision"),
        ("nli", np.arange(ROWS) % 3, NLI, "accuracy"),
    ],
)
def test_the_evaluation_is_chosen_by_the_rows(kind, target, names, metric):
    measure, found = pair_evaluation(table(kind, target, names))
    assert found == metric
    scores = np.random.default_rng(0).normal(size=(ROWS, 3))
    single = kind != "nli"
    model = ScoreModel(scores[:, 0] if single else scores, labels=("score",) if single else NLI)
    result = measure(model)
    assert metric in result.metrics
    assert result.data == {"path": "file.csv", "sha256": "0" * 64}
    assert result.intervals.keys() == result.metrics.keys()


def test_rows_that_cannot_be_evaluated_on():
    with pytest.raises(DataError, match="labelled_texts; a cross-encoder needs pairs"):
        pair_evaluation(table("labelled_texts", np.arange(ROWS) % 2, text=LEFT))
    with pytest.raises(DataError, match="single row"):
        pair_evaluation(table("pairs", anchor=["a"], positive=["b"]))
    with pytest.raises(DataError, match="same label"):
        pair_evaluation(table("labelled_pairs", np.ones(ROWS, np.int64)))
    with pytest.raises(DataError, match="gold scores are equal"):
        pair_evaluation(table("scored", np.ones(ROWS, np.float32)))


def test_models_that_do_not_suit_the_rows():
    labels = np.zeros((ROWS, 3))
    gold = np.linspace(0, 1, ROWS, dtype=np.float32)
    with pytest.raises(ModelError, match="needs a single score"):
        PairScores(table("scored", gold))(ScoreModel(labels, labels=NLI))
    with pytest.raises(ModelError, match="NaN"):
        PairScores(table("scored", gold))(ScoreModel(np.full(ROWS, np.nan)))
