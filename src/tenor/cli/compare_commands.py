"""The command that weighs several models against one another."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["add_to", "compare"]

COST_NAMES = {
    "latency_ms": "latency",
    "size_bytes": "size",
    "peak_bytes": "memory",
    "seconds_per_input": "rate",
}


def add_to(app: App) -> None:
    """Add the command `compare`.

    Args:
        app: the application.
    """
    app.command(compare)


def compare(
    *models: str,
    on: Annotated[list[str], Parameter(consume_multiple=True, negative="")],
    out: Path | None = None,
    under_ms: float = 5.0,
    within: float = 0.01,
    speed_texts: int = 1000,
    requests: int = 100,
    resamples: int | None = None,
    seed: int = 0,
    dtype: str = "auto",
    device: str = "auto",
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Compare models on your own tasks: quality, speed, latency, memory, size, and which to take.

    Every model is measured on every task that it can do, in a process of its own. Differences are
    tested on the same items, and their p values corrected for being many.

    Args:
        models: names, folders or hub ids of embedders, static ones too, cross-encoders (on pairs)
            and classifiers (on labelled texts).
        on: tasks: FILE, TRAIN,TEST or FOLDER; the columns tell what there is to do. Scored pairs;
            labelled pairs; pairs to rank; labelled texts, a train and a test file; or corpus,
            queries and qrels.
        out: folder for compare.json and items.parquet.
        under_ms: tell the best model that answers a single text in so many milliseconds (p95).
        within: tell the smallest model that is at most this share worse than the best.
        speed_texts: how many of the tasks' texts the models are timed with.
        requests: how many requests of 1 and of 32 texts are timed.
        resamples: of the bootstrap; as many as the number of comparisons needs by default.
        seed: of the resamples, and of the texts to time with.
        dtype: auto, bf16 or fp32.
        device: auto, cpu, cuda or mps.
        json_output: print one JSON object on stdout.
    """
    from tenor.errors import TenorError
    from tenor.recipes.compare import CompareConfig, compare_models

    result = compare_models(
        CompareConfig(
            models=models,
            on=tuple(on),
            out=None if out is None else str(out),
            under_ms=under_ms,
            within=within,
            speed_texts=speed_texts,
            requests=requests,
            resamples=resamples,
            seed=seed,
            dtype=dtype,
            device=device,
        )
    )
    if json_output:
        json.dump(result, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        _print(result)
    failed = [one["model"] for one in result["failed"]]
    failed += [
        f"{model['name']} on {task}"
        for model in result["models"]
        for task, figure in model["tasks"].items()
        if "error" in figure
    ]
    if failed:
        raise TenorError(f"not compared, because they failed: {', '.join(failed)}; see above.")


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console()
    for table in (_quality(result), _latencies(result), _costs(result)):
        console.print(table)
    for line in [*_choices(result), *_notes(result)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _quality(result: dict[str, Any]) -> Table:
    """A line for each model, a column for each task; ≈ where no clear difference from the best."""
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    tasks, several = result["tasks"], len(result["tasks"]) > 1
    table = Table(title="quality, 95 % intervals", box=SIMPLE, pad_edge=False)
    table.add_column("model", overflow="fold")
    for task in tasks:
        head = f"{escape(task['name'])}\n{task['kind']}\n{task['metric']}\nn = {task['n']:,}"
        table.add_column(head, justify="right", overflow="fold")
    if several:
        table.add_column("mean", justify="right", overflow="fold")
    for model in result["models"]:
        cells = [_cell(model["tasks"][task["name"]], result, model, task["name"]) for task in tasks]
        if several:
            cells.append(_cell(model["quality"], result, model, None))
        table.add_row(escape(model["name"]), *cells)
    return table


def _cell(
    figure: dict[str, Any] | None, result: dict[str, Any], model: dict[str, Any], task: str | None
) -> str:
    if figure is None or "value" not in figure:
        return "failed" if figure and "error" in figure else "–"
    mark = {"best": " best", "near": " ≈ best"}.get(_standing(result, model["name"], task), "")
    return f"{figure['value']:.4f}{mark}\n{figure['low']:.3f} – {figure['high']:.3f}"


def _standing(result: dict[str, Any], name: str, task: str | None) -> str:
    """Whether a model is the best of a task (or in the mean), not clearly worse, or neither."""

    def value(model: dict[str, Any]) -> float | None:
        figure = model["quality"] if task is None else model["tasks"][task]
        found: float | None = None if figure is None else figure.get("value")
        return found

    values = {one["name"]: value(one) for one in result["models"]}
    known = {one: number for one, number in values.items() if number is not None}
    if len(known) < 2:
        return ""
    top = {one for one, number in known.items() if number == max(known.values())}
    if name in top:
        return "best"
    for row in result["differences"]:
        sides = {row["left"], row["right"]}
        if row["task"] == task and name in sides and sides & top:
            return "near" if row["verdict"] == "no clear difference" else ""
    return ""


def _latencies(result: dict[str, Any]) -> Table:
    """How long a request of one text takes, and one of 32, in milliseconds."""
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="latency, ms a request", box=SIMPLE, pad_edge=False)
    table.add_column("model", overflow="fold")
    for texts in ("one text", "32 texts"):
        for head in (f"{texts}\np50", "\np95", "\np99"):
            table.add_column(head, justify="right", overflow="fold")
    for model in result["models"]:
        values = [
            model["latency"][batch][f"{share}_ms"]
            for batch in ("1", "32")
            for share in ("p50", "p95", "p99")
        ]
        cells = (f"{value:.2f}" if value < 10 else f"{value:,.0f}" for value in values)
        table.add_row(escape(model["name"]), *cells)
    return table


def _costs(result: dict[str, Any]) -> Table:
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="cost", box=SIMPLE, pad_edge=False)
    table.add_column("model", overflow="fold")
    for head in (
        "texts/s",
        "peak\nmemory",
        "on disk",
        "dimen-\nsions",
        "Pareto front of\nquality and",
    ):
        table.add_column(head, justify="right", overflow="fold")
    front = result["choices"]["pareto"]
    for model in result["models"]:
        name, memory = model["name"], model["memory"]
        on = [COST_NAMES[cost] for cost, names in front.items() if name in names]
        pairs = " (pairs)" if model["speed"]["unit"] == "pairs" else ""
        table.add_row(
            escape(name),
            f"{model['speed']['per_second']:,.0f}{pairs}",
            _bytes(memory.get("gpu_peak_bytes") or memory["peak_bytes"]),
            _bytes(model["size_bytes"]),
            "–" if model["dimensions"] is None else str(model["dimensions"]),
            "every cost" if len(on) == len(front) else ", ".join(on) or "–",
        )
    return table


def _bytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB" if count < 10 * 2**30 else f"{count / 2**30:,.1f} GiB"


def _choices(result: dict[str, Any]) -> list[str]:
    chosen = result["choices"]
    if chosen["best"] is None:
        return ["No model was measured on every task: there is no best one."]
    under, within = chosen["best_under"], chosen["smallest_within"]
    what = "mean of the tasks" if len(result["tasks"]) > 1 else result["tasks"][0]["metric"]
    return [
        f"best ({what}): {chosen['best']}",
        f"best with one text in {under['milliseconds']:g} ms (p95): {under['model'] or 'none'}",
        f"smallest on disk within {100 * within['share']:g} % of the best: {within['model']}",
    ]


def _notes(result: dict[str, Any]) -> list[str]:
    """What cells without a figure mean, clear differences, and where the rest is."""
    from tenor.recipes.report_compare import machine_name

    lines = []
    for model in result["models"]:
        for name, figure in model["tasks"].items():
            if "error" in figure:
                lines.append(f"{model['name']} on {name} failed: {figure['error']}")
            elif "not_measured" in figure:
                lines.append(f"– {model['name']} on {name}: {figure['not_measured']}")
    rows = result["differences"]
    clear = sum(row["verdict"] != "no clear difference" for row in rows)
    if rows:
        lines.append(
            f"{clear} of {len(rows)} differences are clear (paired bootstrap, "
            f"{result['resamples']:,} resamples, p < 0.05 after Holm's correction)"
        )
    for one in result["failed"]:
        lines.append(f"failed: {one['model']}: {one['error']}")
    lines.append(f"on {machine_name(result['machine'])}")
    return lines
