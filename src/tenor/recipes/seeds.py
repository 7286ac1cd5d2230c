"""Any recipe over several seeds: a run for each, the spread of the figures, and the best model.

Seed, batches, dropout and new layers move a figure by as much as many a change of settings does
(Dodge et al. 2020, https://arxiv.org/abs/2002.06305): one run says little about a method.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

from tenor.errors import ConfigError
from tenor.recipes.reporting import leave_report

__all__ = ["over_seeds"]

Config = TypeVar("Config")
Recipe = Callable[[Config], dict[str, Any]]


def over_seeds(recipe: Recipe[Config]) -> Recipe[Config]:
    """Let a recipe train as often as its settings' `seeds` say.

    With one seed nothing changes. With several, `out` holds a run for each of them in seed-0/,
    seed-1/, … (named by the seed), model/ with the best one's model, and result.json: what that
    run's holds, and

    * `seeds`: a row for each run, with its folder and its deciding figure;
    * `figures`: by split (validation, test), model (before, after, …) and figure: `mean`,
      `deviation` (of a sample) and `values`, in the order of the seeds;
    * `kept_seed` and `kept_why`.

    Args:
        recipe: from settings with seed, seeds, out and resume to what result.json holds.
    """

    @functools.wraps(recipe)
    def train(config: Config) -> dict[str, Any]:
        seeds = config.seeds  # type: ignore[attr-defined]
        if seeds == 1:
            return recipe(config)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            allowed = (
                "1 under torchrun, whose processes end with a run: start each seed by itself with "
                "--seed and an --out of its own"
            )
            raise ConfigError("seeds", seeds, allowed)
        from tenor.recipes.seed_runs import train_seeds

        result = train_seeds(recipe, config)
        leave_report(str(config.out))  # type: ignore[attr-defined]
        return result

    return train
