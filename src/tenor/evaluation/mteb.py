"""Tasks of MTEB (Muennighoff et al. 2023), of the hub or local, with Tenor's models (extra `mteb`).

Scores are mteb's own; what differs is who encodes.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from tenor.errors import ConfigError, DataError, ModelError
from tenor.evaluation.mteb_meta import model_settings, mteb_revision
from tenor.evaluation.mteb_models import MtebCrossEncoder, MtebEmbedder
from tenor.evaluation.mteb_results import ResultFolder
from tenor.evaluation.mteb_search import MtebSearcher
from tenor.evaluation.mteb_tasks import chosen_tasks, mteb_library
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder

__all__ = ["evaluate_mteb"]

log = logging.getLogger("tenor")

OFFLINE_SIGNS = ("offline", "couldn't reach", "connect", "resolve", "timed out", "network")


def evaluate_mteb(
    model: Embedder | CrossEncoder,
    tasks: Sequence[str] = (),
    *,
    data: str | Path | None = None,
    rerank: CrossEncoder | None = None,
    candidates: int = 100,
    out: str | Path | None = None,
    overwrite: bool = False,
    name: str | None = None,
    revision: str | None = None,
    language: str = "eng-Latn",
) -> dict[str, Any]:
    """Measure a model on tasks of MTEB, and on local data as such tasks.

    Args:
        model: an embedder, static or not; or a cross-encoder, for re-ranking tasks.
        tasks: names of mteb's tasks or benchmarks, or of those in `data`; all of `data` if none.
        data: folder of a local task, or of several; see `list_local_tasks`.
        rerank: orders the best documents of retrieval tasks anew.
        candidates: how many of each query's documents are re-ranked.
        out: folder for results in mteb's own format, each stored as soon as it is there; those
            stored before of the same weights, settings and data are taken again. Nothing is
            stored by default.
        overwrite: measure again what is stored.
        name: `organisation/model` to store results under; the model's own by default.
        revision: to store results under; a hash of weights and settings by default. With one,
            that hash is noted beside them, in made_by.jsonl.
        language: of the local data, as mteb writes it.

    Returns:
        Plain values: `model`, `mteb` (version), `tasks` (for each its `task`, `type`,
        `dataset_revision`, `metric`, `score`, `scores` and all `figures` by split and subset,
        `seconds`, `reused`), `mean` over these, `failed` (of each task whose data cannot be had,
        where others can, its `task` and the `error`), `truncated` texts, `seconds`, and the folder
        of the `results`.

    Raises:
        MissingExtraError: mteb is not installed.
        ConfigError: there is no such task, no task is named, or the model cannot do one.
        DataError: local data cannot be used, or no task's data can be had from the hub.
    """
    start = time.perf_counter()
    mteb = mteb_library()
    chosen = chosen_tasks(list(tasks), data, language)
    wrapped = _wrapped(model, rerank, candidates, name, revision)
    for task in chosen:
        _require_fit(task, wrapped)
    meta = wrapped.mteb_model_meta
    folder = None
    if out is not None:
        revisions = {task.metadata.name: task.metadata.revision for task in chosen}
        made_by = None if revision is None else _hash_of(model, rerank, candidates)
        folder = ResultFolder(out, revisions, made_by)
    total = len(chosen)
    log.info("%s at %s, %d task%s", meta.name, meta.revision, total, "s" if total > 1 else "")
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    while chosen:
        task = chosen.pop(0)  # its data go with it
        try:
            rows.append(_measured(mteb, wrapped, task, folder, overwrite))
        except DataError as error:
            if total == 1 or (not chosen and not rows):
                raise
            log.error("%d/%d %s", total - len(chosen), total, error)
            failed.append({"task": task.metadata.name, "error": str(error)})
        else:
            _tell(rows[-1], total - len(chosen), total)
    return {
        "model": {
            "name": meta.name,
            "revision": meta.revision,
            "path": model.name,
            "sha256": model.sha256 or "",
            **model_settings(model),
        },
        "mteb": metadata.version("mteb"),
        "tasks": rows,
        "failed": failed,
        "mean": sum(row["score"] for row in rows) / len(rows),
        "truncated": wrapped.truncated,
        "seconds": time.perf_counter() - start,
        "results": None if folder is None else str(folder.path("", meta).parent),
    }


def _measured(
    mteb: Any, wrapped: Any, task: Any, folder: ResultFolder | None, overwrite: bool
) -> dict[str, Any]:
    start = time.perf_counter()
    meta = wrapped.mteb_model_meta
    stored = folder is not None and not overwrite and _complete(folder, task, meta)
    with _named_errors(task), _quiet():
        result = mteb.evaluate(
            wrapped,
            task,
            cache=folder,
            overwrite_strategy="always" if overwrite else "only-missing",
            encode_kwargs={"batch_size": 32, "show_progress_bar": False},
            show_progress_bar=False,
            co2_tracker=False,
        )
    if not result.task_results:
        raise DataError(f"{task.metadata.name} gave no result: {result.exceptions}")
    return _row(task, result.task_results[0], time.perf_counter() - start, stored)


def _wrapped(
    model: Embedder | CrossEncoder,
    rerank: CrossEncoder | None,
    candidates: int,
    name: str | None,
    revision: str | None,
) -> Any:
    if isinstance(model, CrossEncoder):
        if rerank is not None:
            raise ConfigError("rerank", rerank.name, "left out with a cross-encoder")
        return MtebCrossEncoder(model, name=name, meta_revision=revision)
    embedder = MtebEmbedder(model, name=name, meta_revision=revision)
    if rerank is None:
        return embedder
    return MtebSearcher(embedder, MtebCrossEncoder(rerank), candidates=candidates)


def _hash_of(model: Embedder | CrossEncoder, rerank: CrossEncoder | None, candidates: int) -> str:
    """All that decides results, whatever revision they are stored under."""
    found = mteb_revision(model)
    return found if rerank is None else f"{found}-{mteb_revision(rerank)}-{candidates}"


def _require_fit(task: Any, wrapped: Any) -> None:
    """Refuse before any work what mteb would refuse after an hour."""
    kind, name = task.metadata.type, task.metadata.name
    if isinstance(wrapped, MtebCrossEncoder) and "Reranking" not in kind:
        raise ConfigError(
            "task", name, "a re-ranking task for a cross-encoder (a local one has candidates); to "
            "re-rank what an embedder found, name the embedder and --rerank the cross-encoder",
        )  # fmt: skip
    if isinstance(wrapped, MtebSearcher) and task.metadata.simplified_task_type != "retrieval":
        raise ConfigError("rerank", wrapped.reranker.model.name, f"left out for {name}, a {kind}")
    if "text" not in task.metadata.modalities or len(task.metadata.modalities) > 1:
        raise ConfigError("task", name, "one of texts alone")


def _complete(folder: ResultFolder, task: Any, meta: Any) -> bool:
    found = folder.load_task_result(task.metadata.name, meta)
    return found is not None and not found.get_missing_evaluations(task)


@contextmanager
def _named_errors(task: Any) -> Iterator[None]:
    """Data that cannot be had become a `DataError` that says what to do."""
    try:
        yield
    except (ConfigError, DataError, ModelError):
        raise
    except Exception as error:  # datasets, its hub client and their HTTP libraries raise all kinds
        if task.data_loaded:
            raise
        said = f"{type(error).__name__}: {error}"
        source = task.metadata.dataset["path"]
        if any(sign in said.lower() for sign in OFFLINE_SIGNS):
            raise DataError(
                f"{task.metadata.name} needs the data set {source} of the Hugging Face hub, which "
                f"cannot be reached ({said}). Run it once where there is a network and take the "
                "cache (HF_HOME) along, or give data of your own with --data FOLDER."
            ) from error
        raise DataError(
            f"the data set {source} of {task.metadata.name} cannot be loaded ({said})."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and warnings of the libraries below: tasks are told one by one."""
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from sklearn.exceptions import UndefinedMetricWarning

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)  # a label that none was given
            warnings.filterwarnings("ignore", "The task .* is superseded")  # is logged as well
            yield
    finally:
        if not before:
            enable_progress_bars()


def _row(task: Any, result: Any, seconds: float, reused: bool) -> dict[str, Any]:
    return {
        "task": result.task_name,
        "type": task.metadata.type,
        "dataset_revision": result.dataset_revision,
        "metric": task.metadata.main_score,
        "score": float(result.get_score()),
        "scores": {
            split: {one["hf_subset"]: float(one["main_score"]) for one in several}
            for split, several in result.scores.items()
        },
        "figures": {
            split: {one["hf_subset"]: _numbers(one) for one in several}
            for split, several in result.scores.items()
        },
        "seconds": seconds,
        "reused": reused,
    }


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """All figures of a split and subset, by mteb's names."""
    return {
        name: float(value)
        for name, value in scores.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _tell(row: dict[str, Any], number: int, total: int) -> None:
    how = "stored before" if row["reused"] else f"{row['seconds']:.1f} s"
    log.info("%d/%d %s: %s %.4f, %s", number, total, row["task"], row["metric"], row["score"], how)
