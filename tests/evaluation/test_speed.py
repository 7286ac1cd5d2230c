"""What is timed, how often, and what the figures are made of."""

import numpy as np
import pytest

from tenor.errors import ConfigError, DataError
from tenor.evaluation import speed
from tenor.evaluation.speed import measure_latency, measure_throughput

TEXTS = [f"text {number}" for number in range(50)]


class Clock:
    """A clock that only a model's work moves on."""

    def __init__(self, monkeypatch):
        self.now, self.calls = 0.0, []
        monkeypatch.setattr(speed.time, "perf_counter", lambda: self.now)

    def answer(self, inputs):
        self.calls.append(list(inputs))
        self.now += 0.001 * len(inputs)


def test_inputs_a_second_by_the_median_pass_after_one_to_warm_up(monkeypatch):
    clock = Clock(monkeypatch)
    found = measure_throughput(clock.answer, TEXTS, passes=3)
    assert [len(call) for call in clock.calls] == [12, 50, 50, 50]
    assert found.inputs == 50 and len(found.seconds) == 3
    assert found.per_second == pytest.approx(1000)


def test_latencies_of_requests_of_a_size(monkeypatch):
    clock = Clock(monkeypatch)
    times = iter([0.5] * 10 + [0.001 * number for number in range(1, 101)])

    def slower(inputs):
        clock.calls.append(list(inputs))
        clock.now += next(times)

    found = measure_latency(slower, TEXTS, batch=8, requests=100, seconds=1e9)
    assert found.requests == 100 and found.batch == 8
    assert found.p50_ms == pytest.approx(50.5)
    assert found.p95_ms == pytest.approx(np.quantile(np.arange(1, 101), 0.95))
    assert found.mean_ms == pytest.approx(50.5)  # the first ten are not counted
    assert all(len(set(call)) == 8 for call in clock.calls)


def test_the_same_seed_draws_the_same_requests(monkeypatch):
    drawn = []
    for seed in (1, 1, 2):
        clock = Clock(monkeypatch)
        measure_latency(clock.answer, TEXTS, requests=5, seed=seed)
        drawn.append(clock.calls)
    assert drawn[0] == drawn[1] != drawn[2]


def test_slow_models_are_not_asked_for_ever(monkeypatch):
    clock = Clock(monkeypatch)
    found = measure_latency(clock.answer, TEXTS, batch=32, requests=1000, seconds=1.0)
    assert 20 <= found.requests < 40


def test_few_texts_are_drawn_more_than_once():
    found = []
    measure_latency(found.append, ["one"], batch=3, requests=1)
    assert found[-1] == ["one"] * 3


def test_what_cannot_be_timed_is_refused():
    with pytest.raises(DataError, match="no texts"):
        measure_throughput(len, [])
    with pytest.raises(DataError, match="no texts"):
        measure_latency(len, [])
    with pytest.raises(ConfigError, match="batch"):
        measure_latency(len, TEXTS, batch=0)
    with pytest.raises(ConfigError, match="passes"):
        measure_throughput(len, TEXTS, passes=0)
