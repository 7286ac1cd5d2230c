"""The end of Augmented SBERT: which model is better, and whether the silver pairs made it so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tenor.evaluation.compare import difference
from tenor.evaluation.result import EvaluationResult
from tenor.evaluation.validation import Measure, validation
from tenor.models.embedder import Embedder
from tenor.recipes.augmented import AugmentedConfig
from tenor.recipes.augmented_data import AugmentedData
from tenor.recipes.augmented_stages import GOLD_ONLY, GOLD_SILVER, embedder
from tenor.recipes.tell import tell
from tenor.training.run import Run

__all__ = ["compare", "tell_outcome"]


def compare(config: AugmentedConfig, data: AugmentedData, run: Run) -> dict[str, Any]:
    """Measure the model as it was, gold-only and gold + silver on the same held-out pairs."""
    names = {"base": config.model}
    names |= {stage: str(run.folder / stage / "model") for stage in (GOLD_ONLY, GOLD_SILVER)}
    models = {stage: embedder(config, name) for stage, name in names.items()}
    chosen = _comparison(models, validation(data.validation))
    both, alone = (chosen["metrics"][stage] for stage in (GOLD_SILVER, GOLD_ONLY))
    found: dict[str, Any] = {
        "metric": chosen["metric"],
        "comparison": chosen,
        "silver_helps": chosen["gold_silver_against_gold_only"]["verdict"] == "better",
        "kept": GOLD_SILVER if both > alone else GOLD_ONLY,
    }
    if data.test is not None:
        found["test"] = _comparison(models, validation(data.test))
    return found


def _comparison(models: dict[str, Embedder], given: tuple[Measure, str]) -> dict[str, Any]:
    measure, metric = given
    results: dict[str, EvaluationResult] = {}
    for stage, model in models.items():
        named = {"name": model.name, "sha256": model.sha256 or ""}
        results[stage] = replace(measure(model), model=named)
    pairs = ((GOLD_SILVER, GOLD_ONLY), (GOLD_SILVER, "base"), (GOLD_ONLY, "base"))
    return {
        "metric": metric,
        "metrics": {stage: result.metrics[metric] for stage, result in results.items()},
        **{
            f"{one}_against_{other}".replace("-", "_"): difference(
                results[other], results[one], metric
            )
            for one, other in pairs
        },
        "results": {stage: result.to_json() for stage, result in results.items()},
    }


def tell_outcome(result: dict[str, Any]) -> None:
    """Say plainly whether the silver pairs helped."""
    comparison, metric = result["comparison"], result["metric"]
    for name, found in (("held-out pairs", comparison), ("test pairs", result.get("test"))):
        if found is None:
            continue
        figures = ", ".join(f"{stage} {value:.4f}" for stage, value in found["metrics"].items())
        change = found["gold_silver_against_gold_only"]
        tell(
            f"{name}: {found['metric']} {figures}; gold + silver against gold-only "
            f"{change['value']:+.4f} [{change['low']:+.4f}, {change['high']:+.4f}] "
            f"({change['verdict']})"
        )
    if not result["silver_helps"]:
        worse = comparison["gold_silver_against_gold_only"]["verdict"] == "worse"
        how = "made the model worse" if worse else "did not clearly help"
        tell(f"SILVER PAIRS {how.upper()} on the held-out pairs.{_why(result)}")
    best = comparison["metrics"][result["kept"]]
    if best < comparison["metrics"]["base"]:
        tell(
            f"WARNING: both models are below the one that training started from ({metric} "
            f"{comparison['metrics']['base']:.4f}): it may be the better one to use."
        )
    tell(f"model/ is the {result['kept']} one: {result['model']['path']}")


def _why(result: dict[str, Any]) -> str:
    """A hint, where the labeller itself was measured by a figure of the same kind."""
    own = result["labeller"].get("metrics", {})
    metric = result["metric"]
    value = own.get(metric, own.get(metric.removesuffix("_cosine")))
    alone = result["comparison"]["metrics"][GOLD_ONLY]
    if value is not None and value < alone:
        return (
            f" The cross-encoder itself reaches {value:.4f} there and the gold-only bi-encoder "
            f"{alone:.4f}: it has little to teach. More gold pairs, more --labeller-epochs, "
            "another --labeller-model or a trained --cross-encoder can change that."
        )
    return " More or other candidate pairs (--top-k, --strategy, --resample kde) can change that."
