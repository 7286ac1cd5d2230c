"""The commands of taggers: training one, and measuring one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tenor.cli.output import AsJson, print_run
from tenor.recipes.tagger import TaggerConfig

if TYPE_CHECKING:
    from tenor.evaluation.tagging import TaggingResult

__all__ = ["add_to", "tagger", "tagging"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def add_to(train: App, evaluate: App) -> None:
    """Add the commands `train tagger` and `evaluate tagging`.

    Args:
        train: the group of recipes.
        evaluate: the group of evaluations.
    """
    train.command(tagger)
    evaluate.command(tagging)


def tagger(
    settings: Annotated[TaggerConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Train a tagger (named-entity recognition) on tagged words or on spans in texts."""
    from tenor.recipes.tagger import train_tagger

    print_run(train_tagger(settings), as_json=json_output)


def tagging(
    model: str,
    file: str,
    /,
    *,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    columns: dict[str, str] | None = None,
    label_names: str | None = None,
    examples: int = 3,
    max_seq_length: int | None = None,
    dtype: str = "auto",
    on_bad_row: str = "error",
) -> None:
    """Measure a tagger: precision, recall and F1 of spans, type by type, and its kinds of errors.

    Args:
        model: a name, folder or hub id of a tagger.
        file: jsonl, json or Parquet with tokens and ner_tags or with text and spans; or CoNLL
            columns (any other suffix).
        json_output: print one JSON object on stdout.
        columns: role (tokens, tags, text, spans) = column of the file, where columns are not named
            as usual.
        label_names: file with the names of tags that are numbers, in their order, one a line.
        examples: how many errors of each kind to show.
        max_seq_length: tokens of a window; the model's own limit by default.
        dtype: auto, bf16 or fp32.
        on_bad_row: error, or skip.
    """
    import json
    import sys
    from dataclasses import replace

    from tenor.data.tagging import read_tagged
    from tenor.errors import ConfigError
    from tenor.evaluation.tagging import SpanEvaluation
    from tenor.models.tagger import Tagger

    if examples < 0:
        raise ConfigError("examples", examples, "0 or more")
    table = read_tagged(
        file,
        columns=columns,
        label_names=label_names,
        on_bad_row=on_bad_row,  # type: ignore[arg-type]
    )
    print(table.describe(), file=sys.stderr)
    loaded = Tagger.load(model, dtype=dtype, max_seq_length=max_seq_length)
    report = SpanEvaluation(table).report(loaded)
    named = {"name": loaded.name, "sha256": loaded.sha256 or ""}
    result = replace(report.result, model=named)
    shown = report.examples(examples)
    if json_output:
        json.dump({**result.to_json(), "examples": shown}, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        _print(result, shown)


def _print(result: TaggingResult, examples: dict[str, list[dict[str, Any]]]) -> None:
    """Tables: averages with their intervals, types, errors; and examples of these."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    parts = ("precision", "recall", "f1")
    table = Table("", *parts, "spans", "found", title=escape(result.model["name"]))
    rows = {"all spans": "", "mean over types": "macro_", "weighted mean": "weighted_"}
    for words, kind in rows.items():
        names = [f"{kind}{part}" for part in parts]
        table.add_row(words, *(_figure(result.metrics[n], result.intervals[n]) for n in names))
    table.add_section()
    for row in result.per_type:
        figures = [_figure(row[part], row[f"{part}_interval"]) for part in parts]
        table.add_row(escape(row["type"]), *figures, f"{row['spans']:,}", f"{row['found']:,}")
    console.print(table)
    for name, note in result.notes.items():
        console.print(f"{name.replace('_', ' ')}: {note}")
    for kind, errors in examples.items():
        for error in errors:
            gold, found = (_words(error[side]) for side in ("gold", "found"))
            console.print(
                escape(f"{kind.replace('_', ' ')}, line {error['line']}: {gold} → {found}")
            )
    console.print(f"n = {result.n:,} texts; {result.seconds:.1f} s")


def _figure(value: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"{value:.4f} ({low:.4f} to {high:.4f})"


def _words(span: dict[str, Any] | None) -> str:
    return "nothing" if span is None else f"{span['label']} {span['text']!r}"
