"""What a comparison says: figures with intervals, differences that are real, and choices.

Shapes: N items, M models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenor.evaluation.choices import (
    COSTS,
    Candidate,
    best,
    best_under,
    pareto_front,
    seconds_per_text,
    smallest_within,
)
from tenor.evaluation.significance import (
    LEVEL,
    Resampled,
    enough_resamples,
    holm,
    pairwise_differences,
    resampled_figure,
)
from tenor.recipes.compare_run import ModelAnswer
from tenor.recipes.compare_tasks import FIGURES

if TYPE_CHECKING:
    from tenor.recipes.compare import CompareConfig

__all__ = ["outcome"]


def outcome(
    measured: Sequence[ModelAnswer], tasks: Sequence[dict[str, Any]], config: CompareConfig
) -> dict[str, Any]:
    """Put the models' figures together and weigh them.

    Args:
        measured: what the processes gave, at least one.
        tasks: descriptions of the tasks, with a `name` each.
        config: the settings.

    Returns:
        `tasks`, `models`, `differences`, `resamples` and `choices`.
    """
    models = [dict(one.figures) for one in measured]
    pairs = len(models) * (len(models) - 1) // 2
    resamples = config.resamples or enough_resamples(pairs * (len(tasks) + (len(tasks) > 1)))
    on_task: dict[str, tuple[list[int], Resampled]] = {}
    described = []
    for number, task in enumerate(tasks):
        name = task["name"]
        those = [place for place, model in enumerate(models) if "metric" in model["tasks"][name]]
        metrics = {models[place]["tasks"][name]["metric"] for place in those}
        described.append({**task, "metric": " / ".join(sorted(metrics)) or None})
        if those:
            seed = config.seed + number  # items of different tasks are drawn independently
            found = _resampled([measured[place] for place in those], name, resamples, seed)
            on_task[name] = (those, found)
            _add_values(models, those, name, found)
    complete = _complete(models, tasks)
    mean = _mean([on_task[task["name"]] for task in tasks], complete) if complete else None
    for place, model in enumerate(models):
        model["quality"] = None
        if mean is not None and place in complete:
            column = complete.index(place)
            low, high = mean.interval(column)
            value = float(mean.observed[column])
            model["quality"] = {"value": value, "low": low, "high": high}
    return {
        "tasks": described,
        "models": models,
        "resamples": resamples,
        "differences": _differences(
            models, [*on_task.items(), *_as_task(mean, complete, len(tasks))]
        ),
        "choices": _choices(models, config),
    }


def _resampled(answers: Sequence[ModelAnswer], task: str, resamples: int, seed: int) -> Resampled:
    """The deciding figure of several models on one task, from the values of its items."""
    columns, gold, figures = [], None, set()
    for answer in answers:
        table = pq.read_table(answer.items_file, columns=["task", "item", "value", "gold_value"])
        rows = table.filter(pc.equal(table["task"], task)).sort_by("item")
        columns.append(rows["value"].to_numpy())
        gold = rows["gold_value"].to_numpy()
        figures.add(FIGURES.get(answer.figures["tasks"][task]["metric"], "mean"))
    [figure] = figures  # a task asks one thing of all models
    return resampled_figure(
        figure,
        np.stack(columns, axis=1),
        None if figure == "mean" else gold,
        resamples=resamples,
        seed=seed,
    )


def _add_values(
    models: list[dict[str, Any]], those: list[int], task: str, found: Resampled
) -> None:
    for column, place in enumerate(those):
        low, high = found.interval(column)
        value = float(found.observed[column])
        models[place]["tasks"] = {
            **models[place]["tasks"],
            task: {**models[place]["tasks"][task], "value": value, "low": low, "high": high},
        }


def _complete(models: Sequence[dict[str, Any]], tasks: Sequence[dict[str, Any]]) -> list[int]:
    """The models that were measured on every task: only their means compare."""
    return [
        place
        for place, model in enumerate(models)
        if all("metric" in model["tasks"][task["name"]] for task in tasks)
    ]


def _mean(found: Sequence[tuple[list[int], Resampled]], complete: list[int]) -> Resampled:
    """The mean over the tasks, of the models that have a figure on each."""
    columns = [[those.index(place) for place in complete] for those, _ in found]
    parts = [
        (one.observed[c], one.samples[:, c]) for (_, one), c in zip(found, columns, strict=True)
    ]
    return Resampled(
        np.mean([observed for observed, _ in parts], axis=0),
        np.mean([samples for _, samples in parts], axis=0),
    )


def _as_task(
    mean: Resampled | None, complete: list[int], tasks: int
) -> list[tuple[None, tuple[list[int], Resampled]]]:
    """The mean as one more thing to compare, where it is not a single task's figure."""
    return [] if mean is None or tasks < 2 else [(None, (complete, mean))]


def _differences(
    models: Sequence[dict[str, Any]],
    on_task: Sequence[tuple[str | None, tuple[list[int], Resampled]]],
) -> list[dict[str, Any]]:
    """Of every two models, on every task and in the mean; p values corrected for all of them."""
    rows: list[dict[str, Any]] = []
    for task, (those, found) in on_task:
        rows += [
            {
                "task": task,
                "left": models[those[one.left]]["name"],
                "right": models[those[one.right]]["name"],
                "difference": one.difference,
                "low": one.low,
                "high": one.high,
                "p": one.p,
            }
            for one in pairwise_differences(found)
        ]
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = corrected
        row["verdict"] = "no clear difference"
        if corrected < LEVEL and row["difference"] != 0:
            row["verdict"] = "better" if row["difference"] > 0 else "worse"
    return rows


def _choices(models: Sequence[dict[str, Any]], config: CompareConfig) -> dict[str, Any]:
    candidates = [
        Candidate(
            name=model["name"],
            quality=model["quality"]["value"],
            latency_ms=model["latency"]["1"]["p95_ms"],
            size_bytes=model["size_bytes"],
            peak_bytes=model["memory"].get("gpu_peak_bytes") or model["memory"]["peak_bytes"],
            seconds_per_input=seconds_per_text(model["speed"]),
        )
        for model in models
        if model["quality"] is not None
    ]
    return {
        "best": best(candidates),
        "best_under": {
            "milliseconds": config.under_ms,
            "model": best_under(candidates, config.under_ms),
        },
        "smallest_within": {
            "share": config.within,
            "model": smallest_within(candidates, config.within),
        },
        "pareto": {cost: pareto_front(candidates, cost) for cost in COSTS},
    }
