"""`tenor compare` as a person reads it."""

import json

import pytest
from cyclopts import App

from tenor.cli import compare_commands
from tenor.errors import TenorError


def figure(value, metric="ndcg@10"):
    return {"metric": metric, "value": value, "low": value - 0.02, "high": value + 0.02}


def model(name, value, *, latency=12.0, pairs=False, tasks=None):
    times = {"p50_ms": latency, "p95_ms": latency * 1.5, "p99_ms": latency * 2}
    return {
        "name": name, "dimensions": 384, "size_bytes": 90 * 2**20,
        "speed": {"unit": "pairs" if pairs else "texts", "per_second": 1234.0},
        "latency": {"1": times, "32": times},
        "memory": {"peak_bytes": 600 * 2**20, "runtime_bytes": 300 * 2**20},
        "tasks": tasks or {"help": figure(value), "sts": figure(value, "spearman_cosine")},
        "quality": None if value is None else figure(value),
    }  # fmt: skip


def row(task, left, right, verdict):
    return {"task": task, "left": left, "right": right, "verdict": verdict}


RESULT = {
    "tasks": [
        {"name": "help", "kind": "retrieval", "metric": "ndcg@10", "n": 1200},
        {"name": "sts", "kind": "sts", "metric": "spearman_cosine", "n": 300},
    ],
    "models": [
        model("large", 0.8),
        model("small", 0.79, latency=1.5),
        model("poor", 0.5, latency=0.2),
        model(
            "cross", None, pairs=True,
            tasks={"help": {"not_measured": "cross-encoders are not"}, "sts": {"error": "damaged"}},
        ),
    ],
    "differences": [
        *(row(task, "large", "small", "no clear difference") for task in ("help", "sts", None)),
        *(row(task, "large", "poor", "better") for task in ("help", "sts", None)),
    ],
    "resamples": 2000,
    "choices": {
        "best": "large",
        "best_under": {"milliseconds": 5.0, "model": "small"},
        "smallest_within": {"share": 0.015, "model": "small"},
        "pareto": {
            "latency_ms": ["poor", "small", "large"], "size_bytes": ["large"],
            "peak_bytes": ["large"], "seconds_per_input": ["large"],
        },
    },
    "failed": [],
    "machine": {"processor": "a processor", "threads": 2},
}  # fmt: skip


@pytest.fixture
def run(monkeypatch, capsys):
    asked = []

    def compared(config):
        asked.append(config)
        return RESULT

    monkeypatch.setattr("tenor.recipes.compare.compare_models", compared)
    monkeypatch.setenv("COLUMNS", "160")
    app = App()
    compare_commands.add_to(app)

    def start(*flags):
        with pytest.raises(TenorError, match="cross on sts") as stop:
            app(["compare", *flags], exit_on_error=False, result_action="return_value")
        return asked[-1], capsys.readouterr().out, str(stop.value)

    return start


def test_models_and_tasks_become_settings(run):
    config, _, _ = run("a", "b", "--on", "x.csv", "y/", "--under-ms", "8", "--within", "0.02")
    assert config.models == ("a", "b") and config.on == ("x.csv", "y/")
    assert (config.under_ms, config.within) == (8.0, 0.02)


def test_the_tables_say_what_a_reader_asks(run):
    _, printed, error = run("a", "b", "--on", "x.csv")
    lines = printed.splitlines()
    large = next(line for line in lines if line.strip().startswith("large"))
    assert large.count("0.8000 best") == 3
    small = next(line for line in lines if line.strip().startswith("small "))
    assert small.count("0.7900 ≈ best") == 3
    poor = next(line for line in lines if line.strip().startswith("poor"))
    assert "best" not in poor
    cross = next(line for line in lines if line.strip().startswith("cross"))
    assert "–" in cross and "failed" in cross
    for text in (
        "n = 1,200", "best (mean of the tasks): large",
        "best with one text in 5 ms (p95): small",
        "smallest on disk within 1.5 % of the best: small", "every cost",
        "1,234 (pairs)", "600 MiB", "90 MiB", "latency",
        "– cross on help: cross-encoders are not", "cross on sts failed: damaged",
        "3 of 6 differences are clear",
    ):  # fmt: skip
        assert text in printed, text
    assert "cross on sts" in error
    times = [line.split() for line in lines if "1.50" in line]
    assert times == [["small", "1.50", "2.25", "3.00", "1.50", "2.25", "3.00"]]


def test_models_that_are_equal_are_all_the_best(run, monkeypatch):
    equal = json.loads(json.dumps(RESULT))
    large, small = (next(m for m in equal["models"] if m["name"] == n) for n in ("large", "small"))
    small["quality"], small["tasks"] = large["quality"], large["tasks"]
    monkeypatch.setitem(RESULT, "models", equal["models"])
    lines = run("a", "--on", "x.csv")[1].splitlines()
    assert sum(line.count("0.8000 best") for line in lines) == 6


def test_names_are_whole_in_a_narrow_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    _, printed, _ = run("a", "--on", "x.csv")
    assert "…" not in printed


def test_json_is_one_object_on_stdout(run):
    _, printed, _ = run("a", "--on", "x.csv", "--json")
    assert json.loads(printed) == RESULT
