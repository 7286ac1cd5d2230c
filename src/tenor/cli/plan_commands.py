"""The commands that tell what to do before anything is trained, and that do it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tenor.recipes.auto import AutoSettings
from tenor.recipes.plan import PlanSettings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["add_to", "auto", "plan"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]
STOPPED = {"stop_below": "hopeless, stopped early", "max_minutes": "the time was over"}
SHOWN = 3  # languages of a file that the table shows
MARKS = {"problem": ("✗", "red"), "warning": ("!", "yellow"), "note": ("·", "dim")}


def add_to(app: App) -> None:
    """Add the commands `plan` and `auto`.

    Args:
        app: the application.
    """
    app.command(plan)
    app.command(auto)


def plan(
    *files: str,
    settings: Annotated[PlanSettings | None, Parameter(name="*")] = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Config = None,
) -> None:
    """Look at your data: what is in it, what is wrong with it, which recipe to run, how long.

    Nothing is trained or written. A sample is embedded and a few training steps are tried, which
    takes about half a minute; the commands it gives can be pasted as they are.

    Args:
        files: files, hub data sets, or folders, which stand for the files in them; one with corpus,
            queries and qrels is a retrieval task.
        json_output: print one JSON object on stdout.
    """
    from tenor.recipes.plan import PlanConfig, make_plan

    found = make_plan(PlanConfig(files=files, **asdict(settings or PlanSettings())))
    if json_output:
        json.dump(found, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    from rich.console import Console

    # What stands between colons or brackets in a label or a path is neither emoji nor markup.
    _print(found, Console(highlight=False, emoji=False))


def _print(found: dict[str, Any], console: Console) -> None:
    console.print(_files(found))
    if found["findings"]:
        console.print("[bold]To look at first[/]" if _serious(found) else "[bold]To know[/]")
    for finding in found["findings"]:
        mark, colour = MARKS[finding["severity"]]
        _line(console, f"[{colour}]{mark} {finding['code']}[/] ", f"{finding['path']}: ", finding)
    console.print()
    console.print(
        "[bold]What fits, in this order[/]" if found["recipes"] else "[bold]Nothing fits[/]"
    )
    for number, recipe in enumerate(found["recipes"], start=1):
        takes = f" ({recipe['takes']})" if recipe["takes"] else ""
        console.print(f"[bold]{number}. {recipe['title']}[/]{takes}")
        console.print(f"   {recipe['why']}", markup=False)
        for command in recipe["commands"]:
            # Not wrapped: a command is for pasting.
            console.print(f"     {command}", markup=False, soft_wrap=True, style="cyan")
    if found["unfit"]:
        console.print()
        console.print("[bold]What will not work here[/]")
    for unfit in found["unfit"]:
        console.print(f"- {unfit['name']}: {unfit['why']}.", markup=False)


def _line(console: Console, head: str, path: str, finding: dict[str, Any]) -> None:
    from rich.markup import escape

    console.print(f"{head}{escape(path + finding['message'])}")


def _serious(found: dict[str, Any]) -> bool:
    return any(finding["severity"] != "note" for finding in found["findings"])


def _files(found: dict[str, Any]) -> Table:
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    model = found["model"]
    within, names = _short_names([each["path"] for each in found["files"]])
    title = escape(f"{within or 'files'}, for {model['name']}")
    table = Table(box=SIMPLE, pad_edge=False, title=title, title_justify="left")
    for column, justify in (
        ("file", "left"), ("holds", "left"), ("rows", "right"), ("classes, scores", "left"),
        ("tokens a text", "left"), ("cut", "right"),
    ):  # fmt: skip
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for each, name in zip(found["files"], names, strict=True):
        split = f"\n({each['split']})" if each["split"] else ""
        tokens = each["tokens"].items()
        named = len(each["tokens"]) > 1
        table.add_row(
            escape(name),
            each["shape"].replace("_", " ") + split + _languages(each["languages"]),
            f"{each['rows']:,}",
            escape(_targets(each)),
            "\n".join(
                f"{column + ': ' if named else ''}{facts['tokens']['median']} "
                f"(95 %: {facts['tokens']['high']:,})"
                for column, facts in tokens
            ),
            "\n".join(f"{facts['cut']:.1%}" for _, facts in tokens),
        )
    table.caption = f"the model reads {model['limit']} tokens of a text"
    table.caption_justify = "left"
    return table


def _languages(mix: dict[str, float]) -> str:
    """The languages that most texts are in; nothing where none can be told."""
    from tenor.data.languages import told_shares

    told = [f"{code} {share:.0%}" for code, share in list(told_shares(mix).items())[:SHOWN]
            if share >= 0.01]  # fmt: skip
    return "\n" + ", ".join(told) if told else ""


def _short_names(paths: list[str]) -> tuple[str, list[str]]:
    """The folder that all files are in, and their names inside it."""
    if len(paths) < 2:
        return "", paths
    folders = [path if Path(path).is_dir() else str(Path(path).parent) for path in paths]
    within = Path(folders[0])
    if any(Path(folder) != within for folder in folders):
        return "", paths
    return str(within), [Path(path).name for path in paths]


def _targets(each: dict[str, Any]) -> str:
    scores, classes = each["scores"], each["classes"]
    if scores:
        return f"mean {scores['mean']:.2f} of 0 to 1"
    if not classes:
        return ""
    counts = list(classes.values())
    what = "types" if each["shape"] == "tagged" else "labels"
    if len(counts) <= 3:
        return ", ".join(f"{name} {count:,}" for name, count in classes.items())
    return f"{len(counts):,} {what}, {min(counts):,} to {max(counts):,} each"


def auto(
    folder: str,
    /,
    *,
    settings: Annotated[AutoSettings | None, Parameter(name="*")] = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Config = None,
) -> None:
    """Train the best model that a time budget allows: try, choose by validation, confirm once.

    Recipes that fit are tried cheapest first on the same split; the hopeless stop early, and the
    best by the validation data is measured on the test data and kept. Stopped and started again it
    goes on.

    Args:
        folder: with train, validation (or dev) and test files; what is missing is split off the
            training rows. A single file will do.
        json_output: print one JSON object on stdout.
    """
    from tenor.recipes.auto import AutoConfig
    from tenor.recipes.auto import auto as run

    result = run(AutoConfig(folder=folder, **asdict(settings or AutoSettings())))
    if json_output:
        json.dump(result, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    from rich.console import Console

    Console(emoji=False).print(_candidates(result))


def _candidates(result: dict[str, Any]) -> Table:
    """A line for each candidate, the best first."""
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    metric = result["validation"]["metric"]
    table = Table(title="tried, figures on the validation data", box=SIMPLE, pad_edge=False)
    for column in ("candidate", metric, "95 % interval", "steps", "time", ""):
        table.add_column(column, justify="left" if column in ("candidate", "") else "right")
    for each in result["candidates"]:
        done = each["value"] is not None
        interval = "{:.4f} to {:.4f}".format(*each["interval"]) if done else ""
        why = each["why"] or STOPPED.get(each["stopped"], "")
        table.add_row(
            each["name"],
            f"{each['value']:.4f}" if done else "",
            interval,
            f"{each['steps']:,}" if each["steps"] else "",
            f"{each['seconds']:.0f} s" if each["seconds"] else "",
            "kept" if each["name"] == result["kept"] else escape(why),
        )
    return table
