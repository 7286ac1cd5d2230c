"""The runs of several seeds, one after another, and what is made of them."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from tenor.errors import ConfigError
from tenor.models.bulk import duration
from tenor.recipes.seed_figures import AFTER, deciding, spread
from tenor.recipes.settings import split_seed_of
from tenor.recipes.stages import finished_before, keep_model, note
from tenor.recipes.tell import tell
from tenor.training.run import DATA, RESULT, Run

__all__ = ["train_seeds"]

# What differs from run to run and may explain a figure.
FACTS = (
    "kept", "difference", "steps", "best_step", "stopped", "train_loss", "train_seconds", "seconds",
)  # fmt: skip


def train_seeds(recipe: Callable[[Any], dict[str, Any]], config: Any) -> dict[str, Any]:
    """Train with seed, seed + 1, … and keep the model that is best on the validation data.

    Runs that were done before are not done again, and one that was stopped goes on.

    Args:
        recipe: trains with one seed.
        config: its settings, with several.

    Returns:
        What result.json holds; see `tenor.recipes.seeds.over_seeds`.

    Raises:
        DataError: the data changed between two of the runs.
        TenorError: what the recipe raises.
    """
    if (done := finished_before(config)) is not None:
        return done
    run = Run(config.out, config, resume=config.resume)
    made: dict[int, dict[str, Any]] = {}
    for seed in range(config.seed, config.seed + config.seeds):
        folder = run.folder.resolve() / f"seed-{seed}"
        before = (folder / RESULT).exists()
        tell(f"seed {seed}, {len(made) + 1} of {config.seeds}{_so_far(config, made, before)}")
        made[seed] = recipe(_of_seed(config, seed, folder))
        if made[seed]["metric"] is None:
            allowed = "1: no rows were left to measure on, so there is nothing to compare seeds by"
            raise ConfigError("seeds", config.seeds, allowed)
        if (folder / DATA).exists():
            run.check_data(json.loads((folder / DATA).read_text(encoding="utf-8")))
        if not before:
            note(run, folder.name, {"value": deciding(made[seed])})
        gc.collect()  # the next one needs the memory
    result = _outcome(config, made)
    result["model"] = _keep(run, result)
    result["seconds"] = _seconds(made)
    run.write_result(result)
    _tell(result)
    return result


def _seconds(made: dict[int, dict[str, Any]]) -> float:
    return sum(float(found["seconds"]) for found in made.values())


def _so_far(config: Any, made: dict[int, dict[str, Any]], before: bool) -> str:
    if before:
        return ": done before"
    if not made:
        return ""
    left = _seconds(made) / len(made) * (config.seeds - len(made))
    return f": about {duration(left)} to go, by the runs before"


def _of_seed(config: Any, seed: int, folder: Path) -> Any:
    """The settings of one run; all of them are measured on the same data."""
    known = {field.name for field in fields(config)}
    given: dict[str, Any] = {"out": str(folder), "seed": seed, "seeds": 1}
    if "split_seed" in known:
        given["split_seed"] = split_seed_of(config)
    return replace(config, **given)


def _outcome(config: Any, made: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """What result.json holds, but for the model."""
    values = {seed: deciding(found) for seed, found in made.items()}
    kept = max(values, key=values.__getitem__)
    metric = str(made[kept]["metric"])
    figures = spread(list(made.values()))
    of_metric = figures["validation"][AFTER][metric]
    mean, deviation = of_metric["mean"], of_metric["deviation"]
    instead = "measure the model on data that chose nothing"
    if "test" in figures:
        instead = "the figures on the test data"
    rows = [
        {
            "seed": seed,
            "folder": f"seed-{seed}",
            "value": values[seed],
            **{name: found[name] for name in FACTS if name in found},
            "model": found["model"],
        }
        for seed, found in made.items()
    ]
    return {
        **made[kept],
        "seeds": rows,
        "figures": figures,
        "kept_seed": kept,
        "kept_why": (
            f"Seed {kept} is kept, the best of {len(made)} on the validation data. Its {metric} "
            f"there, {values[kept]:.4f}, is the luckiest of {len(made)} and so too good to be "
            f"true: quote the mean, {mean:.4f} ± {deviation:.4f}, or {instead}."
        ),
    }


def _keep(run: Run, result: dict[str, Any]) -> dict[str, str]:
    """Copy the best run's model to model/; its card says what it was chosen from."""
    name = f"seed-{result['kept_seed']}"
    source = run.folder / name / "model"
    card = source / "README.md"
    text = None
    if card.exists():
        lines = [f"- {each['folder']}: {each['value']:.4f}" for each in result["seeds"]]
        text = card.read_text(encoding="utf-8").rstrip("\n")
        text += f"\n\n## Seeds\n\n{result['kept_why']}\n\n" + "\n".join(lines) + "\n"
    return keep_model(run, source, stage=name, card=text)


def _tell(result: dict[str, Any]) -> None:
    metric = result["metric"]
    for split, models in result["figures"].items():
        for model, metrics in models.items():
            if (found := metrics.get(metric)) is None:
                continue
            values = found["values"]
            tell(
                f"{split}, {model}: {metric} {found['mean']:.4f} ± {found['deviation']:.4f} over "
                f"{len(values)} seeds, from {min(values):.4f} to {max(values):.4f}"
            )
    tell(result["kept_why"])
    tell(f"saved {result['model']['path']}")
