"""Tiny local data for tests of mteb and of comparisons, one folder a kind of task."""

import numpy as np

from tiny import random_texts, write_csv
from tiny_labels import random_labelled


def write_tasks(folder, *, rows=24):
    """Folders `sts`, `same`, `topics` and `help` under one, as `--data` takes them."""
    left, right = random_texts(rows, seed=1), random_texts(rows, seed=2)
    left[3] = right[4] = left[0]  # texts that stand there twice
    for name in ("sts", "same", "topics", "help"):
        (folder / name).mkdir(parents=True)
    pairs = {"sentence1": left, "sentence2": right}
    scores = np.random.default_rng(3).uniform(0, 5, rows).round(2)
    write_csv(folder / "sts" / "test.csv", {**pairs, "score": scores})
    write_csv(folder / "same" / "test.csv", {**pairs, "label": np.arange(rows) % 2})
    for split, seed in (("train", 0), ("test", 9)):
        texts, labels = random_labelled(2 * rows, seed=seed)
        write_csv(folder / "topics" / f"{split}.csv", {"text": texts, "label": labels})
    write_retrieval(folder / "help", documents=rows, queries=8)
    return folder


def write_retrieval(folder, *, documents=24, queries=8, candidates=0):
    """A BEIR-style folder in which every query has one relevant document."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = random_texts(documents, seed=5, words=(4, 10))
    asked = [" ".join(text.split()[:3]) for text in texts[:queries]]
    names = [f"q{number}" for number in range(queries)]
    tables = {
        "corpus": {"id": [f"d{number}" for number in range(documents)], "text": texts},
        "queries": {"id": names, "text": asked},
        "qrels": {
            "query_id": names,
            "doc_id": [f"d{number}" for number in range(queries)],
            "score": [1] * queries,
        },
    }
    if candidates:
        tables["candidates"] = {
            "query_id": [name for name in names for _ in range(candidates)],
            "doc_id": [f"d{number}" for _ in names for number in range(candidates)],
        }
    folder.mkdir(exist_ok=True)
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
