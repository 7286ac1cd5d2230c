"""The commands of few-shot classification: training, and reading what SetFit saved."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tenor.cli.output import AsJson, print_run
from tenor.recipes.few_shot import FewShotConfig

__all__ = ["add_to", "convert_setfit", "few_shot"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def add_to(app: App, train: App) -> None:
    """Add the commands `train few-shot` and `convert-setfit`.

    Args:
        app: the application.
        train: its group of recipes.
    """
    train.command(few_shot)
    app.command(convert_setfit)


def few_shot(
    settings: Annotated[FewShotConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Train a classifier on a few texts a class (8 to 64): contrastive training, then a head.

    It is measured beside a head on the untouched embedder. `--labels-as-text` adds the names of the
    labels; `--labels sport,science` learns from names alone; `--unlabelled FILE` lets the trained
    model label further texts for a student.
    """
    from tenor.recipes.few_shot import train_few_shot

    print_run(train_few_shot(settings), as_json=json_output)


def convert_setfit(
    model: Path,
    /,
    *,
    out: Path,
    allow_pickle: Annotated[bool, Parameter(negative="")] = False,
    dtype: str = "auto",
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Make a classifier without pickled parts of a folder that SetFit saved.

    Args:
        model: SetFit's folder, with model_head.pkl.
        out: folder of the new classifier, which every other command takes.
        allow_pickle: open the pickled head. Only numbers of a linear classifier are taken from it,
            nothing in it is run, and anything else in it is refused.
        dtype: auto, bf16 or fp32.
        json_output: print one JSON object on stdout.
    """
    from tenor.formats.locate import hash_model
    from tenor.models.setfit import load_setfit, save_setfit
    from tenor.recipes.tell import tell

    loaded = load_setfit(model, allow_pickle=allow_pickle, dtype=dtype)
    save_setfit(loaded, out)
    tell(f"saved {out}: {len(loaded.labels):,} labels")
    if json_output:
        found = {
            "model": {"path": str(out), "sha256": hash_model(out)},
            "labels": list(loaded.labels),
            "multi_label": loaded.multi_label,
        }
        json.dump(found, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
