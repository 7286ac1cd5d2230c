"""Which model to take: the Pareto front, the best that is quick enough, the smallest near the best.

A figure counts as it is: what its interval leaves open is for the reader to weigh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenor.errors import ConfigError

__all__ = [
    "COSTS",
    "Candidate",
    "best",
    "best_under",
    "pareto_front",
    "seconds_per_text",
    "smallest_within",
]

COSTS = ("latency_ms", "size_bytes", "peak_bytes", "seconds_per_input")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model with what it is worth and what it costs.

    Args:
        name: of the model.
        quality: higher is better.
        latency_ms: of a request with one input.
        size_bytes: on disk.
        peak_bytes: of memory.
        seconds_per_input: of a text in bulk; see `seconds_per_text`.
    """

    name: str
    quality: float
    latency_ms: float
    size_bytes: float
    peak_bytes: float
    seconds_per_input: float


def seconds_per_text(speed: Mapping[str, Any]) -> float:
    """What a text takes in bulk, of a model that reads texts or pairs: a pair is two texts.

    Args:
        speed: `per_second`, and of what: its `unit`, texts or pairs.

    >>> seconds_per_text({"unit": "texts", "per_second": 100})
    0.01
    >>> seconds_per_text({"unit": "pairs", "per_second": 100})
    0.005
    """
    texts = 2 if speed["unit"] == "pairs" else 1
    return 1 / (texts * float(speed["per_second"]))


def best(candidates: Sequence[Candidate]) -> str | None:
    """The name of the model with the highest quality; of equal ones the quickest."""
    ranked = sorted(candidates, key=lambda one: (-one.quality, one.latency_ms))
    return ranked[0].name if ranked else None


def best_under(candidates: Sequence[Candidate], milliseconds: float) -> str | None:
    """The name of the best model whose latency is at most so high; `None` where there is none.

    Args:
        candidates: to choose from.
        milliseconds: above 0.

    Raises:
        ConfigError: the limit is not above 0.
    """
    if not milliseconds > 0:
        raise ConfigError("under_ms", milliseconds, "above 0")
    return best([one for one in candidates if one.latency_ms <= milliseconds])


def smallest_within(candidates: Sequence[Candidate], share: float) -> str | None:
    """The name of the smallest model on disk that is hardly worse than the best.

    Args:
        candidates: to choose from.
        share: of the best model's quality that may be missing, from 0 and below 1.

    Raises:
        ConfigError: the share is not from 0 and below 1.

    >>> cost = {"latency_ms": 1.0, "peak_bytes": 1.0, "seconds_per_input": 1.0}
    >>> large = Candidate(name="large", quality=0.80, size_bytes=400, **cost)
    >>> small = Candidate(name="small", quality=0.795, size_bytes=80, **cost)
    >>> smallest_within([large, small], 0.01), smallest_within([large, small], 0.001)
    ('small', 'large')
    """
    if not 0 <= share < 1:
        raise ConfigError("within", share, "from 0 and below 1")
    if not candidates:
        return None
    top = max(one.quality for one in candidates)
    near = [one for one in candidates if one.quality >= top - share * abs(top)]
    return min(near, key=lambda one: (one.size_bytes, -one.quality)).name


def pareto_front(candidates: Sequence[Candidate], cost: str) -> list[str]:
    """The models that no other one beats: at least as good and as cheap, and one of both more so.

    Args:
        candidates: to choose from.
        cost: one of `COSTS`.

    Returns:
        Their names, the cheapest first.

    Raises:
        ConfigError: there is no such cost.
    """
    if cost not in COSTS:
        raise ConfigError("cost", cost, f"one of {', '.join(COSTS)}")

    def price(one: Candidate) -> float:
        return float(getattr(one, cost))

    def beaten(one: Candidate) -> bool:
        return any(
            other.quality >= one.quality
            and price(other) <= price(one)
            and (other.quality > one.quality or price(other) < price(one))
            for other in candidates
        )

    front = [one for one in candidates if not beaten(one)]
    return [one.name for one in sorted(front, key=lambda one: (price(one), -one.quality))]
