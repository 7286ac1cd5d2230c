"""Few-shot classification beside SetFit: eight texts a class, from a file to a saved model.

Workloads: `trec` (6 classes), `rotten_tomatoes` (2), `banking77` (77). Each seed draws its own
eight texts of every class, the same for all sides. Sides: `tenor` (its defaults), `setfit` (1.2,
its defaults: every pair, oversampled, batch 16, one epoch), and either with `:STEPS` behind for so
many steps of the contrastive stage: on banking77 SetFit's default is over 23,000 steps, so that it
is run with `--sides setfit:1000`, and with more and fewer to see where it stops improving. `frozen`
is logistic regression on the untouched embedder's vectors, by `tenor train classifier --freeze
all --head logistic`.

The clock runs from reading the file to the saved model, on every side; accuracy is that of the
whole test set, after it. `TENOR_BENCH_THREADS` says with how many threads all sides run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import MODEL, model_folder, read
from benchmarks._sides import THREADS, Side, first_peak, ratios, serve, write

SHOTS = 8
WORKLOADS = ("trec", "rotten_tomatoes", "banking77")


def shots(workload: str, seed: int, path: Path) -> Path:
    """Eight training texts of every class, drawn anew with each seed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = read(workload, "train")
    labels = np.asarray([str(label) for label in data["label"]])
    order = np.random.default_rng(seed).permutation(len(labels))
    rows = [row for name in np.unique(labels) for row in order[labels[order] == name][:SHOTS]]
    chosen = {"text": [data["text"][row] for row in rows], "label": labels[rows].tolist()}
    pq.write_table(pa.table(chosen), path)
    return path


def train_ours(name: str, train: Path, out: Path, seed: int) -> Any:
    shared: dict[str, Any] = {
        "train": str(train), "out": str(out), "model": MODEL, "seed": seed, "device": "cpu",
    }  # fmt: skip
    if name == "frozen":
        from tenor.recipes.classifier import ClassifierConfig, train_classifier

        train_classifier(ClassifierConfig(freeze="all", head="logistic", **shared))
    else:
        from tenor.recipes.few_shot import FewShotConfig, train_few_shot

        train_few_shot(FewShotConfig(steps=wanted_steps(name), **shared))
    return out / "model"


def wanted_steps(name: str) -> int | None:
    _, _, steps = name.partition(":")
    return int(steps) if steps else None


def train_theirs(name: str, train: Path, out: Path, seed: int) -> Any:
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(model_folder(), device="cpu")
    steps = wanted_steps(name)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(out), seed=seed, report_to="none", show_progress_bar=False,
            **({} if steps is None else {"max_steps": steps}),
        ),
        train_dataset=Dataset.from_parquet(str(train), cache_dir=str(out / "cache")),
    )  # fmt: skip
    trainer.train()
    model.save_pretrained(str(out / "model"))
    return model


def accuracy(model: Any, workload: str) -> float:
    data = read(workload, "test")
    if isinstance(model, Path):
        from tenor.models.classifier import TextClassifier

        predicted = TextClassifier.load(model, device="cpu").predict(data["text"])
    else:
        predicted = model.predict(data["text"], show_progress_bar=False)
    pairs = zip(predicted, data["label"], strict=True)
    return statistics.mean(str(one) == str(label) for one, label in pairs)


def side(name: str, workload: str) -> None:
    import torch

    torch.set_num_threads(THREADS)

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            train = shots(workload, request["seed"], Path(folder) / "train.parquet")
            out = Path(folder) / "run"
            start = time.perf_counter()
            way = train_theirs if name.startswith("setfit") else train_ours
            model = way(request.get("as") or name, train, out, request["seed"])
            seconds = time.perf_counter() - start
            found = 0.0 if request.get("as") else accuracy(model, workload)
        return {"seconds": seconds, "rate": 1 / seconds, "accuracy": found}

    turn({"seed": 0, "as": "frozen" if name == "frozen" else name.partition(":")[0] + ":4"})
    serve({}, turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--workload", choices=WORKLOADS, default="trec")
    parser.add_argument("--sides", default="tenor,frozen,setfit")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--name", default="", help="of the results, behind few_shot_WORKLOAD")
    given = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")
    if given.side:
        side(given.side, given.workload)
        return
    sides = [
        Side("few_shot", name, ["--workload", given.workload]) for name in given.sides.split(",")
    ]
    for seed in range(given.seeds):
        for one in sides:
            found = one.turn({"seed": seed})
            print(
                f"seed {seed}: {one.name}: {found['accuracy']:.4f} in {found['seconds']:.1f} s",
                flush=True,
            )
    rows = [row(one, sides[0]) for one in sides]
    write(
        f"few_shot_{given.workload}{given.name}",
        {"shots": SHOTS, "threads": THREADS, "sides": rows},
    )
    for found in rows:
        print(found)
    for one in sides:
        one.close()


def row(one: Side, ours: Side) -> dict[str, Any]:
    values = [turn["accuracy"] for turn in one.turns]
    return {
        "side": one.name,
        "accuracy": values,
        "mean": statistics.mean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else 0.0,
        "seconds": [turn["seconds"] for turn in one.turns],
        "peak_mib": first_peak(one),
        "tenor_is_faster": None if one is ours else ratios(ours, one),
    }


if __name__ == "__main__":
    main()
