"""The demo: from the docstrings of the installed Python packages to an embedder that finds them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenor.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tenor.data.docstrings import DescribedFunction, DocstringSplit, RetrievalTask
    from tenor.data.schema import PairTable
    from tenor.evaluation.report import Report
    from tenor.evaluation.result import EvaluationResult
    from tenor.evaluation.retrieval import Rankings
    from tenor.models.embedder import Embedder

__all__ = ["DemoConfig", "run_demo"]

QUESTIONS = ("invert a matrix", "shortest path between two nodes", "read a CSV file into a table")
METRICS = ("ndcg@10", "mrr@10", "accuracy@1", "recall@10")
VECTORS, DOCUMENTS = "vectors.safetensors", "documents.jsonl"


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Settings of the demo.

    Attributes:
        out: folder for the model, the report and the figures.
        ask: search with the model of an earlier demo instead of training.
        pairs: pairs to train on, at most.
        batch_size: pairs a step.
        learning_rate: the highest, reached after warm-up.
        max_seq_length: tokens of a docstring that count, before and after alike.
        queries: held-out descriptions to search with.
        seed: of the split, the batches and the dropout.
        dtype: dtype of the products: auto, bf16 or fp32.
    """

    out: str = "demo-run"
    ask: str | None = None
    pairs: int = 6400
    batch_size: int = 64
    learning_rate: float = 1e-4
    max_seq_length: int = 128
    queries: int = 2000
    seed: int = 0
    dtype: str = "auto"


def run_demo(config: DemoConfig) -> dict[str, Any] | None:
    """Run the demo, or search with an earlier one.

    Args:
        config: the settings.

    Returns:
        Figures before and after, or `None` for a search.

    Raises:
        TenorError: when there is nothing to read, or no earlier demo to search with.
    """
    if config.ask is None:
        return _train(config)
    _ask(config)
    return None


def _train(config: DemoConfig) -> dict[str, Any]:
    import shutil
    import time

    from tenor.data.docstrings import read_docstrings, split
    from tenor.evaluation.report import write_report
    from tenor.evaluation.retrieval import Retrieval
    from tenor.models.embedder import Embedder
    from tenor.recipes.contrastive import ContrastiveConfig
    from tenor.recipes.fit import Fit, tell
    from tenor.training.objectives import make_objective

    start = time.perf_counter()
    out = Path(config.out)
    if out.exists() and any(out.iterdir()) and not (out / "demo.json").exists():
        raise ConfigError("out", config.out, "a new folder, or that of an earlier demo")
    shutil.rmtree(out, ignore_errors=True)
    tell("reading the docstrings of the installed packages (nothing is imported) ...")
    corpus = read_docstrings()
    counts = corpus.counts
    tell(
        f"{counts.files:,} files of {counts.packages} packages: {counts.functions:,} documented "
        f"functions and classes, {counts.kept:,} of them described well enough to learn from"
    )
    parts = split(corpus, seed=config.seed)
    task = parts.retrieval("test", queries=config.queries)
    for note in task.notes:
        tell(note)
    tell(
        f"split by module: {len(parts.train):,} to train on, {len(task.queries):,} held-out "
        f"descriptions that search {len(task.ids):,} held-out documents"
    )
    model = Embedder.load(
        "all-MiniLM-L6-v2", dtype=config.dtype, max_seq_length=config.max_seq_length
    )
    test = _retrieval(task, Retrieval)
    tell("before training: searching ...")
    before, ranked_before = test.run(model)
    tell(_line(before))
    base_documents = model.encode(task.texts)
    base_questions = model.encode(list(QUESTIONS))

    settings = ContrastiveConfig(
        train="installed Python packages",
        out=str(out / "run"),
        loss="mnr",
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        max_seq_length=config.max_seq_length,
        seed=config.seed,
        dtype=config.dtype,
        log_every=5,
    )
    fit = Fit(settings, settings.out)
    small = parts.retrieval("validation", documents=1)
    result = fit.embedder(
        model,
        make_objective("mnr", dimensions=model.dimensions),
        _pairs(parts.train, config),
        loss="mnr",
        validation=_retrieval(small, Retrieval),
        group=1,
        arguments=settings,
    )
    tell("after training: searching ...")
    after, ranked_after = test.run(model)
    tell(_line(after))
    documents = model.encode(task.texts)
    _save_search(out, task, base_documents, documents)
    report = _report(
        config, settings, result, parts, task,
        (before, ranked_before, base_questions, base_documents),
        (after, ranked_after, model.encode(list(QUESTIONS)), documents),
    )  # fmt: skip
    page = write_report(out / "report.html", report)
    for question, old, new in zip(
        QUESTIONS, base_questions, model.encode(list(QUESTIONS)), strict=True
    ):
        _show(question, task.ids, task.texts, base_documents @ old, documents @ new)
    summary = {
        "before": before.to_json(),
        "after": after.to_json(),
        "seconds": time.perf_counter() - start,
        "config": asdict(config),
        "machine": result["machine"],
        "versions": result["versions"],
    }
    fit.run.write_result({**result, "demo": summary})
    _write_summary(out, summary)
    _show_gain(before, after, summary["seconds"], page, out)
    return summary


def _retrieval(task: RetrievalTask, kind: Any) -> Any:
    return kind(
        (task.ids, task.texts),
        task.queries,
        task.qrels,
        name="description to function",
        drop_self=False,
    )


def _pairs(functions: tuple[DescribedFunction, ...], config: DemoConfig) -> PairTable:
    """Summary ↔ the rest with the name; a random choice where there are more than asked for."""
    import hashlib

    import numpy as np

    from tenor.data.schema import PairTable

    order = np.random.default_rng(config.seed).permutation(len(functions))[: config.pairs]
    chosen = [functions[row] for row in sorted(order.tolist())]
    columns = {
        "anchor": [item.summary for item in chosen],
        "positive": [item.document(with_name=True) for item in chosen],
    }
    text = "\0".join(columns["anchor"] + columns["positive"])
    return PairTable(
        kind="pairs",
        columns=columns,
        target=None,
        label_names=None,
        lines=np.arange(1, len(chosen) + 1),
        path="installed Python packages",
        sha256=hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(),
    )


def _line(result: EvaluationResult) -> str:
    parts = []
    for name in METRICS[:2]:
        low, high = result.intervals[name]
        parts.append(f"{name} {result.metrics[name]:.3f} [{low:.3f}, {high:.3f}]")
    return "  " + ", ".join(parts) + f" on {result.n:,} queries"


Side = tuple["EvaluationResult", "Rankings", "npt.NDArray[np.float32]", "npt.NDArray[np.float32]"]


def _report(
    config: DemoConfig,
    settings: Any,
    result: dict[str, Any],
    parts: DocstringSplit,
    task: RetrievalTask,
    left: Side,
    right: Side,
) -> Report:
    from tenor.evaluation.intervals import paired_bootstrap
    from tenor.evaluation.report import (
        BarIntervals,
        Changes,
        Comparison,
        Estimate,
        Figures,
        LossCurve,
        RankChange,
        Repeat,
        Report,
        SearchExample,
        SearchExamples,
        Text,
        Warnings,
    )
    from tenor.recipes.fit import loss_curve

    before, ranked_before, old_questions, old_documents = left
    after, ranked_after, new_questions, new_documents = right
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
        ranked_after.query_ids,
        ranked_before.first_relevant_rank.tolist(),
        ranked_after.first_relevant_rank.tolist(),
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
    losses, evaluations = loss_curve(Path(settings.out) / "log.jsonl")
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
                validation_metric="nDCG@10 on validation",
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
                        before=_hits(task, old_documents @ old),
                        after=_hits(task, new_documents @ new),
                    )
                    for question, old, new in zip(
                        QUESTIONS, old_questions, new_questions, strict=True
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
            command="tenor demo",
            config=asdict(config),
            versions=result["versions"],
            hashes={"model": result["base_model"]["sha256"], "pairs": result["data"]["sha256"]},
            seeds={"split, batches, dropout": config.seed},
            machine={**result["machine"], "dtype": result["dtype"]},
        ),
    )


def _hits(task: RetrievalTask, scores: npt.NDArray[np.float32]) -> list[Any]:
    import numpy as np

    from tenor.evaluation.report import Hit

    best = np.argsort(-scores, kind="stable")[:5]
    return [Hit(name=task.ids[i], text=task.texts[i], score=float(scores[i])) for i in best]


def _save_search(
    out: Path,
    task: RetrievalTask,
    before: npt.NDArray[np.float32],
    after: npt.NDArray[np.float32],
) -> None:
    import json

    from safetensors.numpy import save_file

    from tenor.formats.atomic import write_text

    lines = (
        json.dumps({"id": name, "text": text})
        for name, text in zip(task.ids, task.texts, strict=True)
    )
    write_text(out / DOCUMENTS, "".join(line + "\n" for line in lines))
    save_file({"before": before, "after": after}, out / VECTORS)


def _write_summary(out: Path, summary: dict[str, Any]) -> None:
    import json

    from tenor.formats.atomic import write_text

    write_text(out / "demo.json", json.dumps(summary, indent=2) + "\n")


def _ask(config: DemoConfig) -> None:
    """Search the held-out functions with the models before and after."""
    import json

    from safetensors.numpy import load_file

    from tenor.models.embedder import Embedder

    out = Path(config.out)
    if not (out / "demo.json").exists():
        raise ConfigError(
            "out", config.out, "the folder of a finished demo; run `tenor demo` first"
        )
    assert config.ask is not None
    lines = (out / DOCUMENTS).read_text(encoding="utf-8").splitlines()
    documents = [json.loads(line) for line in lines]
    vectors = load_file(out / VECTORS)
    scores = []
    for name, side in (("all-MiniLM-L6-v2", "before"), (str(out / "run" / "model"), "after")):
        model: Embedder = Embedder.load(name, dtype=config.dtype)
        scores.append(vectors[side] @ model.encode(config.ask))
    _show(config.ask, [d["id"] for d in documents], [d["text"] for d in documents], *scores)


def _show(
    question: str,
    ids: list[str],
    texts: list[str],
    before: npt.NDArray[np.float32],
    after: npt.NDArray[np.float32],
) -> None:
    """The five best of both models, side by side."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "before", "after", title=Text(question), show_lines=False, expand=True)
    columns = [np.argsort(-scores, kind="stable")[:5] for scores in (before, after)]
    for place, (old, new) in enumerate(zip(*columns, strict=True), start=1):
        table.add_row(str(place), Text(ids[old]), Text(ids[new]))
    Console().print(table)


def _show_gain(
    before: EvaluationResult, after: EvaluationResult, seconds: float, page: Path, out: Path
) -> None:
    from rich.console import Console
    from rich.table import Table

    from tenor.evaluation.intervals import paired_bootstrap

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
