"""The command of Augmented SBERT."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tenor.recipes.augmented import AugmentedConfig

__all__ = ["augmented"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def augmented(
    settings: Annotated[AugmentedConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Train an embedder on few labelled pairs and many that a cross-encoder labels.

    A cross-encoder learns the gold pairs and labels pairs of the pool's texts (silver pairs); the
    embedder learns both. The same embedder is trained on the gold pairs alone with as many updates,
    and the better of the two is kept.
    """
    from tenor.recipes.augmented import train_augmented

    result = train_augmented(settings)
    if json_output:
        json.dump(result, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
