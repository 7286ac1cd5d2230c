"""What a time budget buys: `tenor auto` beside single recipes that a person would have chosen.

`tenor auto` gets a folder with the public splits and a budget. Each recipe by hand then trains, in
a process of its own, on the very rows that auto trained on, with the same validation rows, and
either as many minutes as auto's whole budget (`--hand budget`: its training is stopped by the
clock, `--max-minutes`) or as long as it takes (`--hand full`), or not at all (`--hand none`). Its
settings are those one would take from the documentation; none was tuned on these data.

All models are measured on the test rows that auto left for the end, by one code, and compared in
pairs. `chosen` is the recipe by hand that is best on the validation rows, which is what a person
would keep; `best_in_hindsight` is best on the test rows, which nobody could have known.

Data: medquad (questions and answers), banking77 (texts with 77 labels).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._data import FOLDER, MODEL
from benchmarks._sides import THREADS, write
from benchmarks.plan import tenor

SPLITS = {"medquad": ("train", "validation", "test"), "banking77": ("train", "test")}
COLUMNS = {"medquad": {"anchor": "question", "positive": "answer"}}
HAND: dict[str, dict[str, list[str]]] = {  # by name: the command's words and flags
    "medquad": {
        "contrastive": ["contrastive"],
        "contrastive, 1e-4, both ways": [
            "contrastive", "--learning-rate", "1e-4", "--symmetric",
        ],
    },
    "banking77": {
        "logistic regression": ["classifier", "--head", "logistic"],
        "fine-tuned": ["classifier", "--learning-rate", "1e-4", "--epochs", "5"],
    },
}  # fmt: skip
NO_CLOCK = ("logistic",)  # has no steps to stop


def prepare(name: str, folder: Path, rows: int) -> Path:
    """A folder with the splits; with `rows`, that many of each, for trying."""
    import numpy as np
    import pyarrow.parquet as pq

    data = folder / "data"
    data.mkdir()
    for split in SPLITS[name]:
        table = pq.read_table(FOLDER / name / f"{split}.parquet")
        if rows and rows < len(table):
            table = table.take(np.linspace(0, len(table) - 1, rows).astype(int))
        pq.write_table(table, data / f"{split}.parquet")
    return data


def by_hand(
    words: list[str], out: Path, data: Any, minutes: float | None
) -> tuple[dict[str, Any], float]:
    """Train a recipe on auto's own rows; its result, and the seconds of its process."""
    flags = ["--train", data.train.path, "--validation", data.validation.path, "--out", str(out)]
    if minutes is not None and not set(NO_CLOCK) & set(words):
        flags += ["--max-minutes", f"{minutes:g}"]
    ran = tenor("train", *words, *flags, "--json")
    result: dict[str, Any] = json.loads(ran.out)
    return result, ran.seconds


def compare(name: str, budget: str, hand: str, rows: int) -> dict[str, Any]:
    """Auto and the recipes by hand on one set."""
    from tenor.evaluation.compare import difference
    from tenor.recipes.auto import parse_budget
    from tenor.recipes.auto_data import read_back
    from tenor.recipes.auto_training import evaluation_of, load_trained

    with tempfile.TemporaryDirectory(prefix="tenor-auto-") as scratch:
        folder = Path(scratch)
        out = folder / "auto"
        columns = [
            part
            for role, column in COLUMNS.get(name, {}).items()
            for part in (f"--columns.{role}", column)
        ]
        given = prepare(name, folder, rows)
        ran = tenor("auto", str(given), "--budget", budget, "--out", str(out), *columns, "--json")
        found = json.loads(ran.out)
        data = read_back(out)
        assert data is not None
        minutes = parse_budget(budget) / 60 if hand == "budget" else None
        evaluation = evaluation_of(data, data.test)
        metric = evaluation.metric

        def measure(model: str) -> Any:
            loaded = load_trained(data, model, device="auto", dtype="auto")
            return evaluation.measure(loaded)

        ours = measure(str(out / "model"))
        low, high = ours.intervals[metric]
        sides = []
        recipes = {} if hand == "none" else HAND[name]
        for number, (title, words) in enumerate(recipes.items()):
            trained, seconds = by_hand(words, folder / f"hand-{number}", data, minutes)
            theirs = measure(str(folder / f"hand-{number}" / "model"))
            sides.append(
                {
                    "side": title,
                    "command": ["train", *words],
                    "seconds": seconds,
                    "steps": trained.get("steps"),
                    "stopped": trained.get("stopped"),
                    "validation": trained["after"]["metrics"][trained["metric"]],
                    "test": theirs.metrics[metric],
                    "interval": list(theirs.intervals[metric]),
                    "auto_minus_hand": difference(theirs, ours, metric),
                }
            )
            print(sides[-1], flush=True)
    chosen = max(sides, key=lambda side: side["validation"], default={"side": None})
    hindsight = max(sides, key=lambda side: side["test"], default={"side": None})
    return {
        "data": name,
        "metric": metric,
        "rows": found["data"]["rows"],
        "auto": {
            "kept": found["kept"],
            "validation": found["validation"]["value"],
            "test": ours.metrics[metric],
            "interval": [low, high],
            "seconds": ran.seconds,
            "budget_seconds": found["budget_seconds"],
            "used_seconds": found["used_seconds"],
            "candidates": [
                {key: each[key] for key in ("name", "status", "value", "steps", "seconds")}
                for each in found["candidates"]
            ],
        },
        "by_hand": sides,
        "chosen": chosen["side"],
        "best_in_hindsight": hindsight["side"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=HAND, default=list(HAND))
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--hand", choices=("budget", "full", "none"), default="budget")
    parser.add_argument("--rows", type=int, default=0, help="of each file, for trying; 0 for all")
    given = parser.parse_args()
    for name in given.sets:
        found = compare(name, given.budget, given.hand, given.rows)
        print(found, flush=True)
        write(
            f"auto_{name}_alone" if given.hand == "none" else f"auto_{name}",
            {
                "threads": THREADS, "model": MODEL, "budget": given.budget, "hand": given.hand,
                "of_each_file": given.rows or "all rows", **found,
            },
        )  # fmt: skip


if __name__ == "__main__":
    main()
