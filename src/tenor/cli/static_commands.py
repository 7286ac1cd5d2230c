"""Commands that make static embedders, and the words nearest to a word."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tenor.cli.output import AsJson, print_run
from tenor.recipes.distill import DistillConfig
from tenor.recipes.word2vec import Word2VecConfig

__all__ = ["add_to", "distill", "neighbours", "word2vec"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def add_to(app: App, train: App) -> None:
    """Add the commands `train word2vec`, `distill` and `neighbours`.

    Args:
        app: the application.
        train: its group of recipes.
    """
    train.command(word2vec)
    app.command(distill)
    app.command(neighbours)


def word2vec(
    settings: Annotated[Word2VecConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Train word vectors on raw text, pooled into a static embedder."""
    from tenor.recipes.word2vec import train_word2vec

    print_run(train_word2vec(settings), as_json=json_output)


def distill(
    teacher: Annotated[str | None, Parameter(name="MODEL")] = None,
    /,
    *,
    settings: Annotated[DistillConfig, Parameter(name="*")],
    config: Config = None,
) -> None:
    """Make a static embedder of any embedder: far faster, with the quality lost measured.

    Args:
        teacher: embedder to distil: a name, folder or hub id; --model says the same.
        settings: of the distillation.
        config: TOML file with any of these settings; flags go before it.
    """
    from tenor.recipes.distill import distill as run

    run(settings if teacher is None else replace(settings, model=teacher))


def neighbours(
    model: str,
    text: str,
    /,
    *,
    minus: str = "",
    count: int = 10,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Show the words whose vectors are nearest to those of a word, in a static embedder.

    Args:
        model: a name, folder or hub id.
        text: a word, or several, of which the mean counts.
        minus: words to take away: `neighbours MODEL "king woman" --minus man`.
        count: how many words to show.
        json_output: print one JSON object on stdout.
    """
    from tenor.models.static import StaticEmbedder

    found = StaticEmbedder.load(model).neighbours(text, minus=minus, count=count)
    if json_output:
        words = [{"word": word, "cosine": cosine} for word, cosine in found]
        json.dump({"text": text, "minus": minus, "neighbours": words}, sys.stdout)
        sys.stdout.write("\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("word", "cosine")
    for word, cosine in found:
        table.add_row(word, f"{cosine:.4f}")
    Console().print(table)
