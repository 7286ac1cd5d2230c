"""Mined hard negatives against in-batch negatives alone, on MedQuAD: nDCG@10, three seeds.

Both sides train all-MiniLM-L6-v2 by multiple negatives ranking on the same question-answer pairs,
in the same order, with the same number of updates; one of them gets mined negatives beside the
in-batch ones. Texts are cut at `--tokens`; retrieval is the test questions against the relevant
answers and every fourth of the rest, so that the whole takes minutes on two cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from typing import Any

from benchmarks._data import MODEL, read
from benchmarks._sides import THREADS, write

BATCH, LEARNING_RATE = 32, 3e-5


def task() -> Any:
    from tenor.evaluation.retrieval import Retrieval

    corpus, queries, qrels = (read("medquad", name) for name in ("corpus", "queries", "qrels"))
    relevant = set(qrels["doc_id"])
    documents = {
        name: text
        for place, (name, text) in enumerate(zip(corpus["id"], corpus["text"], strict=True))
        if name in relevant or place % 4 == 0
    }
    judged: dict[str, dict[str, int]] = {}
    for query, document, score in zip(
        qrels["query_id"], qrels["doc_id"], qrels["score"], strict=True
    ):
        judged.setdefault(query, {})[document] = score
    return Retrieval(documents, dict(zip(queries["id"], queries["text"], strict=True)), judged)


def train(columns: dict[str, list[str]], seed: int, tokens: int) -> Any:
    from tenor import Embedder
    from tenor.training.arguments import TrainingArguments
    from tenor.training.batch import TrainingData
    from tenor.training.objectives import make_objective
    from tenor.training.steps import Plain
    from tenor.training.trainer import Trainer

    model = Embedder.load(MODEL, device="cpu", max_seq_length=tokens)
    data = TrainingData.of(columns, None, model.tokenizer)
    objective = make_objective("mnr", dimensions=model.dimensions)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model, Plain(objective), data,
            TrainingArguments(
                epochs=1, batch_size=BATCH, learning_rate=LEARNING_RATE, seed=seed,
                save_every=1_000_000,
            ),
            folder, objective=objective,
        )  # fmt: skip
        trainer.train()
        trainer.finish()
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_560)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--negatives", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    import torch

    from tenor import Embedder
    from tenor.data.negative_rules import NegativeRules
    from tenor.evaluation.compare import difference
    from tenor.recipes.hard_negatives import hard_negatives
    from tenor.training.memory import keep_freed_memory

    torch.set_num_threads(THREADS)
    keep_freed_memory()
    every = read("medquad", "train")
    step = len(every["question"]) // given.rows
    anchors = every["question"][::step][: given.rows]
    positives = every["answer"][::step][: given.rows]
    base = Embedder.load(MODEL, device="cpu", max_seq_length=given.tokens)
    found = hard_negatives(
        base, anchors, positives, every["answer"][::2] + positives,
        rules=NegativeRules(negatives=given.negatives),
    )  # fmt: skip
    print(found.report, flush=True)
    kept = [row for row, texts in enumerate(found.negatives) if len(texts) == given.negatives]
    plain = {
        "anchor": [anchors[row] for row in kept],
        "positive": [positives[row] for row in kept],
    }
    mined = dict(plain)
    for number in range(given.negatives):
        name = "negative" if number == 0 else f"negative_{number + 1}"
        mined[name] = [found.negatives[row][number] for row in kept]
    measure = task()
    before = measure(base)
    print("before", before.metrics["ndcg@10"], before.intervals["ndcg@10"], flush=True)
    values: dict[str, list[float]] = {"in-batch": [], "mined": []}
    differences = []
    for seed in range(given.seeds):
        results = {}
        for name, columns in (("in-batch", plain), ("mined", mined)):
            results[name] = measure(train(columns, seed, given.tokens))
            values[name].append(results[name].metrics["ndcg@10"])
        differences.append(difference(results["in-batch"], results["mined"], "ndcg@10"))
        print(seed, {name: v[-1] for name, v in values.items()}, differences[-1], flush=True)
    write(
        "mining_medquad",
        {
            "rows": len(kept), "tokens": given.tokens, "negatives": given.negatives,
            "updates": -(-len(kept) // BATCH), "queries": before.n,
            "before_ndcg@10": before.metrics["ndcg@10"],
            "ndcg@10": values,
            "mean": {name: statistics.mean(v) for name, v in values.items()},
            "mined_minus_in_batch": differences,
            "report": found.report,
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
