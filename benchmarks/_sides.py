"""Sides of a comparison, each in a process of its own, measured in turns A B C A B C …

A process a side: so that one side's settings (allocator, threads, patched modules) never help or
hurt another, and each side's peak of memory is its own. All processes stay alive between turns,
warm, and only one works at a time.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
THREADS = int(os.environ.get("TENOR_BENCH_THREADS", os.cpu_count() or 1))


class Side:
    """One side's process: `python -m benchmarks.WORKLOAD --side NAME`."""

    def __init__(self, workload: str, name: str, options: list[str]) -> None:
        self.name = name
        command = [sys.executable, "-m", f"benchmarks.{workload}", "--side", name, *options]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, text=True
        )
        self.turns: list[dict[str, Any]] = []
        self.ready = self._read()

    def turn(self, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request or {}) + "\n")
        self.process.stdin.flush()
        answer = self._read()
        self.turns.append(answer)
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("@"):
                found: dict[str, Any] = json.loads(line[1:])
                return found
        raise RuntimeError(f"the side {self.name} ended: see its error above")


def serve(ready: Mapping[str, Any], turn: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer requests on stdin until it closes; a side's main loop."""
    print("@" + json.dumps(ready), flush=True)
    for line in sys.stdin:
        gc.collect()  # what the turn before left in cycles, a whole model, is not this one's
        answer = turn(json.loads(line))
        answer["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print("@" + json.dumps(answer), flush=True)


def ratios(ours: Side, peer: Side, key: str = "rate") -> dict[str, float]:
    """How many times our rate is the peer's, turn by turn: median, least, most."""
    found = [a[key] / b[key] for a, b in zip(ours.turns, peer.turns, strict=True)]
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}


def median(side: Side, key: str) -> float:
    return statistics.median(turn[key] for turn in side.turns)


def first_peak(side: Side) -> float:
    """MiB at the height of the first turn: one run's; later ones add what allocators keep."""
    peak: float = side.turns[0]["peak_mib"]
    return peak


def speed_rows(sides: list[Side]) -> list[dict[str, Any]]:
    """A row a side of what its turns showed; the first side is ours."""
    return [
        {
            "side": one.name,
            "rows_per_second": median(one, "rate"),
            "seconds": [turn["seconds"] for turn in one.turns],
            "peak_mib": first_peak(one),
            "tenor_is_faster": None if one is sides[0] else ratios(sides[0], one),
        }
        for one in sides
    ]


def quality_rows(sides: list[Side]) -> list[dict[str, Any]]:
    """A row a side of its Spearman on STS-B test, a turn being a seed."""
    rows = []
    for one in sides:
        values = [turn["stsb_test_spearman"] for turn in one.turns]
        rows.append(
            {
                "side": one.name,
                "stsb_test_spearman": values,
                "mean": statistics.mean(values),
                "deviation": statistics.stdev(values) if len(values) > 1 else 0.0,
                "seconds": [turn["seconds"] for turn in one.turns],
                "peak_mib": first_peak(one),
            }
        )
    return rows


def product_rate(seconds: float = 2.0) -> dict[str, float]:
    """The machine's own matrix-product rate in GFLOP/s: bf16 and fp32, 2048 x 1536 x 384."""
    import time

    import torch

    torch.set_num_threads(THREADS)
    rates = {}
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        x, w = torch.randn(2048, 384).to(dtype), torch.randn(1536, 384).to(dtype)
        best, until = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < until:
            start = time.perf_counter()
            for _ in range(10):
                torch.nn.functional.linear(x, w)
            best = min(best, (time.perf_counter() - start) / 10)
        rates[name] = 2 * 2048 * 384 * 1536 / best / 1e9
    return rates


def write(name: str, figures: dict[str, Any]) -> None:
    """Write results/NAME.json with what it was measured on."""
    from tenor.training.run import machine, versions

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    from importlib import metadata

    peers = {"sentence-transformers": metadata.version("sentence-transformers")}
    RESULTS.mkdir(exist_ok=True)
    document = {
        "workload": name,
        "commit": commit,
        "machine": machine(),
        "versions": {**versions(), **peers},
        "product_rate_gflops": product_rate(),
        **figures,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"wrote {RESULTS / (name + '.json')}")
