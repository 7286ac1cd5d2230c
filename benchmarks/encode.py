"""Encoding: Rotten Tomatoes' 10,662 sentences, and MedQuAD's answers cut at 256 tokens.

Sides: tenor (its default: bf16 where the CPU has it), sentence-transformers with its defaults, and
with bf16 as its documentation tells, both at the batch size that is best for it here (128).
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks._data import MODEL, model_folder, read
from benchmarks._sides import THREADS, Side, first_peak, median, product_rate, ratios, serve, write

SIDES = ("tenor", "sentence-transformers", "sentence-transformers bf16")
FLOPS_PER_TOKEN = 2 * 6 * (4 * 384 * 384 + 2 * 384 * 1536)  # of the linear layers


def texts_of(workload: str, every: int) -> list[str]:
    if workload == "rotten_tomatoes":
        parts = [read("rotten_tomatoes", s)["text"] for s in ("train", "validation", "test")]
        return [text for part in parts for text in part][::every]
    found: list[str] = read("medquad", "corpus")["text"][::every]
    return found


def side(name: str, workload: str, every: int) -> None:
    import torch

    torch.set_num_threads(THREADS)
    texts = texts_of(workload, every)
    if name == "tenor":
        from tenor import Embedder

        ours = Embedder.load(MODEL, device="cpu")
        encode = ours.encode
    else:
        from sentence_transformers import SentenceTransformer

        options: dict[str, Any] = {}
        if name.endswith("bf16"):
            options["model_kwargs"] = {"dtype": torch.bfloat16}
        theirs = SentenceTransformer(model_folder(), device="cpu", **options)

        def encode(sentences: list[str]) -> Any:
            return theirs.encode(
                sentences, batch_size=128, convert_to_numpy=True, show_progress_bar=False
            )

    encode(texts[:256])

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        if "quality" in request:
            return {"spearman_cosine": spearman(encode)}
        start = time.perf_counter()
        encode(texts)
        seconds = time.perf_counter() - start
        return {"rate": len(texts) / seconds, "seconds": seconds}

    serve({"texts": len(texts)}, turn)


def spearman(encode: Any) -> float:
    from scipy.stats import spearmanr

    data = read("stsb", "test")
    left, right = (
        np.asarray(encode(data[c]), dtype=np.float32) for c in ("sentence1", "sentence2")
    )
    cosine = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
    return float(spearmanr(cosine, data["score"]).statistic)


def tokens_of(texts: list[str]) -> int:
    from tenor import Embedder

    return int(Embedder.load(MODEL).tokenizer(texts).lengths.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--workload", default="rotten_tomatoes")
    parser.add_argument("--every", type=int, default=1, help="take every n-th text")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    if given.side:
        side(given.side, given.workload, given.every)
        return
    options = ["--workload", given.workload, "--every", str(given.every)]
    sides = [Side("encode", name, options) for name in SIDES]
    for number in range(given.turns):
        for one in sides:
            print(f"turn {number + 1}: {one.name}: {one.turn()['rate']:.0f} texts/s", flush=True)
    rows = []
    tokens = tokens_of(texts_of(given.workload, given.every))
    ceiling = product_rate()
    for one in sides:
        peak = first_peak(one)
        rate = median(one, "rate")
        rows.append(
            {
                "side": one.name,
                "texts_per_second": rate,
                "seconds": [turn["seconds"] for turn in one.turns],
                "peak_mib": peak,
                "share_of_bf16_products": rate * tokens / one.ready["texts"] * FLOPS_PER_TOKEN
                / 1e9 / ceiling["bf16"],
                "tenor_is_faster": None if one is sides[0] else ratios(sides[0], one),
            }
        )  # fmt: skip
    for row, one in zip(rows, sides, strict=True):
        row["stsb_test_spearman"] = one.turn({"quality": True})["spearman_cosine"]
        one.close()
        print(row)
    name = f"encode_{given.workload}"
    write(name, {"texts": sides[0].ready["texts"], "tokens": tokens, "sides": rows})


if __name__ == "__main__":
    main()
