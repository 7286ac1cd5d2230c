"""Decoding against trying every sequence, and the rules of every scheme."""

from itertools import pairwise, product

import numpy as np
import pytest

from tenor.data.tags import is_valid_bio
from tenor.models.viterbi import TagRules, decode
from tiny_tags import LABELS


def best(scores, rules):
    """The best valid sequence of one text, by trying all."""
    found = {}
    for path in product(range(scores.shape[1]), repeat=len(scores)):
        steps = sum(rules.step[a, b] for a, b in pairwise(path))
        total = rules.first[path[0]] + steps + rules.last[path[-1]]
        found[path] = total + sum(scores[place, tag] for place, tag in enumerate(path))
    return max(found, key=found.get)


@pytest.mark.parametrize(
    "labels",
    [
        ["O", "B-A", "I-A"],
        ["B-A", "I-A", "O", "B-B", "I-B"],
        ["O", "I-A", "I-B"],
        ["O", "B-A", "I-A", "E-A", "S-A"],
        ["O", "A", "B-C", "I-C"],
    ],
)
def test_it_is_the_best_of_all_valid_sequences(labels):
    rules = TagRules.of(labels)
    generator = np.random.default_rng(0)
    lengths = [3, 0, 1, 5, 4, 3]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    scores = np.log(generator.dirichlet(np.ones(len(labels)), size=sum(lengths)))
    found = decode(scores, offsets, rules)
    for first, behind in pairwise(offsets):
        if first < behind:
            assert tuple(found[first:behind]) == best(scores[first:behind], rules)


def test_no_sequence_is_ever_invalid(monkeypatch):
    import tenor.models.viterbi as module

    rules = TagRules.of(LABELS)
    generator = np.random.default_rng(1)
    lengths = generator.integers(0, 30, 300)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    scores = generator.normal(size=(int(offsets[-1]), len(LABELS))) * 5
    found = decode(scores, offsets, rules)
    for first, behind in pairwise(offsets):
        assert is_valid_bio([LABELS[number] for number in found[first:behind]])
    monkeypatch.setattr(module, "BLOCK_SCORES", 500)  # block by block the same
    assert (decode(scores, offsets, rules) == found).all()


def test_valid_best_guesses_are_kept():
    rules = TagRules.of(["O", "B-A", "I-A"])
    scores = np.log([[0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.9, 0.05, 0.05]])
    assert decode(scores, np.array([0, 3]), rules).tolist() == [1, 2, 0]


def test_rules_of_models_without_b():
    rules = TagRules.of(["O", "I-A", "LOC"])
    assert np.isfinite(rules.step).all() and np.isfinite(rules.first).all()
    assert [tuple(tag) for tag in rules.tags] == [("O", ""), ("I", "A"), ("I", "LOC")]


def test_spans_end_where_the_scheme_says():
    labels = ["O", "B-A", "I-A", "E-A", "S-A"]
    rules = TagRules.of(labels)
    allowed = np.isfinite(rules.step)
    assert allowed[1].tolist() == [False, False, True, True, False]
    assert allowed[3].tolist() == [True, True, False, False, True]
    assert np.isfinite(rules.last).tolist() == [True, False, False, True, True]
