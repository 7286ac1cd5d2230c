"""What an adaptation reads, all of it before anything is trained or written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenor.data.corpus import Corpus, read_corpus
from tenor.data.loss_choice import check_loss, choose_loss
from tenor.data.prepare import prepare, take
from tenor.data.schema import PairTable, read_pairs
from tenor.errors import DataError
from tenor.evaluation.beir import read_beir
from tenor.recipes.adapt import SELF_LABELLED, AdaptConfig
from tenor.recipes.adapt_held_out import HeldOut
from tenor.recipes.adapt_plan import AdaptPlan
from tenor.recipes.tell import tell

__all__ = ["GOLD_KINDS", "AdaptInputs", "read_inputs"]

GOLD_KINDS = ("scored", "labelled_pairs")
BATCH_SIZES = {"tsdae": 8, "mlm": 32}  # as the recipes have them; 64 for all others


@dataclass(eq=False)
class AdaptInputs:
    """All that is read.

    Attributes:
        held_out: what every model is measured on.
        corpus: the distinct raw texts; a sample of them where so many were not wanted.
        sampled: whether it is one.
        tables: labelled rows by name: pairs, gold, validation.
        validation_folder: a retrieval task, where that is what validation names.
        loss: of the stage contrastive, and why.
        rows: what the stage contrastive makes of the pairs.
        left_out: rows that gave evaluation rows away, by name.
        overlap: how much of the held-out data stands in the other files, in words, by name.
        notes: what result.json says of each file.
        hashes: SHA-256 of each file, by its path.
    """

    held_out: HeldOut
    corpus: Corpus
    sampled: bool = False
    tables: dict[str, PairTable] = field(default_factory=dict)
    validation_folder: str | None = None
    loss: tuple[str, str] = ("", "")
    rows: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    overlap: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, path: str, sha256: str, **facts: Any) -> None:
        """Remember a file."""
        self.hashes[path] = sha256
        self.notes[name] = {"path": path, "sha256": sha256, **facts}

    def record(self) -> dict[str, Any]:
        """What result.json says of the data."""
        return {"data": self.notes, "overlap": self.overlap, "left_out": self.left_out}

    def describe(self, config: AdaptConfig, plan: AdaptPlan) -> list[str]:
        """A line for each stage: what it works on, and how long that is; then what is measured."""
        names = plan.stages + plan.ablation
        folders = plan.folders + plan.ablation_folders
        work = [
            f"{at}: {self._work(config, name)}" for at, name in zip(folders, names, strict=True)
        ]
        measured = f"the untouched model and each of these: {self.held_out.describe()}"
        return [*work, f"measured, {measured}"]

    def _work(self, config: AdaptConfig, stage: str) -> str:
        texts = f"{len(self.corpus.texts):,} texts of {self.corpus.path}"
        if stage == "augmented":
            gold = self.tables["gold"]
            return f"{len(gold):,} gold pairs of {gold.path}, then pairs among {texts}"
        if stage == "contrastive":
            pairs = self.tables["pairs"]
            size = config.supervised_batch_size or 64
            steps = config.supervised_epochs * -(-self.rows // size)
            loss, why = self.loss
            return (
                f"{len(pairs):,} rows of {pairs.path}, about {steps:,} steps of {size}, "
                f"loss {loss} ({why})"
            )
        size = config.unsupervised_batch_size or BATCH_SIZES.get(stage, 64)
        if stage in SELF_LABELLED and stage != "simcse":
            return f"pairs made of {texts}, in steps of {size}"
        steps = config.unsupervised_epochs * -(-len(self.corpus.texts) // size)
        # Long documents become several rows of masked language modelling.
        return f"{texts}, {'at least' if stage == 'mlm' else 'about'} {steps:,} steps of {size}"


def read_inputs(config: AdaptConfig) -> AdaptInputs:
    """Read and check every file, and leave out labelled rows that give evaluation rows away.

    Raises:
        DataError: for a file that cannot be used.
        ConfigError: for a loss that does not suit the labels.
    """
    held_out = HeldOut(config.evaluate, config.evaluate_columns, config.on_bad_row)
    inputs = _read_text(config, held_out)
    inputs.note("evaluate", held_out.path, held_out.sha256)
    for name, given in (("pairs", config.pairs), ("gold", config.gold)):
        if given is not None:
            inputs.tables[name] = _read_labels(config, name, given, inputs)
    if config.pairs is not None:
        pairs = inputs.tables["pairs"]
        chosen = choose_loss(pairs.kind)
        inputs.loss = chosen if config.loss == "auto" else (config.loss, "as asked")
        check_loss(inputs.loss[0], pairs.kind)
        inputs.rows = len(prepare(pairs, inputs.loss[0], seed=config.seed))
    if config.validation is not None:
        _read_validation(config, config.validation, inputs)
    for name, sentence in inputs.overlap.items():
        tell(f"{name}: {sentence}")
    return inputs


def _read_text(config: AdaptConfig, held_out: HeldOut) -> AdaptInputs:
    """The raw text, or as much of it as is wanted."""
    corpus = read_corpus(config.text, config.column, config.on_bad_row)  # type: ignore[arg-type]
    tell(corpus.describe())
    count = len(corpus.texts)
    sampled = 0 < config.max_texts < count
    if sampled:
        generator = np.random.default_rng([config.seed, 4])
        places = np.sort(generator.choice(count, config.max_texts, replace=False)).tolist()
        corpus = replace(corpus, texts=[corpus.texts[place] for place in places])
        tell(f"{len(corpus.texts):,} of them, drawn at random, are used")
    inputs = AdaptInputs(held_out, corpus, sampled)
    inputs.overlap["text"] = held_out.seen_unlabelled(corpus.texts)
    facts = {"texts": count, "used": len(corpus.texts), "repeats": corpus.repeats}
    inputs.note("text", corpus.path, corpus.sha256, **facts, skipped=corpus.skipped)
    return inputs


def _read_labels(config: AdaptConfig, name: str, given: str, inputs: AdaptInputs) -> PairTable:
    """Labelled rows, none of which gives an evaluation row away."""
    table = read_pairs(given, columns=config.columns, on_bad_row=config.on_bad_row)  # type: ignore[arg-type]
    if name == "gold" and table.kind not in GOLD_KINDS:
        raise DataError(
            f"holds {table.kind.replace('_', ' ')}; gold pairs are needed: sentence1, sentence2 "
            "and score or label. Other labels can be given as pairs.",
            path=given,
        )
    clean, inputs.left_out[name] = inputs.held_out.without(table)
    if inputs.left_out[name]:
        count = inputs.left_out[name]
        tell(f"{given}: {count:,} rows stand in the evaluation data, too, and are left out")
    if name == "pairs" and 0 < config.max_pairs < len(clean):
        generator = np.random.default_rng([config.seed, 5])
        drawn = generator.choice(len(clean), config.max_pairs, replace=False)
        clean = take(clean, np.sort(drawn))
    facts = {"kind": table.kind, "rows": len(table), "used": len(clean)}
    inputs.note(name, table.path, table.sha256, **facts, skipped=len(table.skipped))
    inputs.overlap[name] = inputs.held_out.seen_labelled(clean)
    return clean


def _read_validation(config: AdaptConfig, given: str, inputs: AdaptInputs) -> None:
    """What chooses the weights inside the stages."""
    if Path(given).is_dir():
        inputs.validation_folder, sha256 = given, str(read_beir(given).data["sha256"])
    else:
        mapping, bad = config.evaluate_columns, config.on_bad_row
        table = read_pairs(given, columns=mapping, on_bad_row=bad)  # type: ignore[arg-type]
        inputs.tables["validation"], sha256 = table, table.sha256
    if sha256 == inputs.held_out.sha256:
        raise DataError(
            "holds the evaluation data themselves: what chooses the weights cannot tell how good "
            "they are. Give other held-out data, or --hold-out.",
            path=given,
        )
    inputs.note("validation", given, sha256)
