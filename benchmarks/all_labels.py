"""With all labels: logistic regression on a frozen embedder against fine-tuning, with their times.

Workloads: `banking77` (77 classes) and `trec` (6), the whole public training split each. Ways, all
of all-MiniLM-L6-v2: `--head logistic`; everything trained, by the recipe's own settings; and the
same at one learning rate for all layers, 5e-5. Each runs by its command, in a process of its own,
with a tenth of the labels held out to choose the weights; then the model is measured on the test
split by `tenor evaluate classification`. Seconds are the training process's, from its start to its
end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._data import FOLDER, MODEL
from benchmarks._sides import THREADS, write
from benchmarks.plan import tenor

WORKLOADS = ("trec", "banking77")
WAYS: dict[str, list[str]] = {
    "frozen, logistic regression": ["--head", "logistic"],
    "fine-tuned": [],
    "fine-tuned, one rate": ["--learning-rate", "5e-5", "--head-learning-rate", "5e-5"],
}


def run(workload: str, way: str, seed: int, rows: int) -> dict[str, Any]:
    import numpy as np
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = pq.read_table(FOLDER / workload / "train.parquet")
        if rows:
            table = table.take(np.linspace(0, len(table) - 1, rows).astype(int))
        pq.write_table(table, folder / "train.parquet")
        trained = tenor(
            "train", "classifier", "--train", str(folder / "train.parquet"), "--hold-out", "0.1",
            "--model", MODEL, "--out", str(folder / "run"), "--seed", str(seed), *WAYS[way],
        )  # fmt: skip
        measured = tenor(
            "evaluate", "classification", str(folder / "run" / "model"),
            str(FOLDER / workload / "test.parquet"), "--json",
        )  # fmt: skip
    figures = json.loads(measured.out)["metrics"]
    kept = {name: figures[name] for name in ("accuracy", "macro_f1")}
    return {"rows": len(table), "seconds": trained.seconds, **kept}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="both by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0, help="of training, for trying; 0 for all")
    given = parser.parse_args()
    for workload in given.workload or WORKLOADS:
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for seed in range(given.seeds):
            for way, several in found.items():
                several.append(run(workload, way, seed, given.rows))
                print(workload, seed, way, several[-1], flush=True)
        rows = []
        for way, several in found.items():
            means = {key: statistics.mean(one[key] for one in several) for key in several[0]}
            accuracies = [one["accuracy"] for one in several]
            spread = statistics.stdev(accuracies) if len(several) > 1 else 0.0
            rows.append({"way": way, **means, "accuracy_deviation": spread, "runs": several})
        write(f"all_labels_{workload}", {"threads": THREADS, "seeds": given.seeds, "ways": rows})


if __name__ == "__main__":
    main()
