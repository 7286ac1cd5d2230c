"""The end of `tenor auto`: the best model, confirmed on the test data, and what is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tenor.evaluation.compare import difference
from tenor.evaluation.result import EvaluationResult
from tenor.formats.locate import hash_model
from tenor.recipes.auto import AutoConfig
from tenor.recipes.auto_data import AutoData
from tenor.recipes.auto_training import evaluation_of, load_trained
from tenor.recipes.auto_trials import Trial, Trials
from tenor.recipes.stages import keep_model
from tenor.recipes.tell import tell
from tenor.training.run import Run, machine, versions

__all__ = ["UNTOUCHED", "Confirmed", "confirm", "keep", "outcome", "tell_outcome"]

UNTOUCHED = "untouched"


@dataclass(frozen=True)
class Confirmed:
    """Figures on the test data.

    Attributes:
        metric: the figure that decides.
        best: of the model that is kept.
        baseline: of the one it is compared with, and that one's name; `None` where it is the same.
    """

    metric: str
    best: EvaluationResult
    baseline: tuple[str, EvaluationResult] | None


def confirm(
    config: AutoConfig, run: Run, data: AutoData, leader: Trial, baseline: str | None
) -> Confirmed:
    """Measure the chosen model on the test data, beside the one it has to beat.

    Args:
        config: the settings.
        run: for the folders.
        data: for the test data.
        leader: the chosen one.
        baseline: name of the other; `None` for none.
    """
    evaluation = evaluation_of(data, data.test)

    def measured(name: str) -> EvaluationResult:
        found = evaluation.measure(_load(config, run, data, name))
        return replace(found, model={"name": name, "sha256": ""})

    best = measured(leader.name)
    beside = None
    if baseline is not None and baseline != leader.name:
        beside = (baseline, measured(baseline))
    return Confirmed(evaluation.metric, best, beside)


def keep(config: AutoConfig, run: Run, leader: Trial) -> dict[str, str]:
    """Write model/: the candidate's own folder, or the model as it is."""
    if leader.name != UNTOUCHED:
        return keep_model(run, _folder(run, leader.name), stage=leader.name)
    from tenor.recipes.plan import PlanSettings, load_start

    model = load_start(
        PlanSettings(model=config.model, device=config.device, max_seq_length=config.max_seq_length)
    )
    model.save(run.model)
    return {"path": str(run.model), "sha256": hash_model(run.model), "stage": UNTOUCHED}


def outcome(
    run: Run,
    data: AutoData,
    trials: Trials,
    confirmed: Confirmed,
    *,
    used: float,
    budget: float,
) -> dict[str, Any]:
    """What result.json holds, but for the model."""
    leader = trials.leader
    assert leader is not None
    ranked = sorted(trials.all, key=lambda each: (each.value is None, -(each.value or 0.0)))
    metric, beside = confirmed.metric, confirmed.baseline
    return {
        "shape": data.train.shape,
        "kept": leader.name,
        "validation": {
            "metric": leader.metric, "value": leader.value, "interval": leader.interval,
            "rows": data.validation.profile.rows,
        },
        "metric": metric,
        "test": confirmed.best.to_json(),
        "baseline": None if beside is None else {"name": beside[0], **beside[1].to_json()},
        "difference": None if beside is None else difference(beside[1], confirmed.best, metric),
        "candidates": [vars(each) for each in ranked],
        "data": {
            "files": data.hashes,
            "rows": {
                split: getattr(data, split).profile.rows
                for split in ("train", "validation", "test")
            },
            "notes": list(data.notes),
        },
        "settings": run.settings(run.folder),
        "base_model": run.settings(run.folder)["model"],
        "budget_seconds": budget,
        "used_seconds": used,
        "versions": versions(),
        "machine": machine(),
    }  # fmt: skip


def tell_outcome(result: dict[str, Any]) -> None:
    """Say what is kept, what it is worth, and what that took."""
    metric, test = result["metric"], result["test"]
    low, high = test["intervals"][metric]
    line = (
        f"{result['kept']} on the test data: {metric} {test['metrics'][metric]:.4f} "
        f"[{low:.4f}, {high:.4f}], n = {test['n']:,}"
    )
    change = result["difference"]
    if change is not None:
        line += (
            f"; {change['value']:+.4f} [{change['low']:+.4f}, {change['high']:+.4f}] against "
            f"{result['baseline']['name']} ({change['verdict']})"
        )
    tell(line)
    tell(
        f"model: {result['model']['path']}; {result['used_seconds']:.0f} of "
        f"{result['budget_seconds']:.0f} s used"
    )


def _folder(run: Run, name: str) -> Path:
    return run.folder / "candidates" / name / "model"


def _load(config: AutoConfig, run: Run, data: AutoData, name: str) -> Any:
    folder = config.model if name == UNTOUCHED else str(_folder(run, name))
    return load_trained(
        data,
        folder,
        device=config.device,
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
    )
