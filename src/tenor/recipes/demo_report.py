"""What the demo found: the report as a page, and the figures on the terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from tenor.evaluation.intervals import paired_bootstrap
from tenor.evaluation.report import Report
from tenor.evaluation.report_sections import (
    BarIntervals,
    Changes,
    Comparison,
    Estimate,
    Figures,
    Hit,
    LossCurve,
    RankChange,
    Repeat,
    SearchExample,
    SearchExamples,
    Text,
    Warnings,
)
from tenor.evaluation.result import EvaluationResult
from tenor.evaluation.retrieval import Rankings
from tenor.recipes.demo_search import QUESTIONS

if TYPE_CHECKING:
    from tenor.data.docstrings import RetrievalTask
    from tenor.recipes.contrastive import ContrastiveConfig
    from tenor.recipes.demo import DemoConfig

__all__ = ["Side", "describe", "make_report", "show_gain"]

METRICS = ("ndcg@10", "mrr@10", "accuracy@1", "recall@10")


@dataclass(frozen=True)
class Side:
    """What one model, before or after training, gave.

    Attributes:
        result: its figures.
        rankings: what each held-out description found.
        questions: (Q, D) vectors of `QUESTIONS`.
        documents: (N, D) vectors of the held-out functions.
    """

    result: EvaluationResult
    rankings: Rankings
    questions: npt.NDArray[np.float32]
    documents: npt.NDArray[np.float32]


def make_report(
    config: DemoConfig,
    settings: ContrastiveConfig,
    result: dict[str, Any],
    task: RetrievalTask,
    left: Side,
    right: Side,
) -> Report:
    """The report of a demo.

    Args:
        config: its settings.
        settings: those of its training run.
        result: what the training run recorded.
        task: the held-out descriptions and functions.
        left: the model before training.
        right: the model after.
    """
    before, after = left.result, right.result
    comparisons = [
        Comparison(
            metric=name,
            before=Estimate(before.metrics[name], *before.intervals[name]),
            after=Estimate(after.metrics[name], *after.intervals[name]),
            difference=paired_bootstrap(after.per_item[name], before.per_item[name]),
        )
        for name in METRICS
    ]
    text_of = dict(zip(task.ids, task.texts, strict=True))
    moves = []
    for query, old, new in zip(
        right.rankings.query_ids,
        left.rankings.first_relevant_rank.tolist(),
        right.rankings.first_relevant_rank.tolist(),
        strict=True,
    ):
        right_id = next(iter(task.qrels[query]))
        gain = 1 / (new or 1000) - 1 / (old or 1000)
        moves.append((gain, task.queries[query], right_id, old, new))
    moves.sort(key=lambda move: (-move[0], move[1]))
    changes = [
        RankChange(query=query, name=name, text=text_of[name], before=old, after=new)
        for _, query, name, old, new in moves
    ]
    gains = [move[0] for move in moves]
    losses, evaluations = _loss_curve(Path(settings.out) / "log.jsonl")
    main = comparisons[0]
    truncated = result["truncated"] / max(result["distinct_texts"], 1)
    return Report(
        title="From docstrings to a better embedder",
        subtitle=(
            f"nDCG@10 {main.before.value:.3f} before, {main.after.value:.3f} after, on "
            f"{after.n:,} held-out descriptions and {len(task.ids):,} documents"
        ),
        sections=[
            Text(
                "What was done",
                [
                    "The docstrings of the Python packages installed on this machine were read "
                    "without importing any. A docstring's first sentence describes what the rest "
                    "documents: that makes pairs. Whole folders of modules were held out.",
                    f"all-MiniLM-L6-v2 was fine-tuned on {result['rows']:,} pairs with multiple "
                    f"negatives ranking, {result['steps']} steps of {settings.batch_size} pairs.",
                ],
            ),
            Figures(
                comparisons=comparisons,
                note=f"{after.n:,} queries; bootstrap over queries, 1,000 resamples.",
            ),
            BarIntervals(comparisons=comparisons),
            LossCurve(
                loss=losses,
                validation=[(e["step"], e["eval_ndcg@10"]) for e in evaluations],
                validation_metric="nDCG@10",
            ),
            Changes(
                improved=changes[:8],
                worsened=changes[::-1][:8],
                counts={
                    "improved": sum(gain > 0 for gain in gains),
                    "unchanged": sum(gain == 0 for gain in gains),
                    "worse": sum(gain < 0 for gain in gains),
                },
                note="The largest changes of the reciprocal rank.",
            ),
            SearchExamples(
                examples=[
                    SearchExample(
                        query=question,
                        before=_hits(task, left.documents @ old),
                        after=_hits(task, right.documents @ new),
                    )
                    for question, old, new in zip(
                        QUESTIONS, left.questions, right.questions, strict=True
                    )
                ],
                note="Searched among the held-out functions only.",
            ),
            Warnings(
                "About the data",
                [
                    f"{result['truncated']:,} of {result['distinct_texts']:,} training texts "
                    f"({truncated:.1%}) were cut at {config.max_seq_length} tokens.",
                    *([result["overlap"]] if result["overlap"] else []),
                    *task.notes,
                ],
            ),
        ],
        repeat=Repeat(
            command=_command(config),
            config={n: v for n, v in asdict(config).items() if n not in ("ask", "resume")},
            versions=result["versions"],
            hashes={"model": result["base_model"]["sha256"], "pairs": result["data"]["sha256"]},
            seeds={"split, batches, dropout": config.seed},
            machine={**result["machine"], "dtype": result["dtype"]},
        ),
    )


def _command(config: DemoConfig) -> str:
    """What to type to get the same: settings that are not the default."""
    given = [
        f"--{setting.name.replace('_', '-')} {shlex.quote(str(value))}"
        for setting in fields(config)
        if setting.name not in ("ask", "resume")
        and (value := getattr(config, setting.name)) != setting.default
    ]
    return " ".join(["tenor demo", *given])


def _hits(task: RetrievalTask, scores: npt.NDArray[np.float32]) -> list[Any]:
    best = np.argsort(-scores, kind="stable")[:5]
    return [Hit(name=task.ids[i], text=task.texts[i], score=float(scores[i])) for i in best]


def describe(result: EvaluationResult) -> str:
    """The two leading figures of a result with their intervals, as a line."""
    parts = []
    for name in METRICS[:2]:
        low, high = result.intervals[name]
        parts.append(f"{name} {result.metrics[name]:.3f} [{low:.3f}, {high:.3f}]")
    return "  " + ", ".join(parts) + f" on {result.n:,} queries"


def show_gain(
    before: EvaluationResult, after: EvaluationResult, seconds: float, page: Path, out: Path
) -> None:
    """Print the figures before and after, and where the model and the report are."""
    table = Table("metric", "before", "after", "gain, 95 % interval")
    for name in METRICS:
        change = paired_bootstrap(after.per_item[name], before.per_item[name])
        table.add_row(
            name,
            f"{before.metrics[name]:.3f} [{before.intervals[name][0]:.3f}, "
            f"{before.intervals[name][1]:.3f}]",
            f"{after.metrics[name]:.3f} [{after.intervals[name][0]:.3f}, "
            f"{after.intervals[name][1]:.3f}]",
            f"{change.difference:+.3f} [{change.low:+.3f}, {change.high:+.3f}]",
        )
    console = Console()
    console.print(table)
    console.print(f"{seconds / 60:.1f} minutes. Model: {out / 'run' / 'model'}. Report: {page}")
    console.print('Ask more: tenor demo --ask "parse a date"')


def _loss_curve(log_path: Path) -> tuple[list[tuple[int, float]], list[Mapping[str, Any]]]:
    """(step, loss) and the evaluations of a run, from its log."""
    losses, evaluations = [], []
    for line in log_path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "loss" in entry:
            losses.append((int(entry["step"]), float(entry["loss"])))
        elif any(name.startswith("eval_") for name in entry):
            evaluations.append(entry)
    return losses, evaluations
