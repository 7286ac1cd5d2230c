"""What is measured on held-out rows, for each kind of data."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score
from sklearn.neighbors import KNeighborsClassifier

from tenor.data.schema import PairTable
from tenor.errors import DataError
from tenor.evaluation.validation import (
    LabelledPairs,
    NearestNeighbours,
    paired_average_precision,
    validation,
)


def table(kind, columns, target=None, names=None):
    rows = len(next(iter(columns.values())))
    return PairTable(
        kind=kind,
        columns=columns,
        target=None if target is None else np.asarray(target),
        label_names=names,
        lines=np.arange(1, rows + 1),
        path="rows.csv",
        sha256="abc",
    )


class Vectors:
    """A model that knows its texts' vectors."""

    def __init__(self, vectors):
        self.vectors = vectors

    def encode(self, texts, **options):
        return np.array([self.vectors[text] for text in texts], dtype=np.float32)


def random_vectors(texts, seed=0, width=6):
    generator = np.random.default_rng(seed)
    return Vectors({text: generator.normal(size=width) for text in texts})


def names(prefix, count):
    return [f"{prefix}{i}" for i in range(count)]


def test_scored_pairs_are_correlated():
    texts = {"sentence1": names("a", 9), "sentence2": names("b", 9)}
    measure, metric = validation(table("scored", texts, np.linspace(0, 1, 9, dtype=np.float32)))
    result = measure(random_vectors(names("a", 9) + names("b", 9)))
    assert metric == "spearman_cosine"
    assert metric in result.metrics
    assert result.data == {"path": "rows.csv", "sha256": "abc"}


def test_every_anchor_searches_all_other_texts():
    columns = {
        "anchor": ["q1", "q2", "q1"],
        "positive": ["right", "left", "up"],
        "negative": ["left", "wrong", "wrong"],
    }
    measure, metric = validation(table("triplets", columns))
    assert metric == "ndcg@10"
    assert sorted(measure.documents) == ["left", "right", "up", "wrong"]
    assert measure.queries == ["q1", "q2"]  # each once
    east, north = [1.0, 0.0], [0.0, 1.0]
    model = Vectors(
        {"q1": east, "q2": north, "right": east, "up": [0.9, 0.1], "left": north}
        | {"wrong": [-1.0, -1.0]}
    )
    assert measure(model).metrics["ndcg@10"] == 1.0  # both texts of q1 are right
    model.vectors["q1"] = [-1.0, -1.0]
    assert measure(model).metrics["accuracy@1"] == 0.5


def test_a_pair_whose_texts_are_equal_is_no_free_hit():
    """The anchor's text may itself be a document: it is not the one that is looked for."""
    columns = {"anchor": ["one", "two"], "positive": ["two", "three"]}
    measure, _ = validation(table("pairs", columns))
    assert len(measure.documents) == 2
    assert measure(random_vectors(["one", "two", "three"])).n == 2


def test_nli_becomes_triplets():
    columns = {"sentence1": ["p", "p", "q", "q"], "sentence2": ["e", "c", "f", "d"]}
    rows = table("nli", columns, [0, 2, 0, 2], ("entailment", "neutral", "contradiction"))
    measure, metric = validation(rows)
    assert metric == "ndcg@10"
    assert measure.queries == ["p", "q"]
    assert sorted(measure.documents) == ["c", "d", "e", "f"]
    assert measure.data["sha256"] == "abc"


def labelled(count=40, seed=0):
    generator = np.random.default_rng(seed)
    columns = {"sentence1": names("a", count), "sentence2": names("b", count)}
    return table("labelled_pairs", columns, generator.integers(0, 2, count), ("0", "1"))


def cosines(model, rows):
    left, right = (model.encode(texts) for texts in rows.columns.values())
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(1) / norms


@pytest.mark.parametrize("seed", range(3))
def test_labelled_pairs_are_told_apart_as_scikit_learn_says(seed):
    rows = labelled(seed=seed)
    model = random_vectors(names("a", 40) + names("b", 40), seed)
    measure, metric = validation(rows)
    result = measure(model)
    assert metric == "average_precision"
    scores = cosines(model, rows)
    expected = average_precision_score(rows.target, scores)
    assert result.metrics["average_precision"] == pytest.approx(expected)
    thresholds = [*scores, 2.0]
    f1 = max(f1_score(rows.target, scores >= t, zero_division=0) for t in thresholds)
    accuracy = max(np.mean((scores >= t) == rows.target) for t in thresholds)
    assert result.metrics["f1"] == pytest.approx(f1)
    assert result.metrics["accuracy"] == pytest.approx(accuracy)
    assert result.n == 40
    for name, value in result.metrics.items():
        low, high = result.intervals[name]
        assert low < high
        assert low - 0.05 <= value <= high + 0.05


def test_equal_scores_cannot_be_ordered_by_luck():
    """A model that gives every pair the same score knows nothing: precision is the share."""
    columns = {"sentence1": names("a", 8), "sentence2": names("b", 8)}
    rows = table("labelled_pairs", columns, [1, 0, 0, 0, 1, 0, 0, 0])
    model = Vectors({text: [1.0, 2.0] for text in names("a", 8) + names("b", 8)})
    result = LabelledPairs(rows)(model)
    assert result.metrics["average_precision"] == pytest.approx(0.25)
    assert result.metrics["accuracy"] == pytest.approx(0.75)


def test_a_better_model_of_labelled_pairs_is_found_better():
    rows = labelled()
    texts = names("a", 40) + names("b", 40)
    blind = LabelledPairs(rows)(random_vectors(texts))
    good = random_vectors(texts)
    for left, right, label in zip(*rows.columns.values(), rows.target, strict=True):
        good.vectors[right] = good.vectors[left] * (1 if label else -1)
    seeing = LabelledPairs(rows)(good)
    found = paired_average_precision(seeing, blind)
    gain = seeing.metrics["average_precision"] - blind.metrics["average_precision"]
    assert found.difference == pytest.approx(gain)
    assert 0 < found.low < found.difference < found.high
    assert found.p < 0.05
    same = paired_average_precision(blind, blind)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)


def classes(seed=0, count=30):
    generator = np.random.default_rng(seed)
    return table("labelled_texts", {"text": names("t", count)}, generator.integers(0, 3, count))


@pytest.mark.parametrize("seed", range(3))
def test_neighbours_vote_as_in_scikit_learn(seed):
    rows = classes(seed)
    model = random_vectors(rows.columns["text"], seed)
    measure, metric = validation(rows)
    result = measure(model)
    assert metric == "accuracy"
    vectors = model.encode(rows.columns["text"])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    neighbours = NearestNeighbours(rows, neighbours=1)(model)
    expected = []
    for row in range(len(rows)):
        others = np.arange(len(rows)) != row
        nearest = KNeighborsClassifier(1).fit(vectors[others], rows.target[others])
        expected.append(nearest.predict(vectors[row : row + 1])[0] == rows.target[row])
    assert neighbours.metrics["accuracy"] == pytest.approx(np.mean(expected))
    low, high = result.intervals["accuracy"]
    assert low <= result.metrics["accuracy"] <= high


def test_a_text_does_not_vote_for_itself_nor_lose_its_copies():
    """Two copies of each text: the copy votes, the text does not, whatever the order of ties."""
    rows = table("labelled_texts", {"text": ["a", "a", "b", "b"]}, [0, 1, 2, 2])
    model = Vectors({"a": [1.0, 0.0], "b": [0.0, 1.0]})
    result = NearestNeighbours(rows, neighbours=1)(model)
    assert result.per_item["accuracy"].tolist() == [0, 0, 1, 1]


def test_a_tied_vote_goes_to_the_nearest():
    rows = table("labelled_texts", {"text": list("xyz")}, [0, 0, 1])
    model = Vectors({"x": [1.0, 0.0], "y": [1.0, 0.1], "z": [1.0, 3.0]})
    result = NearestNeighbours(rows, neighbours=2)(model)
    assert result.per_item["accuracy"].tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (table("pairs", {"anchor": ["a"], "positive": ["b"]}), "single row"),
        (
            table("labelled_pairs", {"sentence1": ["a", "b"], "sentence2": ["c", "d"]}, [1, 1]),
            "same label",
        ),
        (table("nli", {"sentence1": ["a"], "sentence2": ["b"]}, [0]), "no premise has both"),
    ],
)
def test_rows_that_cannot_be_evaluated_on(rows, problem):
    with pytest.raises(DataError, match=problem):
        validation(rows)
