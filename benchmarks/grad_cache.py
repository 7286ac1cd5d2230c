"""Peak memory of an optimiser step: 64 pairs plain, and 4,096 pairs with cached gradients.

Each in a process of its own. Pairs are STS-B's training pairs, the loss multiple negatives ranking.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from benchmarks._data import MODEL
from benchmarks._sides import THREADS, Side, serve, write
from benchmarks.train import columns_of

SIDES = {"64 plain": (64, 0), "4096 cached": (4096, 1024)}


def side(name: str) -> None:
    from tenor.models.bulk import keep_few_kernels

    pairs, chunk = SIDES[name]
    if chunk:
        keep_few_kernels()  # as the recipe does with cached gradients
    import numpy as np
    import torch

    from tenor import Embedder
    from tenor.training.batch import TrainingData
    from tenor.training.memory import keep_freed_memory
    from tenor.training.objectives import make_objective
    from tenor.training.steps import GradCache, Plain
    from tenor.training.vocabulary import UsedVocabulary

    torch.set_num_threads(THREADS)
    keep_freed_memory()
    model = Embedder.load(MODEL, device="cpu").train()
    columns, _ = columns_of("mnr_stsb")
    data = TrainingData.of(columns, None, model.tokenizer)
    objective = make_objective("mnr", dimensions=model.dimensions)
    step = GradCache(objective, chunk) if chunk else Plain(objective)
    # as the trainer does, which gives no gradient to words that the data has not
    embedding = UsedVocabulary.applies(model, weight_decay=0.0)
    assert embedding is not None
    data = UsedVocabulary(embedding, data).data
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, fused=True)

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        start = time.perf_counter()
        loss = step(model, data.batch(np.arange(pairs)))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return {"seconds": time.perf_counter() - start, "loss": float(loss.detach())}

    serve({}, turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    given = parser.parse_args()
    if given.side:
        side(given.side)
        return
    rows = []
    for name in SIDES:
        one = Side("grad_cache", name, [])
        for _ in range(2):
            one.turn({})
        rows.append({"side": name, **one.turns[-1]})
        one.close()
        print(rows[-1], flush=True)
    write("grad_cache", {"sides": rows})


if __name__ == "__main__":
    main()
