"""The command that measures a model on MTEB's tasks, or on local data as such tasks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from tenor.models.cross_encoder import CrossEncoder
    from tenor.models.embedder import Embedder

__all__ = ["add_to", "mteb"]

Flag = Annotated[bool, Parameter(negative="")]


def add_to(evaluate: App) -> None:
    """Add the command `evaluate mteb`.

    Args:
        evaluate: the group of evaluations.
    """
    evaluate.command(mteb)


def mteb(
    model: str,
    /,
    *,
    task: list[str] | None = None,
    data: Path | None = None,
    rerank: str | None = None,
    candidates: int = 100,
    out: Path | None = None,
    overwrite: Flag = False,
    name: str | None = None,
    revision: str | None = None,
    language: str = "eng-Latn",
    max_seq_length: int | None = None,
    dtype: str = "auto",
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Measure a model on tasks of MTEB, or on data of your own as such tasks (extra `mteb`).

    A task's data come from the Hugging Face hub; those in `--data` need no network.

    Args:
        model: a name, folder or hub id of an embedder, static or not, or of a cross-encoder.
        task: a task or benchmark of mteb, or one in `--data`; give it again for more. All tasks in
            `--data` by default.
        data: folder with corpus, queries and qrels, or with test (and train) files; or a folder
            of such folders.
        rerank: a cross-encoder that orders the best documents of retrieval tasks anew.
        candidates: how many of each query's documents it reads.
        out: folder for results in mteb's format; what is stored there of the same weights, settings
            and data is not measured again.
        overwrite: measure again what is stored.
        name: organisation/model to store results under; the model's own by default.
        revision: to store results under, noting beside them whose they are; a hash of weights and
            settings by default.
        language: of the texts in `--data`, as mteb writes it.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        dtype: auto, bf16 or fp32.
        json_output: print one JSON object on stdout.
    """
    from tenor.errors import TenorError
    from tenor.evaluation.mteb import evaluate_mteb
    from tenor.evaluation.mteb_tasks import mteb_library

    mteb_library()  # before a model is loaded in vain
    result = evaluate_mteb(
        _load(model, dtype, max_seq_length),
        task or (),
        data=data,
        rerank=None if rerank is None else _load_reranker(rerank, dtype),
        candidates=candidates,
        out=out,
        overwrite=overwrite,
        name=name,
        revision=revision,
        language=language,
    )
    if json_output:
        json.dump(result, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        _print(result)
    if result["failed"]:
        names = ", ".join(one["task"] for one in result["failed"])
        raise TenorError(f"not measured: {names}; see above.")


def _load(model: str, dtype: str, max_seq_length: int | None) -> Embedder | CrossEncoder:
    from tenor.errors import ModelError
    from tenor.formats.locate import locate
    from tenor.formats.model_kind import model_kind
    from tenor.models.cross_encoder import CrossEncoder
    from tenor.models.embedder import Embedder

    kind = model_kind(locate(model))
    if kind in ("classifier", "tagger"):
        raise ModelError(
            f"{model} is a {kind}; mteb measures embedders and cross-encoders. Measure it with "
            f"`tenor evaluate {'tagging' if kind == 'tagger' else 'classification'}`."
        )
    if kind == "cross-encoder":
        return CrossEncoder.load(model, dtype=dtype, max_seq_length=max_seq_length)
    return Embedder.load(model, dtype=dtype, max_seq_length=max_seq_length)


def _load_reranker(model: str, dtype: str) -> CrossEncoder:
    from tenor.errors import ConfigError
    from tenor.formats.locate import locate
    from tenor.formats.model_kind import model_kind
    from tenor.models.cross_encoder import CrossEncoder

    if model_kind(locate(model)) != "cross-encoder":
        raise ConfigError("rerank", model, "a cross-encoder")
    return CrossEncoder.load(model, dtype=dtype)


def _print(result: dict[str, Any]) -> None:
    """A line for each task."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("task", "type", "metric", title=escape(result["model"]["name"]))
    for column in ("score", "time"):
        table.add_column(column, justify="right")
    for row in result["tasks"]:
        how = "stored before" if row["reused"] else f"{row['seconds']:.1f} s"
        table.add_row(escape(row["task"]), row["type"], row["metric"], f"{row['score']:.4f}", how)
    if len(result["tasks"]) > 1:
        table.add_section()
        table.add_row("mean", "", "", f"{result['mean']:.4f}", "")
    console = Console()
    console.print(table)
    console.print(
        f"mteb {result['mteb']}; {result['truncated']:,} texts truncated", highlight=False
    )
    if result["results"] is not None:
        console.print(f"results: {escape(result['results'])}", highlight=False, soft_wrap=True)
