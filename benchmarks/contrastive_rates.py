"""Which learning rate `tenor train contrastive` should have by default, for small encoders.

all-MiniLM-L6-v2 is trained for an epoch on pairs (MedQuAD, travel.stackexchange), scored pairs
(STS-B), NLI and labelled pairs (Twitter URL), each by the loss that is the default for them, with
all else by default too but the texts' length (`--tokens`). Measured on validation rows, never on a
test: every rate against the first, paired over the rows. NLI is measured on STS-B's validation
pairs, out of its own domain, which is what people train on it for.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import MODEL, read
from benchmarks._sides import THREADS, write
from benchmarks.adapt import store

COLUMNS = {  # of the rows, by their role
    "medquad": {"anchor": "question", "positive": "answer"},
    "travel_se": {"anchor": "query_title", "positive": "doc_title"},
    "stsb": {name: name for name in ("sentence1", "sentence2", "score")},
    "nli": {name: name for name in ("premise", "hypothesis", "label")},
    "twitter_url": {name: name for name in ("sentence1", "sentence2", "label")},
}
SPLITS = {  # training and validation; Twitter has no validation rows of its own: a tenth is held
    "nli": (("nli_train_pool", "train"), ("stsb", "validation")),
    "twitter_url": (("twitter_url", "train"), None),
}


def spread(columns: dict[str, list[Any]], rows: int) -> dict[str, list[Any]]:
    """So many of the rows, evenly spread."""
    total = len(next(iter(columns.values())))
    kept = np.linspace(0, total - 1, min(rows, total)).astype(int)
    return {name: [values[row] for row in kept] for name, values in columns.items()}


def prepare(name: str, folder: Path, rows: int) -> tuple[str, str]:
    """Files of training and of validation rows."""
    roles = COLUMNS[name]
    train, held = SPLITS.get(name, ((name, "train"), (name, "validation")))
    data = {role: read(*train)[column] for role, column in roles.items()}
    if held is None:
        order = np.random.default_rng(0).permutation(len(data["label"]))
        cut = len(order) // 10
        parts = [
            {role: [values[row] for row in part] for role, values in data.items()}
            for part in (order[cut:], order[:cut])
        ]
        data, validation = parts
    else:
        roles = COLUMNS.get(held[0], roles)
        validation = {role: read(*held)[column] for role, column in roles.items()}
    return store(folder, "train", spread(data, rows)), store(folder, "validation", validation)


def run(name: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    from tenor import ContrastiveConfig, Embedder, train_contrastive
    from tenor.data.schema import read_pairs
    from tenor.evaluation.compare import difference
    from tenor.evaluation.validation import validation

    train, held = prepare(name, folder, given.rows)
    measure, metric = validation(read_pairs(held))
    base = measure(Embedder.load(MODEL, max_seq_length=given.tokens))
    runs = []
    for seed in range(given.seeds):
        first = None
        for rate in given.rates:
            out = folder / f"{seed}-{rate:g}"
            trained = train_contrastive(
                ContrastiveConfig(
                    train=train, out=str(out), learning_rate=rate, seed=seed, model=MODEL,
                    max_seq_length=given.tokens, symmetric=given.symmetric,
                )
            )  # fmt: skip
            found = measure(Embedder.load(out / "model", max_seq_length=given.tokens))
            first = first or found
            runs.append(
                {
                    "seed": seed, "rate": rate, "value": found.metrics[metric],
                    "against_first": difference(first, found, metric),
                    "against_untouched": difference(base, found, metric),
                    "loss": trained["loss"], "steps": trained["steps"],
                    "train_seconds": trained["train_seconds"],
                }
            )  # fmt: skip
            print(name, runs[-1], flush=True)
    means = {
        f"{rate:g}": statistics.mean(one["value"] for one in runs if one["rate"] == rate)
        for rate in given.rates
    }
    return {
        "data": name, "rows": given.rows, "tokens": given.tokens, "symmetric": given.symmetric,
        "seeds": given.seeds, "metric": metric, "n": base.n, "untouched": base.metrics[metric],
        "means": means, "runs": runs, "threads": THREADS,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=list(COLUMNS))
    parser.add_argument("--rates", nargs="+", type=float, default=[2e-5, 5e-5, 1e-4, 2e-4])
    parser.add_argument("--rows", type=int, default=10_000, help="to train on, at most")
    parser.add_argument("--tokens", type=int, default=128, help="of a text that count")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--symmetric", action="store_true", help="rank both ways")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(THREADS)
    for name in given.names:
        with tempfile.TemporaryDirectory() as scratch:
            found = run(name, Path(scratch), given)
        print(name, found["untouched"], found["means"], flush=True)
        both = "_both_ways" if given.symmetric else ""
        write(f"contrastive_rates_{name}{both}", found)


if __name__ == "__main__":
    main()
