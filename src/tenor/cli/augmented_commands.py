"""The command of Augmented SBERT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tenor.cli.output import AsJson, print_run
from tenor.recipes.augmented import AugmentedConfig

__all__ = ["augmented"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def augmented(
    settings: Annotated[AugmentedConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Train an embedder on few labelled pairs and many that a cross-encoder labels.

    A cross-encoder learns the gold pairs and labels pairs of the pool's texts (silver pairs); the
    embedder learns both. The same embedder is trained on the gold pairs alone with as many updates,
    and the better of the two is kept.
    """
    from tenor.recipes.augmented import train_augmented

    print_run(train_augmented(settings), as_json=json_output)
