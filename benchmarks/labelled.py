"""Classifiers and taggers beside transformers.Trainer, from a file to a saved model.

Workloads: `rotten_tomatoes` (everything trained, batch 16, learning rate 2e-5, one epoch),
`rotten_tomatoes_frozen` (the first 5 of 6 blocks frozen, three epochs), `conll2003` (named
entities, batch 16, learning rate 5e-5, one epoch). Sides: tenor (its default), transformers.Trainer
with its defaults and with bf16; in the frozen workload the peer's frozen parameters take no
gradient. Same weights, rows and their order, batch size, number of updates, learning rate and
linear schedule; the new layer's random weights and the dropout masks differ. The clock runs from
reading the file to the saved model, on every side.

`--speed` trains on `--rows` rows in turns; `--quality` on all over several seeds. After each turn
the saved model is measured on the test set, outside the clock, by one code for all sides.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import FOLDER, MODEL, model_folder
from benchmarks._sides import THREADS, Side, first_peak, serve, speed_rows, write

SIDES = ("tenor", "transformers", "transformers bf16")
BATCH = 16
FROZEN = 5
SETTINGS: dict[str, dict[str, Any]] = {
    "rotten_tomatoes": {"learning_rate": 2e-5, "epochs": 1},
    "rotten_tomatoes_frozen": {"learning_rate": 2e-5, "epochs": 3},
    "conll2003": {"learning_rate": 5e-5, "epochs": 1},
}


def data_file(workload: str, split: str) -> Path:
    return FOLDER / workload.removesuffix("_frozen") / f"{split}.parquet"


def training_file(workload: str, folder: Path, rows: int) -> Path:
    """The first rows, spread over the training split, in a file of their own."""
    import pyarrow.parquet as pq

    table = pq.read_table(data_file(workload, "train"))
    if rows and rows < len(table):
        table = table.take(np.linspace(0, len(table) - 1, rows).astype(int))
    pq.write_table(table, folder / "train.parquet")
    return folder / "train.parquet"


def train_ours(workload: str, train: Path, out: Path, seed: int) -> None:
    shared: dict[str, Any] = {
        "train": str(train), "out": str(out), "model": MODEL, "batch_size": BATCH, "warmup": 0.0,
        "seed": seed, "device": "cpu", **SETTINGS[workload],
    }  # fmt: skip
    if workload == "conll2003":
        from tenor.recipes.tagger import TaggerConfig, train_tagger

        train_tagger(TaggerConfig(**shared))
        return
    from tenor.recipes.classifier import ClassifierConfig, train_classifier

    freeze = str(FROZEN) if workload.endswith("_frozen") else "none"
    rate = SETTINGS[workload]["learning_rate"]  # by default it is higher in the head
    train_classifier(ClassifierConfig(freeze=freeze, head_learning_rate=rate, **shared))


def sentences(path: Path, tokenizer: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Each text's tokens and its label's number."""
    import pyarrow.parquet as pq

    data = pq.read_table(path).to_pydict()
    names = sorted(set(data["label"]))
    found = tokenizer(data["text"], truncation=True, max_length=256)
    rows = [
        {"input_ids": ids, "attention_mask": mask, "labels": names.index(label)}
        for ids, mask, label in zip(
            found["input_ids"], found["attention_mask"], data["label"], strict=True
        )
    ]
    return rows, [str(name) for name in names]


def tagged_words(path: Path, tokenizer: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Each text's tokens, with a word's tag on its first one."""
    import pyarrow.parquet as pq

    data = pq.read_table(path).to_pydict()
    names = sorted({tag for tags in data["ner_tags"] for tag in tags})
    number = {name: place for place, name in enumerate(names)}
    found = tokenizer(data["tokens"], is_split_into_words=True, truncation=True, max_length=256)
    rows = []
    for row, tags in enumerate(data["ner_tags"]):
        labels, before = [], None
        for word in found.word_ids(row):
            labels.append(-100 if word is None or word == before else number[tags[word]])
            before = word
        rows.append(
            {
                "input_ids": found["input_ids"][row],
                "attention_mask": found["attention_mask"][row],
                "labels": labels,
            }
        )
    return rows, names


def train_theirs(workload: str, train: Path, out: Path, seed: int, bf16: bool) -> None:
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    from tenor.tokens.plan import TrainingPlan

    torch.manual_seed(seed)
    tagging = workload == "conll2003"
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    rows, names = (tagged_words if tagging else sentences)(train, tokenizer)
    auto = AutoModelForTokenClassification if tagging else AutoModelForSequenceClassification
    model = auto.from_pretrained(
        model_folder(),
        id2label=dict(enumerate(names)),
        label2id={name: place for place, name in enumerate(names)},
    )
    if workload.endswith("_frozen"):
        for frozen in (model.bert.embeddings, *model.bert.encoder.layer[:FROZEN]):
            frozen.requires_grad_(False)
    settings = SETTINGS[workload]
    plan = TrainingPlan(len(rows), BATCH, seed)
    epochs = [plan.order(epoch).tolist() for epoch in range(settings["epochs"])]
    collator = DataCollatorForTokenClassification if tagging else DataCollatorWithPadding
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(out), num_train_epochs=1, per_device_train_batch_size=BATCH,
            learning_rate=settings["learning_rate"], seed=seed, bf16=bf16, use_cpu=True,
            save_strategy="no", report_to="none", disable_tqdm=True, logging_strategy="no",
            dataloader_pin_memory=False, train_sampling_strategy="sequential",
        ),
        train_dataset=[rows[row] for order in epochs for row in order],
        data_collator=collator(tokenizer),
    )  # fmt: skip
    trainer.train()
    trainer.save_model(str(out / "model"))
    tokenizer.save_pretrained(str(out / "model"))


def measure(workload: str, model: Path) -> float:
    """Macro F1 of a classifier, span F1 of a tagger, on the test set in fp32."""
    test = str(data_file(workload, "test"))
    if workload == "conll2003":
        from tenor.data.tagging import read_tagged
        from tenor.evaluation.tagging import SpanEvaluation
        from tenor.models.tagger import Tagger

        tagger = Tagger.load(model, device="cpu", dtype="fp32")
        return float(SpanEvaluation(read_tagged(test))(tagger).metrics["f1"])
    from sklearn.metrics import f1_score

    from benchmarks._data import read
    from tenor.models.classifier import TextClassifier

    classifier = TextClassifier.load(model, device="cpu", dtype="fp32")
    data = read(workload.removesuffix("_frozen"), "test")
    predicted = classifier.predict(data["text"])
    return float(f1_score([str(label) for label in data["label"]], predicted, average="macro"))


def side(name: str, workload: str) -> None:
    import torch

    torch.set_num_threads(THREADS)

    def train(seed: int, rows: int, measured: bool) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = training_file(workload, Path(folder), rows)
            out = Path(folder) / "run"
            start = time.perf_counter()
            if name == "tenor":
                train_ours(workload, path, out, seed)
            else:
                train_theirs(workload, path, out, seed, bf16=name.endswith("bf16"))
            seconds = time.perf_counter() - start
            return {"seconds": seconds, "f1": measure(workload, out / "model") if measured else 0.0}

    train(0, 4 * BATCH, measured=False)

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        rows = request["rows"]
        found = train(request["seed"], rows, measured=True)
        return {**found, "rate": (rows or 1) / found["seconds"]}

    serve({}, turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--workload", choices=tuple(SETTINGS), default="rotten_tomatoes")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rows", type=int, default=2_560, help="of --speed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer", default=SIDES[2], help="of --quality")
    given = parser.parse_args()
    if given.side:
        side(given.side, given.workload)
        return
    names = SIDES if given.speed else (SIDES[0], given.peer)
    sides = [Side("labelled", name, ["--workload", given.workload]) for name in names]
    for number in range(given.turns if given.speed else given.seeds):
        for one in sides:
            found = one.turn({"seed": number, "rows": given.rows if given.speed else 0})
            print(
                f"turn {number + 1}: {one.name}: {found['seconds']:.1f} s, F1 {found['f1']:.4f}",
                flush=True,
            )
    if given.speed:
        rows = speed_rows(sides)
        for row, one in zip(rows, sides, strict=True):
            row["f1"] = [turn["f1"] for turn in one.turns]
        write(f"train_{given.workload}_speed", {"rows": given.rows, "sides": rows})
    else:
        rows = [quality_row(one) for one in sides]
        write(f"train_{given.workload}_quality", {"sides": rows})
    for row in rows:
        print(row)
    for one in sides:
        one.close()


def quality_row(one: Side) -> dict[str, Any]:
    values = [turn["f1"] for turn in one.turns]
    return {
        "side": one.name,
        "f1": values,
        "mean": statistics.mean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else 0.0,
        "seconds": [turn["seconds"] for turn in one.turns],
        "peak_mib": first_peak(one),
    }


if __name__ == "__main__":
    main()
