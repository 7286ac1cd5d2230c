"""Contrastive training, one epoch, beside sentence-transformers' own trainer.

Workloads: `mnr_stsb` (all STS-B pairs, batch 32), `mnr_nli` (6,400 triplets of the NLI pool, batch
32), `cosine_stsb`, `cosent_stsb`. Sides: tenor (its default), sentence-transformers' trainer with
its defaults, and with bf16. Same weights, rows and their order, batch size, number of updates,
learning rate, schedule, dropout as in the checkpoint; only the dropout masks differ.

`--speed` trains `--steps` steps in turns; `--quality` trains `--steps` steps (0: the whole epoch)
over several seeds and measures Spearman on STS-B test.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from benchmarks._data import MODEL, model_folder, read
from benchmarks._sides import THREADS, Side, write
from benchmarks._training import (
    compare_quality,
    in_our_order,
    run_ours,
    run_theirs,
    serve_training,
    time_in_turns,
)
from benchmarks.encode import spearman

SIDES = ("tenor", "sentence-transformers", "sentence-transformers bf16")
WORKLOADS = ("mnr_stsb", "mnr_nli", "cosine_stsb", "cosent_stsb")
BATCH, LEARNING_RATE, WARMUP = 32, 2e-5, 0.1


def columns_of(workload: str) -> tuple[dict[str, list[str]], list[float] | None]:
    if workload == "mnr_nli":
        from benchmarks._data import FOLDER
        from tenor.data.pairs import triplets_from_nli
        from tenor.data.schema import read_pairs

        table = triplets_from_nli(read_pairs(FOLDER / "nli_train_pool" / "train.parquet"))
        return {name: texts[:6400] for name, texts in table.columns.items()}, None
    data = read("stsb", "train")
    if workload == "mnr_stsb":
        return {"anchor": data["sentence1"], "positive": data["sentence2"]}, None
    scores = [score / 5 for score in data["score"]]
    return {"sentence1": data["sentence1"], "sentence2": data["sentence2"]}, scores


def train_ours(workload: str, seed: int, steps: int) -> tuple[float, int, Any]:
    import numpy as np

    from tenor import Embedder
    from tenor.training.batch import TrainingData
    from tenor.training.memory import keep_freed_memory
    from tenor.training.objectives import make_objective
    from tenor.training.steps import Plain

    keep_freed_memory()
    columns, scores = columns_of(workload)
    rows = len(next(iter(columns.values())))
    limit = min(rows, steps * BATCH) if steps else rows
    model = Embedder.load(MODEL, device="cpu")
    start = time.perf_counter()
    data = TrainingData.of(
        {name: texts[:limit] for name, texts in columns.items()},
        None if scores is None else np.asarray(scores[:limit], dtype=np.float32),
        model.tokenizer,
    )
    objective = make_objective(workload.split("_")[0], dimensions=model.dimensions)
    seconds = run_ours(
        model, Plain(objective), data, start=start, objective=objective,
        batch_size=BATCH, learning_rate=LEARNING_RATE, warmup=WARMUP, seed=seed,
    )  # fmt: skip
    return seconds, limit, model.encode


def train_theirs(workload: str, seed: int, steps: int, bf16: bool) -> tuple[float, int, Any]:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer import losses

    columns, scores = columns_of(workload)
    rows = len(next(iter(columns.values())))
    limit = min(rows, steps * BATCH) if steps else rows
    rows_of: dict[str, Any] = {name: texts[:limit] for name, texts in columns.items()}
    if scores is not None:
        rows_of["score"] = scores[:limit]
    model = SentenceTransformer(model_folder(), device="cpu")
    kind = {
        "mnr": losses.MultipleNegativesRankingLoss,
        "cosine": losses.CosineSimilarityLoss,
        "cosent": losses.CoSENTLoss,
    }[workload.split("_")[0]]
    settings = {
        "learning_rate": LEARNING_RATE, "warmup_steps": WARMUP, "seed": seed, "bf16": bf16,
        "batch_sampler": in_our_order(limit, BATCH, seed),
    }  # fmt: skip
    start = time.perf_counter()
    seconds, _ = run_theirs(
        SentenceTransformerTrainer, SentenceTransformerTrainingArguments, batch=BATCH, start=start,
        settings=settings, model=model, train_dataset=Dataset.from_dict(rows_of), loss=kind(model),
    )  # fmt: skip

    def encode(texts: list[str]) -> Any:
        return model.encode(texts, batch_size=128, show_progress_bar=False)

    return seconds, limit, encode


def side(name: str, workload: str) -> None:
    import torch

    torch.set_num_threads(THREADS)

    def train(seed: int, steps: int) -> tuple[float, int, Any]:
        if name == "tenor":
            return train_ours(workload, seed, steps)
        return train_theirs(workload, seed, steps, bf16=name.endswith("bf16"))

    serve_training(train, spearman)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--workload", default="mnr_stsb", choices=WORKLOADS)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer", default="sentence-transformers", help="of --quality")
    given = parser.parse_args()
    if given.side:
        side(given.side, given.workload)
    elif given.quality:
        quality(given.workload, given.seeds, given.steps, given.peer)
    else:
        speed(given.workload, given.turns, given.steps)


def speed(workload: str, turns: int, steps: int) -> None:
    sides = [Side("train", name, ["--workload", workload]) for name in SIDES]
    rows = time_in_turns(sides, turns, steps, "rows", lambda _: {})
    write(f"train_{workload}_speed", {"steps": steps, "batch": BATCH, "sides": rows})


def quality(workload: str, seeds: int, steps: int, peer: str) -> None:
    sides = [Side("train", name, ["--workload", workload]) for name in ("tenor", peer)]
    rows = compare_quality(sides, seeds, steps)
    write(
        f"train_{workload}_quality",
        {"batch": BATCH, "seeds": seeds,
            "steps": steps, "sides": rows,
         "difference": rows[0]["mean"] - rows[1]["mean"]},
    )  # fmt: skip


if __name__ == "__main__":
    main()
