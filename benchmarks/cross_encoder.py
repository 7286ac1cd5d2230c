"""A cross-encoder on STS-B's training pairs, and scoring, beside sentence-transformers' own.

Sides: tenor (its default), sentence-transformers with its defaults, and with bf16. Same weights to
start from (all-MiniLM-L6-v2 and a head that a seed makes), rows and their order, batch size, number
of updates, learning rate, schedule and dropout; only the dropout masks differ between the sides.

`--speed` trains `--steps` steps in turns; `--quality` trains one epoch over several seeds and
measures Spearman on STS-B test; `--score` scores Twitter URL pairs in turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

from benchmarks._data import model_folder, read
from benchmarks._sides import THREADS, Side, serve, write
from benchmarks._training import (
    compare_quality,
    in_our_order,
    run_ours,
    run_theirs,
    serve_training,
    time_in_turns,
)

SIDES = ("tenor", "sentence-transformers", "sentence-transformers bf16")
BATCH, LEARNING_RATE, WARMUP = 32, 5e-5, 0.1
SCORED = 50_000


def training_rows(steps: int) -> tuple[list[str], list[str], list[float]]:
    data = read("stsb", "train")
    limit = min(len(data["score"]), steps * BATCH) if steps else len(data["score"])
    scores = [score / 5 for score in data["score"]]
    return data["sentence1"][:limit], data["sentence2"][:limit], scores[:limit]


def pairs_to_score(every: int) -> list[tuple[str, str]]:
    parts = [read("twitter_url", split) for split in ("train", "test")]
    pairs = [
        pair for part in parts for pair in zip(part["sentence1"], part["sentence2"], strict=True)
    ]
    return pairs[:SCORED:every]


def start_of(seed: int) -> str:
    """A folder with the encoder and a new head, which the peer makes from the seed."""
    import torch
    from sentence_transformers.cross_encoder import CrossEncoder

    folder = tempfile.mkdtemp()
    torch.manual_seed(seed)
    CrossEncoder(model_folder(), num_labels=1, device="cpu").save_pretrained(folder)
    return folder


def train_ours(seed: int, steps: int) -> tuple[float, int, Any]:
    import numpy as np

    from tenor.models.cross_encoder import CrossEncoder
    from tenor.training.memory import keep_freed_memory
    from tenor.training.pair_objectives import make_pair_objective, pair_data
    from tenor.training.steps import Plain

    keep_freed_memory()
    left, right, scores = training_rows(steps)
    model = CrossEncoder.load(start_of(seed), device="cpu")
    start = time.perf_counter()
    columns = {"sentence1": left, "sentence2": right}
    data = pair_data(columns, np.asarray(scores, dtype=np.float32), model.tokenizer)
    objective = make_pair_objective("bce")
    seconds = run_ours(
        model, Plain(objective), data, start=start, objective=objective,
        batch_size=BATCH, learning_rate=LEARNING_RATE, warmup=WARMUP, seed=seed,
    )  # fmt: skip
    return seconds, len(scores), model.score


def train_theirs(seed: int, steps: int, bf16: bool) -> tuple[float, int, Any]:
    import torch
    from datasets import Dataset
    from sentence_transformers.cross_encoder import (
        CrossEncoder,
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    left, right, scores = training_rows(steps)
    model = CrossEncoder(start_of(seed), device="cpu")
    torch.manual_seed(seed)
    settings = {
        "learning_rate": LEARNING_RATE, "warmup_steps": WARMUP, "seed": seed, "bf16": bf16,
        "batch_sampler": in_our_order(len(scores), BATCH, seed),
    }  # fmt: skip
    start = time.perf_counter()
    rows = Dataset.from_dict({"sentence1": left, "sentence2": right, "score": scores})
    seconds, _ = run_theirs(
        CrossEncoderTrainer, CrossEncoderTrainingArguments, batch=BATCH, start=start,
        settings=settings, model=model, train_dataset=rows, loss=BinaryCrossEntropyLoss(model),
    )  # fmt: skip

    def score(pairs: list[tuple[str, str]]) -> Any:
        return model.predict(pairs, show_progress_bar=False)

    return seconds, len(scores), score


def scorer(name: str) -> Any:
    """What scores pairs with the weights of a cross-encoder saved by sentence-transformers."""
    import torch

    folder = start_of(0)
    if name == "tenor":
        from tenor.models.cross_encoder import CrossEncoder

        return CrossEncoder.load(folder, device="cpu").score
    options: dict[str, Any] = {}
    if name.endswith("bf16"):
        options["model_kwargs"] = {"dtype": torch.bfloat16}
    from sentence_transformers.cross_encoder import CrossEncoder as Theirs

    theirs = Theirs(folder, device="cpu", **options)
    return lambda pairs: theirs.predict(pairs, batch_size=128, show_progress_bar=False)


def spearman(score: Any) -> float:
    from scipy.stats import spearmanr

    data = read("stsb", "test")
    pairs = list(zip(data["sentence1"], data["sentence2"], strict=True))
    return float(spearmanr(score(pairs), data["score"]).statistic)


def side(name: str, every: int) -> None:
    import torch

    torch.set_num_threads(THREADS)

    def train(seed: int, steps: int) -> tuple[float, int, Any]:
        if name == "tenor":
            return train_ours(seed, steps)
        return train_theirs(seed, steps, bf16=name.endswith("bf16"))

    if every:
        score, pairs = scorer(name), pairs_to_score(every)
        score(pairs[:256])
        serve({"pairs": len(pairs)}, lambda _: _scored(score, pairs))
        return
    serve_training(train, spearman)


def _scored(score: Any, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    start = time.perf_counter()
    values = score(pairs)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "rate": len(pairs) / seconds,
        "mean": float(sum(float(value) for value in values)) / len(pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--every", type=int, default=0, help="of --score: take every n-th pair")
    parser.add_argument("--peer", default="sentence-transformers", help="of --quality")
    given = parser.parse_args()
    if given.side:
        side(given.side, given.every)
    elif given.quality:
        quality(given.seeds, given.peer)
    elif given.score:
        speed("score_cross_encoder", given.turns, 0, given.every or 1)
    else:
        speed("train_cross_encoder_speed", given.turns, given.steps, 0)


def speed(name: str, turns: int, steps: int, every: int) -> None:
    sides = [Side("cross_encoder", one, ["--every", str(every)]) for one in SIDES]

    def facts(one: Side) -> dict[str, Any]:
        return {"mean_score": one.turns[0]["mean"]} if every else {}

    rows = time_in_turns(sides, turns, steps, "pairs", facts)
    extra = {"pairs": sides[0].ready["pairs"]} if every else {"steps": steps, "batch": BATCH}
    write(name, {**extra, "sides": rows})


def quality(seeds: int, peer: str) -> None:
    sides = [Side("cross_encoder", name, []) for name in ("tenor", peer)]
    rows = compare_quality(sides, seeds, 0)
    write(
        "train_cross_encoder_quality",
        {"batch": BATCH, "seeds": seeds, "sides": rows,
         "difference": rows[0]["mean"] - rows[1]["mean"]},
    )  # fmt: skip


if __name__ == "__main__":
    main()
