"""Masked language modelling beside transformers.Trainer and its collator.

Sides: tenor (its default), transformers.Trainer with DataCollatorForLanguageModeling at defaults,
and with bf16. Same encoder (all-MiniLM-L6-v2, a new head), the same blocks of medquad answers in
the same order, batch, number of updates, learning rate and schedule; masks, dropout and the new
head's random weights differ. After each turn both are measured on the same held-out blocks with the
same masked tokens.
"""

from __future__ import annotations

import argparse
import time
from functools import cache
from typing import Any

import numpy as np

from benchmarks._data import MODEL, model_folder, read
from benchmarks._sides import THREADS, Side, first_peak, median, ratios, serve, write
from benchmarks._training import run_ours, run_theirs

SIDES = ("tenor", "transformers", "transformers bf16")
LEARNING_RATE, LENGTH, HELD_OUT = 5e-5, 128, 200


@cache
def documents() -> list[str]:
    data = read("medquad", "corpus")
    return list(dict.fromkeys(text for text in data["text"] if text.strip()))


def blocks(tokenizer: Any, steps: int, batch: int) -> tuple[Any, Any]:
    """Blocks to train on, and held-out ones of other documents."""
    from tenor.tokens.token_ids import TokenIds
    from tenor.training.masking import cut_in_blocks

    def first(ids: Any, count: int) -> Any:
        stop = int(ids.offsets[min(count, len(ids))])
        return TokenIds(ids.ids[:stop], ids.offsets[: count + 1])

    held = first(cut_in_blocks(tokenizer, documents()[:HELD_OUT]), HELD_OUT)
    return first(cut_in_blocks(tokenizer, documents()[HELD_OUT:]), steps * batch), held


def perplexity_of(model: Any, held: Any) -> float:
    """Of our wrapper around either side's model, in fp32."""
    from tenor.evaluation.perplexity import perplexity
    from tenor.training.denoising import vocabulary_facts
    from tenor.training.masking import Masking

    model.encoder.set_dtype("fp32")
    masking = Masking(facts=vocabulary_facts(model.tokenizer))
    measure = perplexity(held, masking, "medquad", 0)
    return measure(model.eval()).metrics["perplexity"]


def train_ours(batch: int, seed: int, steps: int) -> dict[str, Any]:
    import torch

    from tenor.models.masked_lm import MaskedLM
    from tenor.training.batch import TrainingData
    from tenor.training.denoising import vocabulary_facts
    from tenor.training.masking import Masking
    from tenor.training.memory import keep_freed_memory

    keep_freed_memory()
    torch.manual_seed(seed)
    model = MaskedLM.load(MODEL, device="cpu", max_seq_length=LENGTH)
    ids, held = blocks(model.tokenizer, steps, batch)
    start = time.perf_counter()
    data = TrainingData(ids, {"text": np.arange(len(ids))}, None, model.tokenizer.filler_id)
    seconds = run_ours(
        model, Masking(facts=vocabulary_facts(model.tokenizer)), data, start=start,
        batch_size=batch, learning_rate=LEARNING_RATE, warmup=0.0, seed=seed,
    )  # fmt: skip
    return {"seconds": seconds, "blocks": len(ids), "perplexity": perplexity_of(model, held)}


def train_theirs(batch: int, seed: int, steps: int, bf16: bool) -> dict[str, Any]:
    import torch
    from transformers import (
        AutoModelForMaskedLM,
        AutoTokenizer,
        DataCollatorForLanguageModeling,
        Trainer,
        TrainingArguments,
    )

    from tenor.models.masked_lm import MaskedLM
    from tenor.tokens.plan import TrainingPlan
    from tenor.tokens.tokenizer import Tokenizer

    torch.manual_seed(seed)
    model = AutoModelForMaskedLM.from_pretrained(model_folder())
    raw = AutoTokenizer.from_pretrained(model_folder())
    tokenizer = Tokenizer(raw, LENGTH)
    ids, held = blocks(tokenizer, steps, batch)
    order = TrainingPlan(len(ids), batch, seed).order(0).tolist()
    rows = [{"input_ids": ids[row].tolist()} for row in order]
    start = time.perf_counter()
    settings = {
        "learning_rate": LEARNING_RATE, "seed": seed, "bf16": bf16,
        "train_sampling_strategy": "sequential",
    }  # fmt: skip
    seconds, trainer = run_theirs(
        Trainer, TrainingArguments, batch=batch, start=start, settings=settings, model=model,
        train_dataset=rows, data_collator=DataCollatorForLanguageModeling(raw),
    )  # fmt: skip
    # what the trainer put around the forward pass would measure in bf16
    model = trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    measured = perplexity_of(MaskedLM.of(model, tokenizer), held)
    return {"seconds": seconds, "blocks": len(ids), "perplexity": measured}


def side(name: str, batch: int) -> None:
    import torch

    torch.set_num_threads(THREADS)

    def train(seed: int, steps: int) -> dict[str, Any]:
        if name == "tenor":
            return train_ours(batch, seed, steps)
        return train_theirs(batch, seed, steps, bf16=name.endswith("bf16"))

    train(0, 4)

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        found = train(request["seed"], request["steps"])
        return {**found, "rate": found["blocks"] / found["seconds"]}

    serve({}, turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    given = parser.parse_args()
    if given.side:
        side(given.side, given.batch)
        return
    sides = [Side("mlm", name, ["--batch", str(given.batch)]) for name in SIDES]
    for number in range(given.turns):
        for one in sides:
            found = one.turn({"seed": number, "steps": given.steps})
            print(
                f"turn {number + 1}: {one.name}: {found['rate']:.1f} blocks/s, "
                f"perplexity {found['perplexity']:.1f}",
                flush=True,
            )
    rows = [
        {
            "side": one.name,
            "blocks_per_second": median(one, "rate"),
            "perplexity": [turn["perplexity"] for turn in one.turns],
            "seconds": [turn["seconds"] for turn in one.turns],
            "peak_mib": first_peak(one),
            "tenor_is_faster": None if one is sides[0] else ratios(sides[0], one),
        }
        for one in sides
    ]
    for row, one in zip(rows, sides, strict=True):
        one.close()
        print(row)
    write(f"mlm_batch{given.batch}", {"steps": given.steps, "batch": given.batch, "sides": rows})


if __name__ == "__main__":
    main()
