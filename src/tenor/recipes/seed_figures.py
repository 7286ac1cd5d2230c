"""The figures of several runs of a recipe, which differ in their seed alone: mean and spread."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["AFTER", "deciding", "figures_of", "spread"]

AFTER = "after"
Figures = dict[str, dict[str, dict[str, float]]]
"""By split, model and name of the figure."""


def figures_of(result: Mapping[str, Any]) -> Figures:
    """All figures of a run: of the validation data, and of test data where there are any.

    The model that a run keeps is called `after`, and the one that it started from `before` where
    the recipe measures it; recipes that compare further models name these themselves.

    Args:
        result: what a recipe's result.json holds.
    """
    found: Figures = {}
    named = {**(result.get("comparison") or {}), **result}.get("results") or {}
    models = {name: each["metrics"] for name, each in named.items()}
    if not models and result.get("before"):
        models["before"] = result["before"]["metrics"]
    if result.get("after"):
        models[AFTER] = result["after"]["metrics"]
    elif models:
        models[AFTER] = models[result["kept"]]
    if models:
        found["validation"] = models
    test = (result.get("test") or {}).get("results")
    if test:
        found["test"] = {name: each["metrics"] for name, each in test.items()}
        found["test"][AFTER] = found["test"][result["kept"]]
    return found


def deciding(result: Mapping[str, Any]) -> float:
    """The figure on the validation data that decides; higher is better."""
    return figures_of(result)["validation"][AFTER][str(result["metric"])]


def spread(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean, deviation of a sample, and values of every figure that all runs have.

    Args:
        results: of two runs or more.

    Returns:
        By split, model and figure: `mean`, `deviation`, `values` in the order of the runs.
    """
    found = [figures_of(each) for each in results]
    made: dict[str, Any] = {}
    for split, models in found[0].items():
        for model, metrics in models.items():
            for name in metrics:
                try:
                    values = [float(each[split][model][name]) for each in found]
                except KeyError:
                    continue
                made.setdefault(split, {}).setdefault(model, {})[name] = {
                    "mean": statistics.fmean(values),
                    "deviation": statistics.stdev(values),
                    "values": values,
                }
    return made
