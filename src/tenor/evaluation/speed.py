"""How fast does a model answer: inputs a second in bulk, and the latency of single requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenor.errors import ConfigError, DataError

__all__ = ["Latency", "Throughput", "measure_latency", "measure_throughput"]

Answer = Callable[[list[Any]], Any]

WARM_UP = 10  # requests that are not counted: kernels are compiled, caches fill
FEWEST = 20  # requests that are counted, however long they take


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """How many inputs a second a model answers when it gets many at once.

    Args:
        inputs: how many were given at once.
        seconds: of each pass over them, after one that is not counted.
        per_second: by the median of these.
    """

    inputs: int
    seconds: tuple[float, ...]
    per_second: float


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long a request takes, in milliseconds.

    Args:
        batch: inputs a request.
        requests: how many were timed, one after the other.
        p50_ms: half of them took no longer.
        p95_ms: 95 of 100 took no longer.
        p99_ms: 99 of 100 took no longer; with fewer than 100 requests close to the longest.
        mean_ms: their mean.
    """

    batch: int
    requests: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float


def measure_throughput(answer: Answer, inputs: Sequence[Any], *, passes: int = 3) -> Throughput:
    """Give a model all inputs at once, again and again.

    Args:
        answer: takes a list of inputs, such as `Embedder.encode`, and returns when it is done.
        inputs: texts or pairs, distinct: models answer repeats once.
        passes: how often they are timed, at least 1; a first pass over a part of them is not.

    Raises:
        DataError: there are no inputs.
    """
    if passes < 1:
        raise ConfigError("passes", passes, "at least 1")
    several = list(inputs)
    if not several:
        raise DataError("there are no texts to measure the speed on.")
    answer(several[: max(1, len(several) // 4)])
    seconds = tuple(_seconds(answer, several) for _ in range(passes))
    return Throughput(
        inputs=len(several),
        seconds=seconds,
        per_second=len(several) / max(float(np.median(seconds)), 1e-9),
    )


def measure_latency(
    answer: Answer,
    inputs: Sequence[Any],
    *,
    batch: int = 1,
    requests: int = 100,
    seconds: float = 10.0,
    seed: int = 0,
) -> Latency:
    """Time requests of a fixed size, one after the other, of inputs drawn at random.

    Args:
        answer: takes a list of inputs and returns when it is done.
        inputs: texts or pairs to draw from.
        batch: inputs a request; a request has no input twice as long as there are enough.
        requests: how many to time, at least 1.
        seconds: stop before that many when these are over, but not before 20 requests.
        seed: the same seed draws the same requests.

    Raises:
        ConfigError: a number is below 1.
        DataError: there are no inputs.
    """
    for field, value in (("batch", batch), ("requests", requests)):
        if value < 1:
            raise ConfigError(field, value, "at least 1")
    if not len(inputs):
        raise DataError("there are no texts to measure the latency on.")
    generator = np.random.default_rng([seed, batch])

    def drawn() -> list[Any]:
        places = generator.choice(len(inputs), batch, replace=batch > len(inputs))
        return [inputs[place] for place in places.tolist()]

    for _ in range(min(WARM_UP, requests)):
        answer(drawn())
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < requests:
        times.append(_seconds(answer, drawn()))
        if len(times) >= FEWEST and time.perf_counter() - start > seconds:
            break
    p50, p95, p99 = (1000 * float(np.quantile(times, share)) for share in (0.5, 0.95, 0.99))
    return Latency(
        batch=batch,
        requests=len(times),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        mean_ms=1000 * float(np.mean(times)),
    )


def _seconds(answer: Answer, inputs: list[Any]) -> float:
    start = time.perf_counter()
    answer(inputs)
    return time.perf_counter() - start
