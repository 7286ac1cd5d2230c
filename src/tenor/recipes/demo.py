"""The demo: from the docstrings of the installed Python packages to an embedder that finds them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenor.errors import ConfigError

if TYPE_CHECKING:
    from tenor.data.docstrings import DescribedFunction, RetrievalTask
    from tenor.data.schema import PairTable
    from tenor.recipes.contrastive import ContrastiveConfig

__all__ = ["DemoConfig", "run_demo"]


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Settings of the demo.

    Attributes:
        out: folder for the model, the report and the figures.
        ask: search with the model of an earlier demo instead of training.
        resume: go on with a demo in `out` that was interrupted, instead of starting anew.
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
    resume: bool = False
    pairs: int = 4096
    batch_size: int = 64
    learning_rate: float = 1e-4
    max_seq_length: int = 96
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
    from tenor.recipes.demo_search import ask

    ask(config.ask, Path(config.out), dtype=config.dtype)
    return None


def _train(config: DemoConfig) -> dict[str, Any]:
    import shutil
    import time

    from tenor.data.docstrings import read_docstrings, split
    from tenor.evaluation.report import write_report
    from tenor.evaluation.retrieval import Retrieval
    from tenor.formats.atomic import write_text
    from tenor.models.embedder import Embedder
    from tenor.recipes.demo_report import Side, describe, make_report, show_gain
    from tenor.recipes.demo_search import QUESTIONS, Remembering, save_search, show
    from tenor.recipes.embedder_fit import EmbedderFit
    from tenor.recipes.tell import tell
    from tenor.training.objectives import make_objective

    start = time.perf_counter()
    out = Path(config.out)
    ours = (out / "demo.json").exists() or (out / "run" / "config.toml").exists()
    if out.exists() and any(out.iterdir()) and not ours:
        raise ConfigError("out", config.out, "a new folder, or that of an earlier demo")
    if not config.resume:
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
    settings, pairs = _settings(config, out / "run"), _pairs(parts.train, config)
    fit = EmbedderFit(settings, settings.out, resume=config.resume)
    fit.run.check_data({pairs.path: pairs.sha256})
    limits: dict[str, Any] = {"dtype": config.dtype, "max_seq_length": config.max_seq_length}
    model = Embedder.load("all-MiniLM-L6-v2", **limits)
    test = _retrieval(task, Retrieval)
    tell("before training: searching ...")
    base = Remembering(model)
    before, ranked_before = test.run(base)
    tell(describe(before))
    base_documents, base_questions = base.encode(task.texts), base.encode(QUESTIONS)

    if fit.finished is None:
        small = parts.retrieval("validation", documents=1)
        result = fit.embedder(
            model,
            make_objective("mnr", dimensions=model.dimensions),
            pairs,
            loss="mnr",
            validation=_retrieval(small, Retrieval),
            group=1,
            arguments=settings,
        )
    else:
        tell("the training is done already")
        result, model = fit.finished, Embedder.load(fit.run.model, **limits)
    tell("after training: searching ...")
    tuned = Remembering(model)
    after, ranked_after = test.run(tuned)
    tell(describe(after))
    documents, questions = tuned.encode(task.texts), tuned.encode(QUESTIONS)
    save_search(out, task, base_documents, documents)
    report = make_report(
        config, settings, result, task,
        Side(before, ranked_before, base_questions, base_documents),
        Side(after, ranked_after, questions, documents),
    )  # fmt: skip
    page = write_report(out / "report.html", report)
    for question, old, new in zip(QUESTIONS, base_questions, questions, strict=True):
        show(question, task.ids, task.texts, base_documents @ old, documents @ new)
    summary = {
        "before": before.to_json(),
        "after": after.to_json(),
        "seconds": time.perf_counter() - start,
        "config": asdict(config),
        "machine": result["machine"],
        "versions": result["versions"],
    }
    fit.run.write_result({**result, "demo": summary})
    write_text(out / "demo.json", json.dumps(summary, indent=2) + "\n")
    show_gain(before, after, summary["seconds"], page, out)
    return summary


def _settings(config: DemoConfig, folder: Path) -> ContrastiveConfig:
    """The training run inside a demo."""
    from tenor.recipes.contrastive import ContrastiveConfig

    return ContrastiveConfig(
        train="installed Python packages",
        out=str(folder),
        loss="mnr",
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        max_seq_length=config.max_seq_length,
        seed=config.seed,
        dtype=config.dtype,
        log_every=5,
        evaluate_every=32,
    )


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
