"""Which model is told to be taken."""

import pytest

from tenor.errors import ConfigError
from tenor.evaluation.choices import (
    COSTS,
    Candidate,
    best,
    best_under,
    pareto_front,
    smallest_within,
)


def model(name, quality, latency=1.0, size=1.0, peak=1.0, seconds=1.0):
    return Candidate(
        name=name, quality=quality, latency_ms=latency, size_bytes=size, peak_bytes=peak,
        seconds_per_input=seconds,
    )  # fmt: skip


MODELS = [
    model("large", 0.80, latency=40, size=400),
    model("base", 0.795, latency=12, size=90),
    model("slow", 0.70, latency=50, size=500),
    model("static", 0.60, latency=0.1, size=40),
]


def test_the_front_holds_what_nothing_beats_the_cheapest_first():
    assert pareto_front(MODELS, "latency_ms") == ["static", "base", "large"]
    assert pareto_front(MODELS, "size_bytes") == ["static", "base", "large"]
    assert pareto_front(MODELS, "peak_bytes") == ["large"]  # all cost the same


def test_equal_models_are_on_the_front_together():
    twins = [model("a", 0.5), model("b", 0.5)]
    assert pareto_front(twins, "latency_ms") == ["a", "b"]


def test_the_best_that_is_quick_enough():
    assert best(MODELS) == "large"
    assert best_under(MODELS, 20) == "base"
    assert best_under(MODELS, 5) == "static"
    assert best_under(MODELS, 0.01) is None
    assert best([]) is None


def test_of_equally_good_models_the_quicker_is_the_best():
    assert best([model("a", 0.5, latency=2), model("b", 0.5, latency=1)]) == "b"


def test_the_smallest_near_the_best():
    assert smallest_within(MODELS, 0.01) == "base"
    assert smallest_within(MODELS, 0.0) == "large"
    assert smallest_within(MODELS, 0.5) == "static"
    assert smallest_within([model("a", -0.1, size=9), model("b", -0.2)], 0.01) == "a"
    assert smallest_within([], 0.01) is None


def test_limits_that_cannot_be():
    with pytest.raises(ConfigError, match="under_ms"):
        best_under(MODELS, 0)
    with pytest.raises(ConfigError, match="within"):
        smallest_within(MODELS, 1.0)
    with pytest.raises(ConfigError, match="cost"):
        pareto_front(MODELS, "name")
    assert all(pareto_front(MODELS, cost) for cost in COSTS)
