"""The freeze sweep beside seven runs of transformers.Trainer, on Rotten Tomatoes.

Both train all-MiniLM-L6-v2 as a classifier seven times, with 0, 1, … all 6 blocks frozen, three
epochs each, batch 16, and measure each model on the whole test set. Tenor: `tenor sweep freeze`.
The peers: `Trainer` with its defaults, and with bf16, and `requires_grad` off in the embeddings
and the frozen blocks (all of them at depth 0 trained). Same rows and their order, updates,
learning rate (5e-5, the head's too) and linear schedule. The clock runs from reading the files to
the last depth's figure.

`--rows` trains on so many rows, spread over the training split; 0 on all.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._data import MODEL, model_folder
from benchmarks._sides import THREADS, Side, first_peak, ratios, serve, write
from benchmarks.labelled import data_file, sentences, training_file

SIDES = ("tenor", "transformers bf16", "transformers")
BATCH, BLOCKS = 16, 6
RATE = 5e-5


def ours(train: Path, out: Path, seed: int, epochs: int, depths: list[int]) -> list[float]:
    from tenor.recipes.sweep import FreezeSweepConfig, sweep_freeze

    found = sweep_freeze(
        FreezeSweepConfig(
            train=str(train), test=str(data_file("rotten_tomatoes", "test")), out=str(out),
            model=MODEL, depths=",".join(map(str, depths)), epochs=epochs, batch_size=BATCH,
            warmup=0.0, seed=seed, device="cpu", learning_rate=RATE, head_learning_rate=RATE,
        )
    )  # fmt: skip
    return [row["test"]["metrics"]["macro_f1"] for row in found["rows"]]


def theirs(
    train: Path, out: Path, seed: int, epochs: int, depths: list[int], bf16: bool
) -> list[float]:
    import torch
    from sklearn.metrics import f1_score
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    from tenor.tokens.plan import TrainingPlan

    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    rows, names = sentences(train, tokenizer)
    test, _ = sentences(data_file("rotten_tomatoes", "test"), tokenizer)
    plan = TrainingPlan(len(rows), BATCH, seed)
    ordered = [rows[row] for epoch in range(epochs) for row in plan.order(epoch).tolist()]
    figures = []
    for depth in depths:
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(
            model_folder(), id2label=dict(enumerate(names))
        )
        if depth:
            for frozen in (model.bert.embeddings, *model.bert.encoder.layer[:depth]):
                frozen.requires_grad_(False)
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=str(out), num_train_epochs=1, per_device_train_batch_size=BATCH,
                learning_rate=RATE, seed=seed, bf16=bf16,
                use_cpu=True, save_strategy="no", report_to="none", disable_tqdm=True,
                logging_strategy="no", dataloader_pin_memory=False,
                train_sampling_strategy="sequential",
            ),
            train_dataset=ordered,
            data_collator=DataCollatorWithPadding(tokenizer),
        )  # fmt: skip
        trainer.train()
        trainer.save_model(str(out / f"depth-{depth}"))
        found = trainer.predict(test)
        predicted = found.predictions.argmax(-1)
        figures.append(float(f1_score(found.label_ids, predicted, average="macro")))
    return figures


def side(name: str) -> None:
    import torch

    torch.set_num_threads(THREADS)

    def run(seed: int, rows: int, epochs: int, depths: list[int]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            train, out = training_file("rotten_tomatoes", Path(folder), rows), Path(folder) / "run"
            start = time.perf_counter()
            if name == "tenor":
                figures = ours(train, out, seed, epochs, depths)
            else:
                figures = theirs(train, out, seed, epochs, depths, bf16=name.endswith("bf16"))
            seconds = time.perf_counter() - start
        return {"seconds": seconds, "rate": 1 / seconds, "f1": figures}

    run(0, 4 * BATCH, 1, [0])

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        return run(request["seed"], request["rows"], 3, list(range(BLOCKS + 1)))

    serve({}, turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--rows", type=int, default=1_600)
    parser.add_argument("--seeds", type=int, default=3, help="turns, each with its own seed")
    parser.add_argument("--sides", type=int, default=2, help="3: also the Trainer's defaults")
    parser.add_argument("--name", default="", help="of the results, behind freeze_sweep")
    given = parser.parse_args()
    if given.side:
        side(given.side)
        return
    sides = [Side("freeze_sweep", name, []) for name in SIDES[: given.sides]]
    for seed in range(given.seeds):
        for one in sides:
            found = one.turn({"seed": seed, "rows": given.rows})
            print(f"seed {seed}: {one.name}: {found}", flush=True)
    rows = [row(one, sides[0]) for one in sides]
    write(f"freeze_sweep{given.name}", {"rows": given.rows, "threads": THREADS, "sides": rows})
    for found in rows:
        print(found)
    for one in sides:
        one.close()


def row(one: Side, ours: Side) -> dict[str, Any]:
    by_depth = list(zip(*(turn["f1"] for turn in one.turns), strict=True))
    return {
        "side": one.name,
        "f1_by_depth": [list(values) for values in by_depth],
        "means": [statistics.mean(values) for values in by_depth],
        "seconds": [turn["seconds"] for turn in one.turns],
        "peak_mib": first_peak(one),
        "tenor_is_faster": None if one is ours else ratios(ours, one),
    }


if __name__ == "__main__":
    main()
