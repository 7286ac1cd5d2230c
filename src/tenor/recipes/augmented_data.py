"""What Augmented SBERT reads: gold pairs, the pool, and the pairs that models are compared on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenor.data.pool import Pool, read_pool
from tenor.data.prepare import hold_out
from tenor.data.schema import PairTable, read_pairs
from tenor.errors import ConfigError, DataError
from tenor.recipes.augmented import AugmentedConfig
from tenor.recipes.settings import split_seed_of
from tenor.recipes.stages import write_rows
from tenor.recipes.tell import tell

__all__ = ["AugmentedData", "read_data"]

HARD_LOSSES = ("contrastive", "online-contrastive")


@dataclass(frozen=True, eq=False)
class AugmentedData:
    """All that is read before anything is trained.

    Args:
        gold: the labelled pairs to train on.
        validation: held-out rows that choose.
        test: held-out rows that choose nothing, or `None`.
        pool: the unlabelled texts.
        gold_path: file of the gold pairs to train on, as they are in `gold`.
        validation_path: file of the held-out rows.
        fingerprint: hash of all files read.
    """

    gold: PairTable
    validation: PairTable
    test: PairTable | None
    pool: Pool
    gold_path: str
    validation_path: str
    fingerprint: str

    @property
    def gold_notes(self) -> dict[str, Any]:
        """What result.json says of the gold pairs."""
        return {
            "path": self.gold.path, "sha256": self.gold.sha256, "kind": self.gold.kind,
            "pairs": len(self.gold), "skipped": len(self.gold.skipped),
        }  # fmt: skip

    @property
    def pool_notes(self) -> dict[str, Any]:
        """What result.json says of the pool."""
        return {
            "path": self.pool.path, "sha256": self.pool.sha256,
            "columns": list(self.pool.columns), **self.pool.notes, "distinct": len(self.pool),
        }  # fmt: skip

    def gold_and(self, silver: PairTable, share: float) -> PairTable:
        """Gold and silver pairs in one table, of the kind that the silver pairs have.

        Args:
            silver: the silver pairs.
            share: the gold pairs are repeated until at least this share of the rows is gold.
        """
        assert self.gold.target is not None and silver.target is not None
        wanted = share / (1 - share) * len(silver)
        repeats = max(1, math.ceil(wanted / len(self.gold)))
        gold = np.asarray(self.gold.target, dtype=silver.target.dtype)
        return replace(
            silver,
            columns={
                name: self.gold.columns[name] * repeats + texts
                for name, texts in silver.columns.items()
            },
            target=np.concatenate([np.tile(gold, repeats), silver.target]),
            lines=np.concatenate([np.tile(self.gold.lines, repeats), silver.lines]),
        )


def read_data(config: AugmentedConfig, folder: Path) -> AugmentedData:
    """Read and check every file; write the gold pairs that are trained on into the run's folder.

    Raises:
        DataError: for a file that cannot be used.
        ConfigError: for a loss that does not suit the gold labels.
    """

    def read(name: str, kinds: Sequence[str], wanted: str) -> PairTable:
        path = getattr(config, name)
        table = read_pairs(path, columns=config.columns, on_bad_row=config.on_bad_row)  # type: ignore[arg-type]
        if table.kind not in kinds:
            raise DataError(f"holds {table.kind.replace('_', ' ')}; {wanted}.", path=path)
        return table

    labelled = ("scored", "labelled_pairs")
    gold = read("gold", labelled, "gold pairs are needed: sentence1, sentence2 and score or label")
    if config.loss in HARD_LOSSES and gold.kind != "labelled_pairs":
        raise ConfigError(
            "loss", config.loss, "cosine, cosent or mnr, as the gold pairs are scored"
        )
    held_kinds = (*labelled, "pairs", "triplets")
    wanted = "pairs to compare the models on are needed"
    if config.validation is None:
        gold, validation = hold_out(gold, config.hold_out, split_seed_of(config))
        tell(f"no validation file: {len(validation):,} of the gold pairs are held out to choose by")
    else:
        validation = read("validation", held_kinds, wanted)
    test = None if config.test is None else read("test", held_kinds, wanted)
    pool = read_pool(config.pool, columns=config.pool_columns, on_bad_row=config.on_bad_row)  # type: ignore[arg-type]
    tell(f"{gold.path}: {len(gold):,} gold pairs to train on, {gold.kind.replace('_', ' ')}")
    tell(
        f"{pool.path}: {len(pool):,} different texts in {', '.join(pool.columns)} "
        f"({pool.notes['repeats']:,} repeats and {pool.notes['empty']:,} empty ones left out)"
    )
    paths = [folder / "gold.parquet", folder / "validation.parquet"]
    for table, path in zip((gold, validation), paths, strict=True):
        write_rows(table, path)
    hashes = [gold.sha256, validation.sha256, pool.sha256, "" if test is None else test.sha256]
    return AugmentedData(
        gold=gold,
        validation=validation,
        test=test,
        pool=pool,
        gold_path=str(paths[0]),
        validation_path=str(paths[1]),
        fingerprint=hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
    )
