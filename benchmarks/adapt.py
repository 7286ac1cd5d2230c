"""`tenor adapt` of all-MiniLM-L6-v2 to MedQuAD and to travel.stackexchange, with their own pairs.

Two stages: pairs that the training texts make of themselves (the inverse cloze task), then the
training pairs; and, as an ablation, the training pairs alone. Measured on the retrieval test of
each, nDCG@10 over all its queries, before and after every stage; differences are paired over the
queries. travel.stackexchange is searched whole, MedQuAD in the documents that answer a query and
every fifth of the others. Nothing of the tests is seen in training.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._data import MODEL, read
from benchmarks._sides import THREADS, write
from benchmarks.search import training_pairs

WORKLOADS = ("medquad", "travel_se")
EVERY = {"medquad": 5, "travel_se": 1}


def store(folder: Path, name: str, columns: dict[str, list[Any]]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table(columns), path)
    return str(path)


def task(workload: str, folder: Path) -> int:
    """The retrieval test, with fewer documents that answer nothing; how many documents it has."""
    corpus, queries, qrels = (read(workload, name) for name in ("corpus", "queries", "qrels"))
    needed = {*qrels["doc_id"], *queries["id"]}
    names = enumerate(corpus["id"])
    kept = [row for row, name in names if name in needed or row % EVERY[workload] == 0]
    documents = {key: [corpus[key][row] for row in kept] for key in ("id", "text")}
    store(folder, "corpus", documents)
    store(folder, "queries", {key: queries[key] for key in ("id", "text")})
    store(folder, "qrels", qrels)
    return len(kept)


def run(workload: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    from tenor.recipes.adapt import AdaptConfig, adapt

    documents = task(workload, folder / "task")
    pairs = training_pairs(workload, given.rows)
    texts = list(dict.fromkeys(pairs["positive"]))
    result = adapt(
        AdaptConfig(
            text=store(folder, "texts", {"text": texts}), pairs=store(folder, "pairs", pairs),
            evaluate=str(folder / "task"), out=str(folder / "run"), model=MODEL,
            stages=("cloze", "contrastive"), ablation=True, max_texts=given.texts,
            max_seq_length=given.tokens, supervised_learning_rate=given.learning_rate,
            seed=given.seed, device="cpu",
        )
    )  # fmt: skip
    kept = ("metric", "metrics", "differences", "adaptation_helps", "best", "kept", "seconds")
    return {
        "workload": workload, "documents": documents, "pairs": len(pairs["anchor"]),
        "texts": min(given.texts, len(texts)), **{key: result[key] for key in kept},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="all by default")
    parser.add_argument("--rows", type=int, default=2_560, help="training pairs")
    parser.add_argument("--texts", type=int, default=1_500, help="of the stage without labels")
    parser.add_argument("--tokens", type=int, default=128, help="of a text that count")
    parser.add_argument("--learning-rate", type=float, default=5e-5, help="of the labelled stage")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(THREADS)
    for workload in given.workload or WORKLOADS:
        with tempfile.TemporaryDirectory() as scratch:
            row = run(workload, Path(scratch), given)
        print(row, flush=True)
        settings = {key: getattr(given, key) for key in ("tokens", "learning_rate", "seed")}
        write(f"adapt_{workload}", {**settings, **row})


if __name__ == "__main__":
    main()
