"""The commands that learn from raw text alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tenor.cli.output import AsJson, print_run
from tenor.recipes.mlm import MlmConfig
from tenor.recipes.tsdae import TsdaeConfig

__all__ = ["mlm", "tsdae"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def tsdae(
    settings: Annotated[TsdaeConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Make an embedder of a plain encoder and raw text, by rebuilding damaged texts (TSDAE)."""
    from tenor.recipes.tsdae import train_tsdae

    print_run(train_tsdae(settings), as_json=json_output)


def mlm(
    settings: Annotated[MlmConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Make an encoder of a domain's raw text, by predicting masked tokens."""
    from tenor.recipes.mlm import train_mlm

    print_run(train_mlm(settings), as_json=json_output)
