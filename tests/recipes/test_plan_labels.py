"""Labels that contradict their texts, with vectors that know every word."""

import numpy as np
import pytest

from tenor.data.profile import profile_table, profile_texts
from tenor.recipes.plan_labels import check_labels
from tenor.recipes.plan_sources import Source
from tiny import WORDS, random_texts, tiny_tokenizer
from tiny_labels import label_table, random_labelled
from tiny_pairs import pair_table

NAMES = ("animal", "colour", "weather")


class WordVectors:
    """An embedder whose vector of a text counts its words."""

    def __init__(self):
        self.tokenizer, self.encoded = tiny_tokenizer(), 0

    def encode(self, texts, *, normalize, progress):
        self.encoded += len(texts)
        vectors = np.array([[text.split().count(word) for word in WORDS] for text in texts])
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return (vectors / lengths).astype(np.float32)


def source(table):
    return Source("file.csv", table.kind, None, profile_table(table), table=table)


def codes(check):
    return {each.code: each for each in check.findings}


def labelled(count, flipped=()):
    texts, labels = random_labelled(count)
    target = np.array([NAMES.index(label) for label in labels])
    for row in flipped:
        target[row] = (target[row] + 1) % 3
    return label_table(texts, target, NAMES)


def test_flipped_labels():
    flipped = [5, 50, 120, 200]
    found = codes(check_labels(source(labelled(300, flipped)), WordVectors()))["label_noise"]
    lines = {each.line for each in found.examples}
    assert len(lines & {row + 2 for row in flipped}) >= 3
    assert len(found.examples) <= 5 and found.figures["looked_at"] == 300
    assert "looks like" in found.message
    clean = codes(check_labels(source(labelled(300)), WordVectors()))
    assert clean.keys() <= {"label_noise"}
    assert not clean or clean["label_noise"].figures["rows"] <= 1


def test_the_time_of_a_fit_and_of_embedding_is_measured():
    check = check_labels(source(labelled(200)), WordVectors())
    seconds, texts = check.fit_seconds
    assert 0 < seconds < 5 and texts == 160
    assert check.pace.tokens > check.pace.texts > 0


def test_no_more_than_the_time_allows_is_embedded():
    model = WordVectors()
    check_labels(source(labelled(1_000)), model, seconds=0.0)
    assert model.encoded == 128


@pytest.mark.parametrize(("sign", "code"), [(1, None), (-1, "labels_reversed")])
def test_scores_that_fall_while_similarity_rises(sign, code):
    left = random_texts(200, words=(4, 9))
    right = [
        " ".join(text.split()[: row % 4 + 1] + other.split())
        for row, (text, other) in enumerate(
            zip(left, random_texts(200, seed=5, words=(2, 5)), strict=True)
        )
    ]
    scores = (np.arange(200) % 4) / 3
    table = pair_table(
        "scored",
        {"sentence1": left, "sentence2": right},
        (scores if sign > 0 else 1 - scores).astype(np.float32),
    )
    found = codes(check_labels(source(table), WordVectors()))
    assert ("labels_reversed" in found) == (code is not None)
    if code:
        assert found[code].severity == "problem" and "distance" in found[code].message


def pairs_of(same):
    left = random_texts(len(same), words=(4, 9))
    other = random_texts(len(same), seed=5, words=(4, 9))
    right = [f"{a} cat" if s else b for a, b, s in zip(left, other, same, strict=True)]
    return {"sentence1": left, "sentence2": right}


def test_labels_of_pairs_that_are_flipped_altogether_or_one_by_one():
    same = np.arange(200) % 2
    names = ("0", "1")
    for target, code in ((same, None), (1 - same, "labels_reversed")):
        table = pair_table("labelled_pairs", pairs_of(same), target, names)
        found = codes(check_labels(source(table), WordVectors()))
        assert (code is None and "labels_reversed" not in found) or code in found
    flipped = same.copy()
    flipped[[10, 77]] = 1 - flipped[[10, 77]]
    table = pair_table("labelled_pairs", pairs_of(same), flipped, names)
    found = codes(check_labels(source(table), WordVectors()))["label_noise"]
    assert {11, 78} <= {each.line for each in found.examples}


def test_pairs_in_the_wrong_order():
    anchors = random_texts(120, words=(4, 9))
    positives = [f"far {text}" for text in anchors]
    fine = pair_table("pairs", {"anchor": anchors, "positive": positives})
    assert codes(check_labels(source(fine), WordVectors())) == {}
    shuffled = np.random.default_rng(0).permutation(120).tolist()
    wrong = pair_table(
        "pairs", {"anchor": anchors, "positive": [positives[row] for row in shuffled]}
    )
    assert codes(check_labels(source(wrong), WordVectors()))["unrelated_pairs"]


def test_what_has_no_labels_is_only_timed():
    texts = random_texts(60, words=(3, 9))
    raw = Source("t.txt", "texts", None, profile_texts(texts), texts=texts)
    check = check_labels(raw, WordVectors())
    assert check.findings == () and check.pace is not None and check.fit_seconds is None
    few = check_labels(source(labelled(12)), WordVectors())
    assert few.findings == ()
