"""The command that runs published experiments again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

__all__ = ["add_to", "reproduce"]


def add_to(app: App) -> None:
    """Add the command `reproduce`.

    Args:
        app: the application.
    """
    app.command(reproduce)


def reproduce(
    name: str | None = None,
    /,
    *,
    listed: Annotated[bool, Parameter(name="--list", negative="")] = False,
    out: Path | None = None,
    model: str | None = None,
    data: Path | None = None,
    max_steps: int | None = None,
    max_rows: int | None = None,
    device: str = "auto",
    dtype: str = "auto",
    seed: int = 0,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Run a published experiment, and show its figures beside those published.

    Args:
        name: of the experiment; --list shows them.
        listed: show the experiments, their published figures and what was measured here.
        out: folder for its data and its runs; runs/reproduce/NAME by default.
        model: to start from instead of the published one, which the hub has.
        data: folder with the data sets as NAME/SPLIT.parquet; those of the hub by default.
        max_steps: of each training loop, for a try.
        max_rows: of each file to train on, for a try.
        device: auto, cpu, cuda or mps.
        dtype: auto, bf16 or fp32.
        seed: decides the batches, the dropout and new layers.
        json_output: print one JSON object on stdout.
    """
    from tenor.errors import ConfigError

    if listed or name is None:
        if name is not None:
            raise ConfigError("list", True, "left out with the name of an experiment")
        if not listed:
            raise ConfigError("name", None, "an experiment; see tenor reproduce --list")
        _list(as_json=json_output)
        return
    from tenor.recipes.reproduce import ReproduceConfig
    from tenor.recipes.reproduce import reproduce as run

    result = run(
        ReproduceConfig(
            experiment=name,
            out=None if out is None else str(out),
            model=model,
            data=None if data is None else str(data),
            max_steps=max_steps,
            max_rows=max_rows,
            device=device,
            dtype=dtype,
            seed=seed,
        )
    )
    if json_output:
        json.dump(result, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        _print(result)


def _list(*, as_json: bool) -> None:
    from dataclasses import asdict

    from tenor.recipes.experiments import experiments, measured_here

    known, measured = experiments(), measured_here()
    if as_json:
        said = {name: {**asdict(one), "measured": measured.get(name, [])}
                for name, one in known.items()}  # fmt: skip
        json.dump(said, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    for name, one in known.items():
        console.print(f"[bold]{name}[/bold]  {escape(one.title)}", highlight=False)
        published = ", ".join(f"{key} {value:g}" for key, value in one.published.items())
        model = one.model.rpartition("/")[2]
        lines = [f"published: {published or 'no figure named'} ({model}, {one.on})"]
        lines += [f"measured here: {_measured(entry)}" for entry in measured.get(name, [])]
        if len(lines) == 1:
            lines.append("measured here: not measured yet")
        for line in lines:
            console.print(f"  {line}", highlight=False, markup=False)


def _measured(entry: dict[str, Any]) -> str:
    spread = entry.get("spread", {})
    figures = ", ".join(
        f"{name} {value:.4f}" + (f" ± {spread[name]:.4f}" if name in spread else "")
        for name, value in entry["figures"].items()
    )
    partly = "" if entry["complete"] else "; not the whole experiment"
    return (
        f"{figures} ({entry['model']}, {entry['on']}; {entry['how']}{partly}; {entry['source']}, "
        f"commit {entry['commit']})"
    )


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "published", "here", title=result["title"])
    names = [*result["published"], *(n for n in result["figures"] if n not in result["published"])]
    for name in names:
        published, here = result["published"].get(name), result["figures"].get(name)
        table.add_row(
            name,
            "–" if published is None else f"{published:.4g}",
            "–" if here is None else f"{here:.4f}",
        )
    console = Console()
    console.print(table)
    console.print(f"on {result['on']}, from {result['model']}", highlight=False, markup=False)
    if not result["complete"]:
        console.print(
            f"not as published ({result['published_model']}, all steps and rows): the figures do "
            "not compare",
            highlight=False,
            markup=False,
        )
