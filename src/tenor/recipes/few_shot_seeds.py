"""Several draws of the shots: which texts are drawn matters most, so the spread is told."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from tenor.recipes.few_shot import FewShotConfig
from tenor.recipes.few_shot_run import run_few_shot
from tenor.recipes.fit import tell
from tenor.recipes.stages import finished_before, keep_model, note
from tenor.training.run import Run, machine, versions

__all__ = ["train_seeds"]


def train_seeds(config: FewShotConfig) -> dict[str, Any]:
    """Train on one draw after another, and keep the model of the best.

    Args:
        config: the settings, with several seeds.

    Returns:
        What result.json holds: `mean` and `deviation` (of a sample) of the deciding figure by
        classifier, `seeds` with the figures of each, `kept_seed`.
    """
    start = time.perf_counter()
    if (done := finished_before(config)) is not None:
        return done
    run = Run(config.out, config, resume=config.resume)
    made: dict[int, dict[str, Any]] = {}
    for seed in range(config.seed, config.seed + config.seeds):
        tell(f"seed {seed}: {len(made) + 1} of {config.seeds}")
        folder = run.folder.resolve() / f"seed-{seed}"
        found = run_few_shot(replace(config, out=str(folder), seed=seed, seeds=1))
        made[seed] = found
        note(run, f"seed-{seed}", found["metrics"])
    metric = str(next(iter(made.values()))["metric"])
    values = {
        name: np.array([found["metrics"][name] for found in made.values()])
        for name in next(iter(made.values()))["metrics"]
    }
    kept = max(made, key=lambda seed: made[seed]["after"]["metrics"][metric])
    result: dict[str, Any] = {
        "metric": metric,
        "mean": {name: float(each.mean()) for name, each in values.items()},
        "deviation": {name: float(each.std(ddof=1)) for name, each in values.items()},
        "seeds": {
            str(seed): {
                "kept": found["kept"],
                "metrics": found["metrics"],
                "seconds": found["seconds"],
            }
            for seed, found in made.items()
        },
        "kept_seed": kept,
        "kept": made[kept]["kept"],
        "before": made[kept]["before"],
        "after": made[kept]["after"],
        "labels": made[kept]["labels"],
        "base_model": made[kept]["base_model"],
        "data": made[kept]["data"],
        "versions": versions(),
        "machine": machine(),
    }
    for name, each in values.items():
        tell(
            f"{name}: {metric} {each.mean():.4f} ± {each.std(ddof=1):.4f} over {len(each)} draws, "
            f"from {each.min():.4f} to {each.max():.4f}"
        )
    tell(f"kept the model of seed {kept}, the best: its own figure is the luckiest of {len(made)}")
    source = run.folder / f"seed-{kept}" / "model"
    result["model"] = keep_model(run, source, stage=f"seed-{kept}")
    result["seconds"] = time.perf_counter() - start
    run.write_result(result)
    tell(f"saved {run.model}")
    return result
