"""The commands of cross-encoders: training one, and measuring one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tenor.cli.output import AsJson, print_run
from tenor.recipes.cross_encoder import CrossEncoderConfig

__all__ = ["cross_encoder", "pairs"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def cross_encoder(
    settings: Annotated[CrossEncoderConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Train a cross-encoder on scored or labelled pairs, or on pairs and triplets to rank."""
    from tenor.recipes.cross_encoder import train_cross_encoder

    print_run(train_cross_encoder(settings), as_json=json_output)


def pairs(
    model: str,
    file: str,
    /,
    *,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    columns: dict[str, str] | None = None,
    max_seq_length: int | None = None,
    dtype: str = "auto",
    on_bad_row: str = "error",
) -> None:
    """Measure a cross-encoder: correlations for scores, average precision, accuracy or ranking.

    Args:
        model: a name, folder or hub id of a cross-encoder.
        file: sentence1, sentence2 with score or label; premise, hypothesis, label; or anchor,
            positive and negatives.
        json_output: print one JSON object on stdout.
        columns: role = column of the file, where columns are not named as usual.
        max_seq_length: tokens of a pair that count; the model's own limit by default.
        dtype: auto, bf16 or fp32.
        on_bad_row: error, or skip.
    """
    from dataclasses import replace

    from tenor.cli.output import print_result
    from tenor.data.schema import read_pairs
    from tenor.evaluation.pairs import pair_evaluation
    from tenor.models.cross_encoder import CrossEncoder

    table = read_pairs(file, columns=columns, on_bad_row=on_bad_row)  # type: ignore[arg-type]
    measure, _ = pair_evaluation(table)
    loaded = CrossEncoder.load(model, dtype=dtype, max_seq_length=max_seq_length)
    result = measure(loaded)
    named = replace(result, model={"name": loaded.name, "sha256": loaded.sha256 or ""})
    print_result(named, as_json=json_output)
