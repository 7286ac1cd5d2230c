"""How probable a language model finds held-out text: log-likelihood of a token, and perplexity.

perplexity = exp(−log_likelihood) = exp(Σ losses / Σ tokens), the losses being −log p of the tokens
that were to be predicted. Shape legend: N texts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tenor.evaluation.intervals import percentile_interval
from tenor.evaluation.result import EvaluationResult
from tenor.models.masked_lm import MaskedLM
from tenor.tokens.packed import PackedBatch
from tenor.tokens.plan import batches_by_length
from tenor.tokens.token_ids import TokenIds
from tenor.training.denoising import Denoising, DenoisingAutoEncoder, DenoisingBatch
from tenor.training.masking import Masking

__all__ = ["likelihood", "perplexity", "reconstruction"]

EVALUATION_TOKENS = 4_096  # a batch
RESAMPLES = 1_000


def perplexity(
    ids: TokenIds, masking: Masking, source: str, seed: int
) -> Callable[[MaskedLM], EvaluationResult]:
    """How to measure a masked language model, with the same tokens masked every time.

    Args:
        ids: N held-out blocks.
        masking: how tokens are masked.
        source: where the texts came from, for the record.
        seed: decides which tokens.
    """

    def measure(model: MaskedLM) -> EvaluationResult:
        start = time.perf_counter()
        sums, counts = np.zeros(len(ids)), np.zeros(len(ids))
        filler = model.tokenizer.filler_id
        for number, rows in enumerate(batches_by_length(ids.lengths, EVALUATION_TOKENS)):
            made = masking.mask(PackedBatch.of(ids, rows, filler_id=filler), seed + number)
            device = model.encoder.device
            losses = model.losses(
                made.batch.to(device), made.places.to(device), made.targets.to(device)
            )
            real = (made.targets >= 0).numpy()
            place = rows[made.texts.numpy()[real]]
            np.add.at(sums, place, losses.cpu().numpy()[real])
            np.add.at(counts, place, 1.0)
        used = counts > 0
        return likelihood(sums[used], counts[used], source, time.perf_counter() - start)

    return measure


def reconstruction(
    ids: TokenIds, step: Denoising, source: str, seed: int, *, filler_id: int
) -> Callable[[DenoisingAutoEncoder], EvaluationResult]:
    """How to measure how well held-out texts are rebuilt, damaged in the same way every time.

    Args:
        ids: N held-out texts; those of a single token leave nothing to predict and do not count.
        step: how texts are damaged.
        source: where the texts came from, for the record.
        seed: decides the damage.
        filler_id: token to fill a row of tokens up with.
    """

    def measure(model: DenoisingAutoEncoder) -> EvaluationResult:
        start = time.perf_counter()
        sums, counts = np.zeros(len(ids)), (ids.lengths - 1).astype(float)
        usable = np.flatnonzero(ids.lengths >= 2)
        for number, part in enumerate(batches_by_length(ids.lengths[usable], EVALUATION_TOKENS)):
            rows = usable[part]
            batch = DenoisingBatch.of(
                ids, rows, step.noise, step.facts, seed + number, filler_id=filler_id
            )
            text = np.repeat(np.arange(len(rows)), ids.lengths[rows] - 1)
            losses = model.losses(batch).cpu().numpy()[: len(text)]
            sums[rows] = np.bincount(text, losses, minlength=len(rows))
        seconds = time.perf_counter() - start
        return likelihood(sums[usable], counts[usable], source, seconds)

    return measure


def likelihood(
    losses_N: npt.NDArray[np.float64],
    tokens_N: npt.NDArray[np.float64],
    source: str,
    seconds: float,
    *,
    seed: int = 0,
) -> EvaluationResult:
    """Mean log-likelihood of a token and perplexity, with bootstrap intervals over texts.

    Args:
        losses_N: sum of −log p over the predicted tokens of each text.
        tokens_N: how many these are.
        source: where the texts came from, for the record.
        seconds: that it took.
        seed: the same seed gives the same intervals.
    """
    generator = np.random.default_rng(seed)
    samples = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        rows = generator.integers(0, len(losses_N), len(losses_N))
        samples[number] = -losses_N[rows].sum() / tokens_N[rows].sum()
    mean = -losses_N.sum() / tokens_N.sum()
    low, high = percentile_interval(samples)
    with np.errstate(over="ignore"):  # a random model may be beyond all numbers
        metrics = {"log_likelihood": float(mean), "perplexity": float(np.exp(-mean))}
        around = (float(np.exp(-high)), float(np.exp(-low)))
    return EvaluationResult(
        metrics=metrics,
        intervals={"log_likelihood": (low, high), "perplexity": around},
        n=len(losses_N),
        truncated=0,
        seconds=seconds,
        model={"name": ""},
        data={"name": f"held-out text of {source}"},
        per_item={"log_likelihood": -losses_N / tokens_N.mean()},
    )
