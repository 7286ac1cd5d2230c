"""The report of a training run, from the files in its folder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tenor.evaluation.report import Report
from tenor.evaluation.report_sections import (
    BarIntervals,
    Comparison,
    Estimate,
    Figures,
    LossCurve,
    Section,
    Text,
    Warnings,
)
from tenor.evaluation.run_sections import Confusions, Measured, Table
from tenor.recipes.report_items import item_sections, map_section
from tenor.recipes.report_seeds import kept_run, seed_tables
from tenor.recipes.report_warnings import data_warnings
from tenor.recipes.report_words import (
    change_in_words,
    compared,
    data_in_words,
    estimate_of,
    estimates,
    figure_in_words,
    log_entries,
    repeat_of,
    seconds_in_words,
    systems_table,
)
from tenor.training.run import COMMAND, LOG

__all__ = ["run_report"]

BARS = 5  # metrics that are drawn
WHAT = {
    "train contrastive": "contrastive training of an embedder",
    "train cross-encoder": "training of a cross-encoder",
    "train classifier": "training of a classifier",
    "train tagger": "training of a tagger",
    "train few-shot": "few-shot training of a classifier",
    "train mlm": "masked language modelling",
    "train tsdae": "TSDAE, an embedder from raw text",
    "train augmented": "Augmented SBERT",
    "train word2vec": "word vectors",
    "adapt": "adaptation to a domain",
    "distill": "distillation into a static embedder",
}


def run_report(folder: Path, result: Mapping[str, Any], *, projection: str = "pca") -> Report:
    """The report of a run.

    Args:
        folder: of the run.
        result: what its result.json holds; empty for a run that is not done.
        projection: of the map of embeddings.
    """
    before, after = _sides(result)
    sections: list[Section] = []
    if not result:
        words = "This run is not done: there are no figures yet. The same with --resume goes on."
        sections.append(Text("Where it is", [words]))
    elif after is None:
        words = "There was no held-out data: nothing is known of the model's quality."
        sections.append(Text("Figures", [words]))
    else:
        sections += _figures(result, before, after)
    sections += _systems(result)
    sections += _curves(folder, result)
    run, kept = kept_run(folder, result), str(result.get("kept", ""))
    if after is not None:
        own = item_sections(run, after) or item_sections(run / kept, after)
        sections += own or _confusions(after)
        sections += _labels(after)
    found = map_section(run, projection) or map_section(run / kept, projection)
    if found is not None:
        sections.append(found)
    if result:
        sections.append(Warnings("About the data", list(data_warnings(result, after))))
    return Report(
        title=f"{folder.resolve().name}: {_what(folder)}",
        subtitle=_subtitle(result, before, after),
        sections=sections,
        repeat=repeat_of(folder, result),
    )


def _what(folder: Path) -> str:
    path = folder / COMMAND
    words = path.read_text(encoding="utf-8") if path.exists() else ""
    known = (what for command, what in WHAT.items() if words.startswith(f"tenor {command} "))
    return next(known, "a training run")


def _sides(
    result: Mapping[str, Any],
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The evaluations before and after, of a run of several stages those of start and kept."""
    if "budget_seconds" in result:  # of `tenor auto`
        return result.get("baseline"), result.get("test")
    if result.get("after") or not result:
        return result.get("before"), result.get("after")
    several = result.get("results") or (result.get("comparison") or {}).get("results") or {}
    return several.get("untouched") or several.get("base"), several.get(result.get("kept"))


def _subtitle(
    result: Mapping[str, Any], before: dict[str, Any] | None, after: dict[str, Any] | None
) -> str:
    if not result:
        return "Not done yet."
    if after is None:
        return f"{_steps(result)}; not measured."
    metric = result["metric"]
    value = estimate_of(after, metric)
    found = f"{metric} {figure_in_words(value)}"
    if before is not None:
        change = _main_change(result)
        found = f"{metric} {estimate_of(before, metric).value:.3f} before, {value.value:.3f} after"
        found += f" ({change_in_words(change)})" if change else ""
    return f"{found}, on {after['n']:,} items of {data_in_words(after['data'])}."


def _main_change(result: Mapping[str, Any]) -> dict[str, Any] | None:
    if result.get("difference"):
        return dict(result["difference"])
    kept = str(result.get("kept", ""))
    own = (result.get("differences") or {}).get(kept, {}).get("against_untouched")
    against = f"{kept}_against_base".replace("-", "_")
    found = own or (result.get("comparison") or {}).get(against)
    return dict(found) if found else None


def _steps(result: Mapping[str, Any]) -> str:
    steps = result.get("steps")
    rows = f"{result['rows']:,} rows" if isinstance(result.get("rows"), int) else "trained"
    return f"{rows}, {steps:,} steps" if isinstance(steps, int) else rows


def _figures(
    result: Mapping[str, Any], before: dict[str, Any] | None, after: dict[str, Any]
) -> list[Section]:
    note = f"{after['n']:,} items of {data_in_words(after['data'])}."
    if result.get("kept_seed") is not None:
        note += " Those of the best of several seeds: chosen by it, the figure is optimistic."
    if before is None:
        return [Measured(figures=estimates(after), note=note)]
    comparisons = compared(before, after, result.get("metric"), _main_change(result))
    drawn = [each for each in comparisons if _is_share(each)][:BARS]
    return [
        Figures(comparisons=comparisons, note=note),
        *([BarIntervals(comparisons=drawn)] if drawn else []),
    ]


def _is_share(each: Comparison) -> bool:
    return each.higher_is_better and all(-1 <= value <= 1 for value in (*each.before, *each.after))


def _systems(result: Mapping[str, Any]) -> list[Section]:
    """Tables of the models that a run of several stages made, or of its seeds."""
    metric, kept = result.get("metric"), result.get("kept")
    sections: list[Section] = []
    if "budget_seconds" in result:
        sections.append(_candidates(result))
    several = [("The models that were made", result)]
    several += [(name, result[key]) for name, key in _AUGMENTED if result.get(key)]
    for title, part in several:
        if not metric or not part.get("results"):
            continue
        differences = dict(_differences(part))
        sections.append(systems_table(title, metric, part["results"], differences, kept))
    sections += seed_tables(result)
    return sections


def _candidates(result: Mapping[str, Any]) -> Section:
    """What `tenor auto` tried."""
    rows = []
    for one in result["candidates"]:
        low, high = one["interval"] or (math.nan, math.nan)
        figure = "–" if one["value"] is None else figure_in_words(Estimate(one["value"], low, high))
        what = one["why"] or (f"stopped early: {one['stopped']}" if one["stopped"] else "")
        seconds = "–" if one["seconds"] is None else seconds_in_words(one["seconds"])
        name = f"{one['name']} (kept)" if one["name"] == result["kept"] else one["name"]
        rows.append([name, figure, one["status"], f"{one['steps']:,}", seconds, what])
    head = ["candidate", "on the validation data", "status", "steps", "time", "note"]
    note = "The best on the validation data is kept, and measured once on the test data."
    return Table(title="What was tried", head=head, rows=rows, note=note)


_AUGMENTED = (("On the held-out pairs", "comparison"), ("On the test pairs", "test"))


def _differences(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, change in (part.get("differences") or {}).items():
        if "against_untouched" in change:
            yield name, change_in_words(change["against_untouched"], "untouched")
        elif "value" in change:
            yield name, change_in_words(change, str(change.get("against", "")))
    for name, key, against in (
        ("gold-silver", "gold_silver_against_gold_only", "gold-only"),
        ("gold-only", "gold_only_against_base", "base"),
    ):
        if key in part:
            yield name, change_in_words(part[key], against)


def _curves(folder: Path, result: Mapping[str, Any]) -> list[Section]:
    """The curve of the run, or one of each of its seeds or stages."""
    found = {*folder.glob(f"*/{LOG}"), *kept_run(folder, result).glob(f"*/{LOG}")}
    logs = [folder / LOG, *sorted(found, key=lambda path: path.stat().st_mtime)]
    metric = result.get("metric")
    sections: list[Section] = []
    for path in logs:
        entries = log_entries(path)
        loss = [(e["step"], e["loss"]) for e in entries if "loss" in e and "step" in e]
        evaluations = [e for e in entries if any(name.startswith("eval_") for name in e)]
        shown = _watched(evaluations, metric)
        if not loss and not evaluations:
            continue
        stage = "" if path.parent == folder else f": {path.parent.name}"
        sections.append(
            LossCurve(
                title=f"Training{stage}",
                loss=loss,
                validation=[(e["step"], e[shown]) for e in evaluations if shown in e],
                validation_metric=shown.removeprefix("eval_"),
            )
        )
    return sections


def _watched(evaluations: list[dict[str, Any]], metric: str | None) -> str:
    """The figure to draw: the one that decides, or the first there is."""
    names = [name for entry in evaluations[:1] for name in entry if name.startswith("eval_")]
    return f"eval_{metric}" if f"eval_{metric}" in names or not names else names[0]


def _confusions(after: Mapping[str, Any]) -> list[Section]:
    """The matrix, of a run whose predictions are not stored."""
    if not after.get("confusion"):
        return []
    return [Confusions(labels=after["labels"], cells=after["confusion"])]


def _labels(after: Mapping[str, Any]) -> list[Section]:
    if after.get("per_label"):
        rows = [
            [r["label"], *(f"{r[part]:.3f}" for part in ("precision", "recall", "f1")),
             f"{r['texts']:,}", f"{r['given']:,}"]
            for r in after["per_label"]
        ]  # fmt: skip
        head = ["label", "precision", "recall", "F1", "texts", "given"]
        return [Table(title="Label by label", head=head, rows=rows)]
    if after.get("per_type"):
        rows = [
            [r["type"], *(f"{r[part]:.3f}" for part in ("precision", "recall", "f1")),
             f"{r['f1_interval'][0]:.3f} to {r['f1_interval'][1]:.3f}",
             f"{r['spans']:,}", f"{r['found']:,}"]
            for r in after["per_type"]
        ]  # fmt: skip
        head = ["type", "precision", "recall", "F1", "95 % of F1", "spans", "found"]
        return [Table(title="Type by type", head=head, rows=rows)]
    return []
