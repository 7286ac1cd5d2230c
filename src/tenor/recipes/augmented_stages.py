"""The stages of Augmented SBERT, each of which a resumed run finds done or goes on with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tenor.data.candidates import labelled_pair_codes
from tenor.data.prepare import prepare, take
from tenor.data.schema import PairTable
from tenor.errors import ConfigError, TrainingError
from tenor.formats.atomic import write_text
from tenor.formats.cross_encoder import read_cross_encoder
from tenor.formats.locate import hash_model, locate
from tenor.models.embedder import Embedder
from tenor.recipes.augmented import AugmentedConfig
from tenor.recipes.augmented_data import HARD_LOSSES, AugmentedData
from tenor.recipes.contrastive import ContrastiveConfig, objective_of
from tenor.recipes.embedder_fit import EmbedderFit
from tenor.recipes.propose import propose
from tenor.recipes.settings import device_of
from tenor.recipes.silver_candidates import CANDIDATES, write_candidates
from tenor.recipes.silver_scores import write_cosines
from tenor.recipes.stages import note
from tenor.recipes.tell import tell
from tenor.training.run import Run

__all__ = [
    "GOLD_ONLY", "GOLD_SILVER", "LabellerModel", "bi_encoder", "candidate_pairs", "cross_encoder",
    "embedder", "require_labeller", "teacher", "training_rows",
]  # fmt: skip

GOLD_ONLY, GOLD_SILVER, TEACHER = "gold-only", "gold-silver", "teacher"
DEFAULT_LOSS = "cosine"
WARM_UP_RATE = 2e-4
EVALUATIONS = 8  # during each bi-encoder's training, unless asked otherwise


@dataclass(frozen=True)
class LabellerModel:
    """The cross-encoder that labels.

    Args:
        name: where it is.
        sha256: its hash.
        notes: what result.json says of it.
    """

    name: str
    sha256: str
    notes: dict[str, Any] = field(default_factory=dict)


def require_labeller(cross_encoder: str | None) -> None:
    """Raise `ConfigError` for a cross-encoder that cannot label, before anything is done."""
    if cross_encoder is None:
        return
    from transformers import AutoConfig

    layout = read_cross_encoder(locate(cross_encoder))
    problem = "this one has no classifier"
    if layout.has_head:
        settings = AutoConfig.from_pretrained(
            str(layout.transformer), trust_remote_code=False, local_files_only=True
        )
        if settings.num_labels == 1:
            return
        problem = f"this one gives {settings.num_labels} labels"
    allowed = f"a trained cross-encoder that gives one score; {problem}"
    raise ConfigError("cross_encoder", cross_encoder, allowed)


def candidate_pairs(config: AugmentedConfig, data: AugmentedData, run: Run) -> dict[str, Any]:
    """Write the pairs to label into silver/candidates.parquet; return counts of them."""
    folder = run.folder / "silver"
    stored = folder / "candidates.json"
    if (folder / CANDIDATES).exists() and stored.exists():
        notes: dict[str, Any] = json.loads(stored.read_text(encoding="utf-8"))
        if notes["fingerprint"] != data.fingerprint:
            raise TrainingError(
                f"the data changed since the run in {run.folder} began: start a new one."
            )
    else:
        held = [table for table in (data.gold, data.validation, data.test) if table is not None]
        found, counts = propose(
            data.pool,
            config.strategy,
            config.top_k,
            retriever=partial(_retriever, config, data, run),
            known=labelled_pair_codes(data.pool, held),
            random_share=config.random_share,
            max_pairs=config.max_pairs,
            seed=config.seed,
        )
        write_candidates(folder, data.pool, found)
        notes = {"strategy": config.strategy, **counts, "fingerprint": data.fingerprint}
        write_text(stored, json.dumps(notes))
        note(run, "candidates", notes)
    tell(
        f"{notes['candidates']:,} candidate pairs will be labelled ({notes['already_labelled']:,} "
        "that are in the gold or the held-out data were left out)"
    )
    return {name: value for name, value in notes.items() if name != "fingerprint"}


def _retriever(config: AugmentedConfig, data: AugmentedData, run: Run) -> Embedder:
    if config.retriever == "gold":
        return teacher(config, data, run)
    return embedder(config, config.retriever)


def teacher(config: AugmentedConfig, data: AugmentedData, run: Run) -> Embedder:
    """The bi-encoder trained on the gold pairs, whose cosines are on the scale of their labels."""
    if not (run.folder / TEACHER / "result.json").exists():
        calibrated = replace(config, loss=DEFAULT_LOSS)
        count = config.labeller_epochs * len(data.gold)
        rows = training_rows(calibrated, data.gold, count)
        bi_encoder(replace(calibrated, epochs=1), data, run, TEACHER, rows)
    return embedder(config, str(run.folder / TEACHER / "model"))


def cross_encoder(config: AugmentedConfig, data: AugmentedData, run: Run) -> LabellerModel:
    """Train the cross-encoder on the gold pairs, unless one is given."""
    if config.cross_encoder is not None:
        folder = locate(config.cross_encoder)
        sha256 = hash_model(folder)
        return LabellerModel(
            config.cross_encoder, sha256, {"name": config.cross_encoder, "sha256": sha256}
        )
    start = config.labeller_model or config.model
    if config.warm_up_pairs and not read_cross_encoder(locate(start)).has_head:
        start = _warmed_up(config, data, run, start)
    tell(f"cross-encoder: training on {len(data.gold):,} gold pairs")
    result = _train_cross_encoder(
        config,
        data,
        run.folder / "cross-encoder",
        train=data.gold_path,
        model=start,
        epochs=config.labeller_epochs,
        batch_size=config.labeller_batch_size,
        learning_rate=config.labeller_learning_rate,
    )
    notes = {
        "name": result["model"]["path"],
        "sha256": result["model"]["sha256"],
        "metric": result["metric"],
        "metrics": result["after"]["metrics"],
    }
    return LabellerModel(notes["name"], notes["sha256"], notes)


def _warmed_up(config: AugmentedConfig, data: AugmentedData, run: Run, start: str) -> str:
    """Teach a new cross-encoder what the teacher knows, on candidate pairs; give its folder.

    It begins where the bi-encoder is instead of far below, and reading both texts at once it can
    pass its teacher (Liu et al. 2022, Trans-Encoder, https://arxiv.org/abs/2109.13059).
    """
    path = run.folder / "warm-up.parquet"
    if not path.exists():
        write_cosines(
            path,
            run.folder / "silver",
            teacher(config, data, run),
            config.warm_up_pairs,
            config.seed,
        )
    tell("warm-up: the cross-encoder learns what the teacher says of candidate pairs")
    result = _train_cross_encoder(
        config, data, run.folder / "warm-up", train=str(path), model=start, epochs=1,
        batch_size=32, learning_rate=WARM_UP_RATE,
    )  # fmt: skip
    return str(result["model"]["path"])


def _train_cross_encoder(
    config: AugmentedConfig, data: AugmentedData, out: Path, **settings: Any
) -> dict[str, Any]:
    from tenor.recipes.cross_encoder import CrossEncoderConfig, train_cross_encoder

    return train_cross_encoder(
        CrossEncoderConfig(
            **settings,
            out=str(out),
            max_steps=config.labeller_max_steps,
            validation=data.validation_path,
            seed=config.seed,
            dtype=config.dtype,
            device=config.device,
            resume=config.resume,
        )
    )


def training_rows(config: AugmentedConfig, table: PairTable, count: int = 0) -> PairTable:
    """The rows of a table as the loss takes them.

    Args:
        config: the settings.
        table: labelled pairs.
        count: with it, the rows again and again until there are so many: as many updates as
            another table gives.
    """
    loss = _loss(config)
    if loss not in HARD_LOSSES:
        assert table.target is not None
        table = replace(table, kind="scored", target=np.asarray(table.target, dtype=np.float32))
    rows = prepare(table, loss, seed=config.seed)
    return take(rows, np.resize(np.arange(len(rows)), count)) if count else rows


def _loss(config: AugmentedConfig) -> str:
    return DEFAULT_LOSS if config.loss == "auto" else config.loss


def bi_encoder(
    config: AugmentedConfig, data: AugmentedData, run: Run, stage: str, rows: PairTable
) -> dict[str, Any]:
    """Train a bi-encoder in a folder of its own."""
    loss = _loss(config)
    steps = config.epochs * -(-len(rows) // config.batch_size)
    arguments = config.arguments()
    arguments["evaluate_every"] = config.evaluate_every or max(1, steps // EVALUATIONS)
    settings = ContrastiveConfig(
        **arguments,
        train=rows.path,
        out=str(run.folder / stage),
        validation=data.validation_path,
        model=config.model,
        loss=loss,
        max_seq_length=config.max_seq_length,
        pooling=config.pooling,
        scale=config.scale,
        device=config.device,
        resume=config.resume,
    )
    fit = EmbedderFit(settings, settings.out, resume=config.resume)
    if fit.finished is not None:
        return fit.finished
    tell(f"{stage}: training the bi-encoder on {len(rows):,} rows, loss {loss}")
    model = embedder(config, config.model)
    result = fit.embedder(
        model,
        objective_of(settings, model, loss),
        rows,
        loss=loss,
        validation=data.validation,
        group=1,
        arguments=settings,
    )
    note(run, stage, {"steps": result["steps"], "best_step": result["best_step"]})
    return result


def embedder(config: AugmentedConfig, name: str) -> Embedder:
    """Load a bi-encoder as the settings say."""
    return Embedder.load(
        name,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length if name == config.model else None,
        pooling=config.pooling if name == config.model else None,
    )
