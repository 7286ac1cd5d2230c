"""The report of a comparison of models: the leaderboard, and quality against every cost."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from tenor.evaluation.charts import Choice
from tenor.evaluation.choices import seconds_per_text
from tenor.evaluation.report import Report
from tenor.evaluation.report_sections import Estimate, Repeat, Text, Warnings
from tenor.evaluation.run_sections import Pareto, Table
from tenor.recipes.compare import CompareConfig
from tenor.recipes.report_words import change_in_words, figure_in_words

__all__ = ["compare_report", "machine_name"]

COSTS = {
    "latency_ms": "latency of one text, or pair, ms (p95)",
    "size_bytes": "size on disk, MiB",
    "peak_bytes": "peak memory, MiB",
    "seconds_per_input": "time a text in bulk, ms (a pair is two texts)",
}


def compare_report(result: Mapping[str, Any]) -> Report:
    """The report of a comparison.

    Args:
        result: what its compare.json holds.
    """
    best = result["choices"]["best"]
    several = len(result["tasks"]) > 1
    what = "mean of the tasks" if several else str(result["tasks"][0]["metric"])
    clear = [row for row in result["differences"] if row["verdict"] != "no clear difference"]
    tasks = ", ".join(task["name"] for task in result["tasks"])
    subtitle = f"{len(result['models'])} models on {tasks}. "
    subtitle += f"Best by {what}: {best}." if best else "None was measured on every task."
    return Report(
        title="Which model to take",
        subtitle=subtitle,
        sections=[
            _leaderboard(result),
            Pareto(plots=_plots(result), quality=what),
            Text("Choices", _choices(result)),
            Table(
                title="Differences that are clear",
                head=["task", "better", "worse", "difference", "p, Holm's correction"],
                rows=[_difference(row) for row in clear],
                note=f"{len(clear)} of {len(result['differences'])} differences; paired bootstrap, "
                f"{result['resamples']:,} resamples.",
            ),
            Warnings("About the data and the models", list(_warnings(result))),
        ],
        repeat=_repeat(result),
    )


def machine_name(machine: Mapping[str, Any]) -> str:
    """What a comparison was measured on, in words.

    >>> machine_name({"processor": "a processor", "threads": 1})
    'a processor, 1 thread'
    """
    threads = machine["threads"]
    unit = "thread" if threads == 1 else "threads"
    return f"{machine.get('gpu') or machine['processor']}, {threads} {unit}"


def _leaderboard(result: Mapping[str, Any]) -> Table:
    several = len(result["tasks"]) > 1
    models = sorted(
        result["models"],
        key=lambda one: -(one["quality"]["value"] if one["quality"] else float("-inf")),
    )
    rows = [
        [
            model["name"],
            *(_figure(model["tasks"][task["name"]]) for task in result["tasks"]),
            *([_figure(model["quality"])] if several else []),
            f"{model['latency']['1']['p50_ms']:.1f} / {model['latency']['1']['p95_ms']:.1f} ms",
            f"{model['speed']['per_second']:,.0f} {model['speed']['unit']}",
            f"{_peak(model) / 2**20:,.0f} MiB",
            f"{model['size_bytes'] / 2**20:,.0f} MiB",
        ]
        for model in models
    ]
    head = [
        "model",
        *(f"{task['name']}, {task['metric']}" for task in result["tasks"]),
        *(["mean"] if several else []),
        "latency, p50 / p95",
        "a second",
        "memory",
        "on disk",
    ]
    note = f"In brackets: 95 % intervals. Measured on {machine_name(result['machine'])}."
    return Table(title="Leaderboard", head=head, rows=rows, note=note)


def _plots(result: Mapping[str, Any]) -> dict[str, list[Choice]]:
    """The models by each cost."""
    front = result["choices"]["pareto"]
    plots: dict[str, list[Choice]] = {}
    for cost, words in COSTS.items():
        plots[words] = [
            Choice(
                model["name"],
                _cost(model, cost),
                model["quality"]["value"],
                model["quality"]["low"],
                model["quality"]["high"],
                model["name"] in front[cost],
            )
            for model in result["models"]
            if model["quality"] is not None
        ]
    return plots


def _cost(model: Mapping[str, Any], cost: str) -> float:
    if cost == "latency_ms":
        return float(model["latency"]["1"]["p95_ms"])
    if cost == "seconds_per_input":
        return 1000 * seconds_per_text(model["speed"])
    return float(_peak(model) if cost == "peak_bytes" else model["size_bytes"]) / 2**20


def _peak(model: Mapping[str, Any]) -> int:
    return int(model["memory"].get("gpu_peak_bytes") or model["memory"]["peak_bytes"])


def _figure(figure: Mapping[str, Any] | None) -> str:
    if figure is None or "value" not in figure:
        return "failed" if figure and "error" in figure else "–"
    return figure_in_words(Estimate(figure["value"], figure["low"], figure["high"]))


def _choices(result: Mapping[str, Any]) -> list[str]:
    chosen = result["choices"]
    if chosen["best"] is None:
        return ["No model was measured on every task: there is no best one."]
    under, within = chosen["best_under"], chosen["smallest_within"]
    return [
        f"Best: {chosen['best']}.",
        f"Best with one text in {under['milliseconds']:g} ms (p95): {under['model'] or 'none'}.",
        f"Smallest on disk within {100 * within['share']:g} % of the best: {within['model']}.",
    ]


def _difference(row: Mapping[str, Any]) -> list[str]:
    names = [row["left"], row["right"]]
    change = {"value": row["difference"], **{key: row[key] for key in ("low", "high", "verdict")}}
    if row["verdict"] == "worse":
        names.reverse()
        low, high = -row["high"], -row["low"]
        change = {"value": -row["difference"], "low": low, "high": high, "verdict": "better"}
    words = change_in_words(change).partition(":")[0]
    return [row["task"] or "mean", *names, words, f"{row['p_holm']:.3g}"]


def _warnings(result: Mapping[str, Any]) -> Iterator[str]:
    for task in result["tasks"]:
        if task["items_in_training"]:
            yield (
                f"{task['name']}: {task['items_in_training']:,} of its texts stand in its own "
                "training file, too."
            )
    for model in result["models"]:
        for name, figure in model["tasks"].items():
            if "error" in figure:
                yield f"{model['name']} on {name} failed: {figure['error']}"
            elif "not_measured" in figure:
                yield f"{model['name']} on {name}: {figure['not_measured']}"
    for one in result["failed"]:
        yield f"{one['model']} failed: {one['error']}"


def _repeat(result: Mapping[str, Any]) -> Repeat:
    settings = dict(result["settings"])
    words = ["tenor", "compare", *settings["models"], "--on", *settings["on"]]
    for name, value in settings.items():
        default = CompareConfig.__dataclass_fields__[name].default
        if name not in ("models", "on") and value is not None and value != default:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return Repeat(
        command=shlex.join(words),
        config={name: value for name, value in settings.items() if name != "seed"},
        versions=result["versions"],
        hashes={f"data: {task['name']}": task["sha256"] for task in result["tasks"]}
        | {f"model: {one['name']}": one["sha256"] for one in result["models"] if one.get("sha256")},
        seeds={"seed": settings["seed"]},
        machine=result["machine"],
    )
