"""Drawing a few texts of each class, and texts made of the names of the classes."""

import numpy as np
import pytest

from tenor.data.shots import (
    count_texts,
    describe_shots,
    draw_shots,
    joined,
    label_texts,
    without_repeats,
    words_of,
)
from tenor.errors import ConfigError
from tiny_labels import label_table


def table(counts=(5, 9, 2)):
    target = np.repeat(np.arange(len(counts)), counts)
    texts = [f"text {row}" for row in range(len(target))]
    return label_table(texts, target, [f"label {n}" for n in range(len(counts))])


def test_so_many_texts_of_each_class_by_the_seed():
    drawn = draw_shots(table(), 4, seed=0)
    assert count_texts(drawn).tolist() == [4, 4, 2]
    again, other = draw_shots(table(), 4, seed=0), draw_shots(table(), 4, seed=1)
    assert again.columns == drawn.columns != other.columns
    for text, label, line in zip(drawn.columns["text"], drawn.target, drawn.lines, strict=True):
        row = int(text.removeprefix("text "))
        assert table().target[row] == label and line == row + 2  # they stay together
    assert describe_shots(drawn, 4) == (
        "10 texts, 2 to 4 of each of 3 labels; fewer than the 4 asked for of label 2"
    )


def test_of_several_labels_a_text_each_gets_at_least_so_many():
    generator = np.random.default_rng(0)
    target = (generator.random((300, 4)) < [0.02, 0.5, 0.3, 0.1]).astype(np.float32)
    labelled = label_table([f"text {row}" for row in range(300)], target, "abcd")
    drawn = draw_shots(labelled, 8, seed=0)
    counts, there = count_texts(drawn), target.sum(axis=0)
    assert (counts >= np.minimum(8, there)).all()
    assert len(drawn) <= 8 * 5 and (~drawn.target.any(axis=1)).sum() == 8


def test_a_text_that_stands_there_twice_with_the_same_label_counts_once():
    twice = label_table(["a", "b", "a", "a"], [0, 1, 0, 1], "xy")
    assert without_repeats(twice).columns["text"] == ["a", "b", "a"]
    assert without_repeats(twice).target.tolist() == [0, 1, 1]


def test_names_become_texts_of_their_class():
    made = label_texts(["card_arrival", "top-up"], templates=["{}", "About {}."])
    assert made.columns["text"] == [
        "card arrival", "top up", "About card arrival.", "About top up."
    ]  # fmt: skip
    assert made.target.tolist() == [0, 1, 0, 1] and made.kind == "labelled_texts"
    several = label_texts(["a", "b"], templates=["{}"], multi_label=True)
    assert several.kind == "multi_labelled_texts"
    assert several.target.tolist() == [[1, 0], [0, 1]]


def test_words_stand_for_a_name():
    made = label_texts(["0", "1"], templates=["{}"], words={"0": "bad", "1": "good"})
    assert made.columns["text"] == ["bad", "good"] and made.label_names == ("0", "1")
    with pytest.raises(ConfigError, match="given for '1'"):
        label_texts(["0", "1"], words={"0": "bad"})
    with pytest.raises(ConfigError, match="'2'"):
        label_texts(["a", "b"], words={"2": "x"})
    with pytest.raises(ConfigError, match="template"):
        label_texts(["a"], templates=["about"])


@pytest.mark.parametrize(
    ("name", "words"),
    [("DESC", "DESC"), ("card_arrival", "card arrival"), ("NUMtoWord", "NUMto word"), ("x", "x")],
)
def test_names_as_words(name, words):
    assert words_of(name).lower() == words.lower()


def test_texts_and_names_together():
    both = joined(table((2, 2)), label_texts(["label 0", "label 1"], templates=["{}"]))
    assert len(both) == 6 and both.target.tolist() == [0, 0, 1, 1, 0, 1]
