"""TSDAE training beside sentence-transformers' DenoisingAutoEncoderLoss.

Sides: tenor (its default), sentence-transformers' trainer with its defaults, and with bf16. Same
encoder weights, STS-B sentences and their order, deletion of 60 % of the words, batch of 8, CLS
pooling, tied decoder, number of updates, constant learning rate, dropout as in the checkpoint. The
peer gets its damaged texts ready-made, so it pays for no noise; which words are deleted, dropout
masks and the new layers' random weights differ.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from benchmarks._data import MODEL, model_folder, read
from benchmarks._sides import THREADS, Side, first_peak, median, ratios, serve, write
from benchmarks._training import in_our_order, run_ours, run_theirs

SIDES = ("tenor", "sentence-transformers", "sentence-transformers bf16")
LEARNING_RATE = 3e-5


def sentences(count: int) -> list[str]:
    data = read("stsb", "train")
    distinct = list(dict.fromkeys([*data["sentence1"], *data["sentence2"]]))
    return [text for text in distinct if len(text.split()) > 1][:count]


def train_ours(batch: int, seed: int, steps: int, tie: bool) -> dict[str, Any]:
    import torch
    from torch import nn

    from tenor import Embedder
    from tenor.data.noise import Noise
    from tenor.models.decoder import Decoder
    from tenor.training.batch import TrainingData
    from tenor.training.denoising import Denoising, DenoisingAutoEncoder, vocabulary_facts
    from tenor.training.memory import keep_freed_memory

    keep_freed_memory()
    embedder = Embedder.load(MODEL, device="cpu", pooling="cls")
    torch.manual_seed(seed)
    start = time.perf_counter()
    decoder = Decoder.of(embedder.encoder, embedder.dimensions, tie=tie)
    model = DenoisingAutoEncoder(embedder, decoder)
    data = TrainingData.of({"text": sentences(steps * batch)}, None, embedder.tokenizer)
    step = Denoising(Noise(), vocabulary_facts(embedder.tokenizer))
    losses = []

    def watched(model: nn.Module, rows: Any) -> torch.Tensor:
        loss = step(model, rows)
        losses.append(loss.item())
        return loss

    seconds = run_ours(
        model, watched, data, start=start, batch_size=batch, learning_rate=LEARNING_RATE,
        warmup=0.0, schedule="constant", seed=seed,
    )  # fmt: skip
    return {"seconds": seconds, "losses": losses}


def train_theirs(batch: int, seed: int, steps: int, tie: bool, bf16: bool) -> dict[str, Any]:
    import random

    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import DenoisingAutoEncoderLoss

    originals = sentences(steps * batch)
    generator = random.Random(seed)

    def damaged(text: str) -> str:
        words = text.split()
        kept = [word for word in words if generator.random() > 0.6]
        return " ".join(kept or [generator.choice(words)])

    rows = {"damaged": [damaged(text) for text in originals], "text": originals}
    model = SentenceTransformer(model_folder(), device="cpu")
    model[1].pooling_mode = "cls"
    torch.manual_seed(seed)
    losses: list[float] = []
    settings = {
        "learning_rate": LEARNING_RATE, "lr_scheduler_type": "constant", "seed": seed,
        "bf16": bf16, "batch_sampler": in_our_order(len(originals), batch, seed),
    }  # fmt: skip
    start = time.perf_counter()
    loss = DenoisingAutoEncoderLoss(
        model, decoder_name_or_path=None if tie else model_folder(), tie_encoder_decoder=tie
    )
    loss.register_forward_hook(lambda _, __, value: losses.append(value.item()))
    seconds, _ = run_theirs(
        SentenceTransformerTrainer, SentenceTransformerTrainingArguments, batch=batch, start=start,
        settings=settings, model=model, train_dataset=Dataset.from_dict(rows), loss=loss,
    )  # fmt: skip
    return {"seconds": seconds, "losses": losses}


def side(name: str, batch: int, tie: bool) -> None:
    import torch

    torch.set_num_threads(THREADS)

    def train(seed: int, steps: int) -> dict[str, Any]:
        if name == "tenor":
            return train_ours(batch, seed, steps, tie)
        return train_theirs(batch, seed, steps, tie, bf16=name.endswith("bf16"))

    train(0, 4)

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        found = train(request["seed"], request["steps"])
        tenth = max(len(found["losses"]) // 10, 1)
        return {
            "seconds": found["seconds"],
            "rate": request["steps"] * batch / found["seconds"],
            "first_loss": statistics.mean(found["losses"][:tenth]),
            "last_loss": statistics.mean(found["losses"][-tenth:]),
            "losses": found["losses"] if request.get("curve") else None,
        }

    serve({}, turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--untied", action="store_true")
    parser.add_argument("--curve", action="store_true", help="keep the loss of every step")
    given = parser.parse_args()
    if given.side:
        side(given.side, given.batch, not given.untied)
        return
    options = ["--batch", str(given.batch), *(["--untied"] if given.untied else [])]
    sides = [Side("tsdae", name, options) for name in SIDES]
    for number in range(given.turns):
        for one in sides:
            found = one.turn({"seed": number, "steps": given.steps, "curve": given.curve})
            print(
                f"turn {number + 1}: {one.name}: {found['rate']:.1f} texts/s, "
                f"loss {found['first_loss']:.3f} to {found['last_loss']:.3f}",
                flush=True,
            )
    rows = [
        {
            "side": one.name,
            "texts_per_second": median(one, "rate"),
            "turns": one.turns,
            "peak_mib": first_peak(one),
            "tenor_is_faster": None if one is sides[0] else ratios(sides[0], one),
        }
        for one in sides
    ]
    for row, one in zip(rows, sides, strict=True):
        one.close()
        print({key: value for key, value in row.items() if key != "turns"})
    name = f"tsdae_batch{given.batch}" + ("_untied" if given.untied else "")
    write(name, {"steps": given.steps, "batch": given.batch, "sides": rows})


if __name__ == "__main__":
    main()
