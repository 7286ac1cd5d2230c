"""Mistakes planted in real data: does `tenor plan` find and name them?

Banking77: 40 texts of the test split put into the training split with their labels (a leak), 2 % of
the training labels changed for others, and one class left with a single text. MedQuAD: answers as
they are, of which many are longer than the model reads. The same files without the plants go
through the plan as well, so that what it says of those shows how often it warns for nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import FOLDER, read
from benchmarks._sides import THREADS, write
from benchmarks.plan import tenor

LEAKED, FLIPPED = 40, 0.02
LONELY = 12  # the place, by name, of the class that is left with one text


def store(path: Path, texts: list[str], labels: list[str]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": texts, "label": labels}), path)
    return str(path)


def plant(folder: Path, seed: int) -> tuple[list[str], dict[str, set[str]]]:
    """The files of Banking77 with the mistakes, and the texts that they were made in."""
    generator = np.random.default_rng(seed)
    train, test = read("banking77", "train"), read("banking77", "test")
    texts, labels = list(train["text"]), [str(label) for label in train["label"]]
    alone = sorted(set(labels))[LONELY]
    lonely = [row for row, label in enumerate(labels) if label == alone]
    kept = sorted(set(range(len(texts))) - set(lonely[1:]))
    texts, labels = [texts[row] for row in kept], [labels[row] for row in kept]
    names = sorted(set(labels))
    flipped = [
        int(row)
        for row in generator.permutation(len(texts))[: round(FLIPPED * len(texts))]
        if labels[row] != alone
    ]
    for row in flipped:
        labels[row] = str(
            generator.choice([name for name in names if name not in (alone, labels[row])])
        )
    others = [row for row, label in enumerate(test["label"]) if str(label) != alone]
    rows = generator.permutation(others)[:LEAKED]
    leaked = [test["text"][row] for row in rows]
    texts += leaked
    labels += [str(test["label"][row]) for row in rows]
    files = [
        store(folder / "train.parquet", texts, labels),
        store(folder / "test.parquet", test["text"], [str(label) for label in test["label"]]),
    ]
    return files, {"flipped": {texts[row] for row in flipped}, "leaked": set(leaked)}


def tenor_plan(files: list[str], *flags: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tenor("plan", *files, *flags, "--json").out)
    return found


def told(plan: dict[str, Any], made: dict[str, set[str]] | None) -> list[dict[str, Any]]:
    """What a plan says; of its examples, how many are among what was planted."""
    lines = []
    for finding in plan["findings"]:
        line = {key: finding[key] for key in ("code", "severity", "figures")}
        line["message"] = finding["message"].split("; the first on")[0].split(". ")[0]
        planted = {"leak": "leaked", "label_noise": "flipped"}.get(finding["code"])
        if made is not None and planted:
            examples = [one["text"].removesuffix("...") for one in finding["examples"]]
            line["examples"] = len(examples)
            line["examples_planted"] = sum(
                any(text.startswith(example) for text in made[planted]) for example in examples
            )
        lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    clean = [str(FOLDER / "banking77" / f"{split}.parquet") for split in ("train", "test")]
    answers = {"banking77 as it is": told(tenor_plan(clean), None)}
    with tempfile.TemporaryDirectory() as scratch:
        files, made = plant(Path(scratch), given.seed)
        answers["banking77 with the mistakes"] = told(tenor_plan(files), made)
    columns = ("--columns.anchor", "question", "--columns.positive", "answer")
    answers["medquad"] = told(
        tenor_plan([str(FOLDER / "medquad" / "train.parquet")], *columns), None
    )
    for name, lines in answers.items():
        for line in lines:
            print(f"{name}: {line}", flush=True)
    planted = {name: len(texts) for name, texts in made.items()}
    write("planted", {"threads": THREADS, "planted": {**planted, "class_of_one": 1}, **answers})


if __name__ == "__main__":
    main()
