"""The end of an adaptation: whether it helped, which model is kept, and what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenor.evaluation.compare import difference
from tenor.formats.locate import hash_model
from tenor.formats.model_card import model_card
from tenor.recipes.adapt import SUPERVISED, AdaptConfig
from tenor.recipes.adapt_plan import SUPERVISED_ONLY, UNTOUCHED, AdaptPlan
from tenor.recipes.adapt_stages import StageOutcome, load_embedder
from tenor.recipes.stages import keep_model
from tenor.recipes.tell import tell
from tenor.training.run import Run, machine, versions

__all__ = ["compare", "keep", "outcome", "tell_outcome"]


def outcome(
    config: AdaptConfig,
    plan: AdaptPlan,
    made: list[StageOutcome],
    metric: str,
    record: dict[str, Any],
) -> dict[str, Any]:
    """What result.json holds, but for the model that is kept.

    Args:
        config: the settings.
        plan: what was to be done.
        made: the untouched model and what the stages made.
        metric: the figure that decides.
        record: what is known of the data.
    """
    return {
        **compare(made, metric, keep_best=config.keep_best),
        "plan": {
            "stages": list(plan.stages), "reasons": list(plan.reasons),
            "warnings": list(plan.warnings),
        },
        "stages": {
            one.name: {"stage": one.stage, "from": one.before, **(one.facts or {})}
            for one in made[1:]
        },
        **record,
        "base_model": {"name": config.model, "sha256": made[0].result.model["sha256"]},
        "results": {one.name: one.result.to_json() for one in made},
        "versions": versions(),
        "machine": machine(),
    }  # fmt: skip


def compare(made: list[StageOutcome], metric: str, *, keep_best: bool) -> dict[str, Any]:
    """Compare the models on the same items, and choose the one to keep.

    The best is the one with the highest figure among those that are clearly better than the
    untouched model, the interval of the paired difference lying above 0. Where there is none, it
    is the one with the highest figure of all, but the untouched model is kept.

    Args:
        made: the untouched model first, then the others.
        metric: the figure that decides; higher is better.
        keep_best: keep the best there, too.
    """
    by_name = {one.name: one for one in made}
    values = {name: one.result.metrics[metric] for name, one in by_name.items()}
    differences = {
        one.name: {
            "against_untouched": _difference(made[0], one, metric),
            "against_the_one_before": _difference(by_name[one.before], one, metric),
        }
        for one in made
        if one.before is not None
    }
    clearly_better = [
        name
        for name, found in differences.items()
        if found["against_untouched"]["verdict"] == "better"
    ]
    helps = bool(clearly_better)
    # Of equal ones the first: the one that took less.
    best = max(clearly_better or values, key=values.__getitem__)
    return {
        "metric": metric,
        "metrics": values,
        "intervals": {name: list(one.result.intervals[metric]) for name, one in by_name.items()},
        "differences": differences,
        "unsupervised_stage": _ablation(made, metric),
        "adaptation_helps": helps,
        "best": best,
        "kept": best if helps or keep_best else UNTOUCHED,
    }


def _ablation(made: list[StageOutcome], metric: str) -> dict[str, Any] | None:
    """The last stage against the same without the stages on raw text; `None` without ablation."""
    alone = [one for one in made if one.name.startswith(f"{SUPERVISED_ONLY}/")]
    if not alone:
        return None
    names = {one.name for one in alone}
    with_it = next(
        one for one in reversed(made) if one.stage in SUPERVISED and one.name not in names
    )
    found = _difference(alone[-1], with_it, metric)
    return {"with": with_it.name, "without": alone[-1].name, **found}


def _difference(before: StageOutcome, after: StageOutcome, metric: str) -> dict[str, Any]:
    found = difference(before.result, after.result, metric)
    assert found is not None
    return found


def keep(config: AdaptConfig, run: Run, made: list[StageOutcome], result: dict[str, Any]) -> Any:
    """Write model/: the stage's own files, or the untouched model, with a card of these figures."""
    chosen = next(one for one in made if one.name == result["kept"])
    model = load_embedder(config, chosen.start.embedder)
    against = result["differences"].get(chosen.name, {}).get("against_untouched")
    card = model_card(
        name=run.folder.name,
        base_model=config.model,
        layout=model.layout(run.model),
        dimensions=model.dimensions,
        training={
            "loss": ", then ".join(_path_to(chosen, made)) or "none: the untouched model",
            "data": {"name": ", ".join(_trained_on(chosen, made, result))},
            "overlap": " ".join(result["overlap"].values()),
            "arguments": run.settings(run.folder),
            "base_model": result["base_model"],
            "before": None if against is None else result["results"][UNTOUCHED],
            "metric": result["metric"],
            "difference": against,
            "versions": result["versions"],
        },
        evaluation=[result["results"][chosen.name]],
    )
    if chosen.name != UNTOUCHED:
        return keep_model(run, Path(chosen.start.embedder), stage=chosen.name, card=card)
    model.save(run.model, card=card)
    return {"path": str(run.model), "sha256": hash_model(run.model), "stage": UNTOUCHED}


def _path_to(chosen: StageOutcome, made: list[StageOutcome]) -> list[str]:
    """The stages that led to a model."""
    before = next((one for one in made if one.name == chosen.before), None)
    if before is None:
        return []
    return [*_path_to(before, made), chosen.stage]


def _trained_on(
    chosen: StageOutcome, made: list[StageOutcome], result: dict[str, Any]
) -> list[str]:
    """Names of the files that a model was trained on."""
    files = {"contrastive": ["pairs"], "augmented": ["gold", "text"]}
    names = [name for stage in _path_to(chosen, made) for name in files.get(stage, ["text"])]
    return [Path(result["data"][name]["path"]).name for name in dict.fromkeys(names)]


def tell_outcome(result: dict[str, Any]) -> None:
    """Say plainly whether adaptation helped, and what is in model/."""
    metric, best, kept = result["metric"], result["best"], result["kept"]
    values, n = result["metrics"], result["results"][UNTOUCHED]["n"]
    if result["adaptation_helps"]:
        change = _interval(result["differences"][best]["against_untouched"])
        tell(f"adaptation helped: {best} reaches {metric} {values[best]:.4f}, {change} against the "
             f"untouched model, n = {n:,}")  # fmt: skip
    elif best == UNTOUCHED:
        tell(
            f"ADAPTATION DID NOT HELP: no stage is above the untouched model, {metric} "
            f"{values[best]:.4f}, n = {n:,}"
        )
    else:
        change = _interval(result["differences"][best]["against_untouched"])
        tell(
            f"ADAPTATION DID NOT CLEARLY HELP: the best, {best}, is {change} against the untouched "
            f"model in {metric}, and the interval holds 0, n = {n:,}. More held-out data make it "
            "narrower."
        )
    ablation = result["unsupervised_stage"]
    if ablation:
        tell(
            f"the stage without labels: {ablation['with']} is {_interval(ablation)} against "
            f"{ablation['without']}, the same labels without it ({ablation['verdict']})"
        )
    why = ""
    if kept == UNTOUCHED and best != UNTOUCHED:
        why = f" (that of the best stage stays in {best}/; --keep-best keeps it here)"
    elif kept != UNTOUCHED and not result["adaptation_helps"]:
        why = ", kept as asked"
    tell(f"model/ is the {kept} one{why}: {result['model']['path']}")


def _interval(change: dict[str, Any]) -> str:
    return f"{change['value']:+.4f} [{change['low']:+.4f}, {change['high']:+.4f}]"
