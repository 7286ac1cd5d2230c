"""One few-shot run from its files to its model: frozen, trained, distilled, compared, saved."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tenor.data.shots import count_texts
from tenor.evaluation.compare import difference
from tenor.evaluation.predictions import write_predictions
from tenor.evaluation.result import EvaluationResult
from tenor.formats.locate import hash_model
from tenor.models.embedder import Embedder
from tenor.models.embedding_classifier import EmbeddingClassifier
from tenor.models.setfit import save_setfit
from tenor.recipes.few_shot import FewShotConfig
from tenor.recipes.few_shot_data import FewShotData, read_few_shot
from tenor.recipes.few_shot_stages import (
    choose_head,
    load_start,
    measured,
    train_contrastive_stage,
    with_head,
)
from tenor.recipes.few_shot_student import train_student
from tenor.recipes.stages import finished_before, note, require_one_process, write_rows
from tenor.recipes.tell import tell
from tenor.training.run import Run, machine, versions

__all__ = ["run_few_shot"]

FROZEN, TRAINED, STUDENT = "frozen", "few-shot", "student"
FACTS = (
    "loss", "chosen", "rows", "steps", "best_step", "train_loss", "truncated", "pairs", "seconds",
)  # fmt: skip


def run_few_shot(config: FewShotConfig) -> dict[str, Any]:
    """Train on one draw of the shots; see `train_few_shot`."""
    start = time.perf_counter()
    require_one_process("train few-shot")
    if (done := finished_before(config)) is not None:
        return done
    # All that can be wrong with what was given shows before the folder is made.
    data = read_few_shot(config)
    embedder = load_start(config, config.model, fresh=True)
    if config.student is not None:
        load_start(config, config.student, fresh=False)
    run = Run(config.out, config, resume=config.resume)
    run.check_data({**data.hashes, config.model: embedder.sha256 or ""})
    _write_texts(data, run.folder / "data" / "train.parquet")
    base: Any = {"name": embedder.name, "sha256": embedder.sha256}

    texts, target = data.table.columns["text"], np.asarray(data.table.target)
    how: dict[str, Any] = {"multi_label": data.multi_label}
    vectors, truncated = embedder.encode_counted(texts)
    head = choose_head(config, data, vectors)
    frozen = with_head(embedder, vectors, target, data.names, head, **how)
    results = {FROZEN: measured(frozen, data.evaluation, FROZEN)}
    stages: dict[str, Any] = {}

    embedder, stage = train_contrastive_stage(
        config, data, embedder, head, run.folder / "contrastive"
    )
    if stage is not None:
        stages["contrastive"] = {name: stage[name] for name in FACTS if name in stage}
        vectors = embedder.encode(texts)
    model = with_head(embedder, vectors, target, data.names, head, **how)
    results[TRAINED] = measured(model, data.evaluation, TRAINED)
    note(run, "contrastive", _figures(results[TRAINED], data))

    student = student_base = None
    if data.unlabelled:
        where = str(run.folder / "contrastive" / "model") if stages else config.model

        def again() -> Embedder:
            return load_start(config, where, fresh=not stages)

        student, stage = train_student(config, data, model, head, run.folder / "student", again)
        student_base = stage["base_model"]
        stages["student"] = {name: stage[name] for name in FACTS if name in stage}
        results[STUDENT] = measured(student, data.evaluation, STUDENT)
        note(run, "student", _figures(results[STUDENT], data))

    kept = _kept(config, data, results)
    if kept == FROZEN:
        vectors_of = load_start(config, config.model, fresh=True)
        model = EmbeddingClassifier(vectors_of, frozen.linear)
    elif kept == STUDENT:
        assert student is not None
        model = student
        base = student_base
    result = {
        "loss": stages.get("contrastive", {"loss": config.loss})["loss"],
        "chosen": stages.get("contrastive", {}).get("chosen", {}),
        "head": config.head,
        "shots": config.shots,
        "labels": list(data.names),
        "multi_label": data.multi_label,
        "rows": len(data.table),
        "skipped": len(data.table.skipped),
        "texts_of_a_label": _range(count_texts(data.table)),
        **data.notes,
        "distinct_texts": len(set(texts)),
        "truncated": truncated,
        "inverse_regularization": head.inverse_regularization,
        "cross_validation": list(head.tried),
        "stages": stages,
        **_compared(data, results, kept),
        "overlap": None if data.evaluation is None else data.evaluation.overlap,
        "base_model": base,
        "data": {"path": data.table.path, "sha256": data.table.sha256},
        "versions": versions(),
        "machine": machine(),
        "dtype": str(model.embedder.encoder.dtype).removeprefix("torch."),
        "seconds": time.perf_counter() - start,
    }
    if data.evaluation is not None:
        write_predictions(run.folder, data.evaluation.items, results[FROZEN], results[kept])
    _save(run, model, result)
    return result


def _kept(
    config: FewShotConfig, data: FewShotData, results: dict[str, EvaluationResult | None]
) -> str:
    """Which classifier is kept; of equal ones the few-shot one."""
    if data.evaluation is None:
        return STUDENT if STUDENT in results else TRAINED
    metric = data.evaluation.metric
    if config.student is not None:
        found = _difference(results[TRAINED], results[STUDENT], metric)
        tell(f"kept the student, which was asked for: {_words(found)} against its teacher")
        return STUDENT
    order = [name for name in (TRAINED, FROZEN, STUDENT) if name in results]
    values = {name: results[name].metrics[metric] for name in order}  # type: ignore[union-attr]
    kept = max(order, key=values.__getitem__)
    others = [(FROZEN, "contrastive training"), (STUDENT, "the unlabelled texts")]
    for name, what in others:
        if name not in results:
            continue
        pair = (FROZEN, TRAINED) if name == FROZEN else (TRAINED, STUDENT)
        found = _difference(results[pair[0]], results[pair[1]], metric)
        tell(f"{what}: {metric} {_words(found)}")
    tell(f"kept: {kept}")
    return kept


def _difference(
    before: EvaluationResult | None, after: EvaluationResult | None, metric: str
) -> dict[str, Any]:
    found = difference(before, after, metric)
    assert found is not None
    return found


def _words(found: dict[str, Any]) -> str:
    return f"{found['value']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}] ({found['verdict']})"


def _compared(
    data: FewShotData, results: dict[str, EvaluationResult | None], kept: str
) -> dict[str, Any]:
    """The figures of every classifier, and the paired differences between them."""
    nothing = {"metric": None, "kept": kept, "before": None, "after": None, "difference": None}
    if data.evaluation is None:
        return nothing
    metric = data.evaluation.metric
    found = {name: result for name, result in results.items() if result is not None}
    pairs = {TRAINED: FROZEN, STUDENT: TRAINED}
    differences = {
        name: {"against": pairs[name], **_difference(found[pairs[name]], found[name], metric)}
        for name in found
        if name in pairs
    }
    return {
        "metric": metric,
        "kept": kept,
        "metrics": {name: result.metrics[metric] for name, result in found.items()},
        "intervals": {name: list(result.intervals[metric]) for name, result in found.items()},
        "differences": differences,
        "results": {name: result.to_json() for name, result in found.items()},
        "before": found[FROZEN].to_json(),
        "after": found[kept].to_json(),
        "difference": _difference(found[FROZEN], found[kept], metric),
    }


def _figures(result: EvaluationResult | None, data: FewShotData) -> dict[str, Any]:
    if result is None or data.evaluation is None:
        return {}
    return {data.evaluation.metric: result.metrics[data.evaluation.metric]}


def _range(counts: Any) -> list[int]:
    return [int(counts.min()), int(counts.max())]


def _save(run: Run, model: EmbeddingClassifier, result: dict[str, Any]) -> None:
    save_setfit(model, run.model, card=model.card(**run.card_facts(result)))
    result["model"] = {"path": str(run.model), "sha256": hash_model(run.model)}
    run.write_result(result)
    tell(f"saved {run.model}, {result['seconds']:.1f} s")


def _write_texts(data: FewShotData, path: Path) -> None:
    """The texts that are trained on, with the names of their labels."""
    table = data.table
    if data.multi_label:
        names = np.array(data.names, dtype=object)
        joined = ["|".join(names[row > 0]) for row in np.asarray(table.target)]
        table = replace(table, target=np.array(joined, dtype=object))
    write_rows(table, path)
