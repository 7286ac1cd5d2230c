"""The stage of Augmented SBERT in which the cross-encoder labels the candidate pairs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.data.candidates import keep_class_ratio, keep_gold_density
from tenor.data.schema import PairTable
from tenor.evaluation.result import hash_files
from tenor.models.cross_encoder import CrossEncoder
from tenor.recipes.augmented import AugmentedConfig
from tenor.recipes.augmented_data import HARD_LOSSES, AugmentedData
from tenor.recipes.augmented_labels import silver_scores
from tenor.recipes.augmented_stages import LabellerModel
from tenor.recipes.settings import device_of
from tenor.recipes.silver import Chunk, Labels, SilverLabels
from tenor.recipes.silver_candidates import pending_pairs, read_candidates
from tenor.recipes.silver_scores import scaled, write_silver
from tenor.recipes.stages import note
from tenor.recipes.tell import tell
from tenor.training.run import Run

__all__ = ["silver_pairs"]


def silver_pairs(
    config: AugmentedConfig, data: AugmentedData, run: Run, labeller: LabellerModel
) -> tuple[PairTable, dict[str, Any]]:
    """Label the candidates, write silver.parquet, and give the pairs that are trained on."""
    folder = run.folder / "silver"
    silver = SilverLabels(folder, labeller.sha256)
    labels = _labelled(config, silver, labeller)
    own, logits = scaled(labels.scores)
    if logits:
        tell("the labels are not on 0 to 1: taken as logits, through the logistic function")
    pairs = read_candidates(folder)
    left, right = (pairs[name].to_pylist() for name in ("sentence1", "sentence2"))
    found = silver_scores(config, data, run, labeller, own, (left, right))
    scores = found.scores
    assert data.gold.target is not None
    kept = np.ones(len(scores), dtype=bool)
    if config.resample == "kde":
        choose = keep_gold_density if data.gold.kind == "scored" else keep_class_ratio
        gold = np.asarray(data.gold.target, dtype=np.float32)
        kept = choose(scores, gold, np.random.default_rng([config.seed, 3]))
        if not kept.any():
            kept[:] = True
            tell(
                "WARNING: no silver score is near the gold ones, so re-sampling would leave no "
                "pair: all are kept. Another --strategy finds other pairs."
            )
    path = run.folder / "silver.parquet"
    write_silver(path, folder, scores, kept, found.labeller, found.parts)
    notes = {
        "path": str(path),
        "labelled": len(scores),
        "kept": int(kept.sum()),
        "truncated": labels.truncated,
        **found.notes,
        "scores": _spread(scores),
        "kept_scores": _spread(scores[kept]),
        "gold_scores": _spread(np.asarray(data.gold.target, dtype=np.float32)),
    }
    tell(f"{len(scores):,} silver pairs, {int(kept.sum()):,} of them kept: {path}")
    note(run, "silver", notes)
    return _as_table(config, data, path, folder, scores, kept), notes


def _labelled(config: AugmentedConfig, silver: SilverLabels, labeller: LabellerModel) -> Labels:
    pending = silver.pending()
    if config.engine == "ray" and pending:
        from tenor.recipes.ray_engine import Cluster, label_on_ray

        found = label_on_ray(
            labeller.name,
            partial(pending_pairs, silver.folder, pending),
            Cluster(address=config.address, workers=config.workers),
            dtype=config.dtype,
        )
        return silver.run(Chunk(*one) for one in found)
    if not pending:
        return silver.run(())
    model = CrossEncoder.load(labeller.name, device=device_of(config), dtype=config.dtype)
    return silver.label(model)


def _as_table(
    config: AugmentedConfig,
    data: AugmentedData,
    path: Path,
    folder: Path,
    scores: npt.NDArray[np.float32],
    kept: npt.NDArray[np.bool_],
) -> PairTable:
    """The silver pairs as training rows."""
    pairs = read_candidates(folder).filter(kept)
    hard = config.loss in HARD_LOSSES
    return PairTable(
        kind="labelled_pairs" if hard else "scored",
        columns={name: pairs[name].to_pylist() for name in ("sentence1", "sentence2")},
        target=(scores[kept] >= 0.5).astype(np.int64) if hard else scores[kept],
        label_names=data.gold.label_names if hard else None,
        lines=np.flatnonzero(kept) + 1,
        path=str(path),
        score_range=None if hard else (0.0, 1.0),
        sha256=hash_files([path]),
    )


def _spread(scores: npt.NDArray[np.float32]) -> dict[str, float]:
    """Mean and quartiles."""
    if not len(scores):
        return {}
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
    return {
        "mean": float(np.mean(scores)), "quarter": float(low), "median": float(middle),
        "three_quarters": float(high),
    }  # fmt: skip
