"""What a recipe will take here: steps, minutes, memory, from the pace that was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tenor.data.corpus import HELD_OUT, MOST_HELD_OUT
from tenor.models.bulk import duration
from tenor.recipes.adapt import AdaptConfig
from tenor.recipes.augmented import AugmentedConfig
from tenor.recipes.classifier import ClassifierConfig
from tenor.recipes.contrastive import ContrastiveConfig
from tenor.recipes.cross_encoder import CrossEncoderConfig
from tenor.recipes.distill import DistillConfig
from tenor.recipes.few_shot import FEWEST, MOST, PASSES, FewShotConfig
from tenor.recipes.logistic_regression import GRID
from tenor.recipes.mlm import MlmConfig
from tenor.recipes.plan_context import Advice
from tenor.recipes.plan_encoding import EncodingPace
from tenor.recipes.plan_probe import Pace
from tenor.recipes.plan_sources import Source
from tenor.recipes.plan_text_facts import TextFacts
from tenor.recipes.sweep import FreezeSweepConfig
from tenor.training.probe import tried_batches

__all__ = ["Estimate", "Measured", "estimate"]

STARTING = 8.0  # seconds: imports, the model, tokens
SAVING = 1.5  # seconds: a checkpoint, or a model
FOLDS = 5  # of the cross-validation of logistic regression
FORWARD = 0.4  # of a training step's time
FIT_SECONDS = 6e-6  # of one logistic regression, a text and a label, where it was not measured


@dataclass(frozen=True)
class Measured:
    """What was measured of this machine and these texts.

    Attributes:
        facts: tokens of the columns of each source, by its path.
        paces: of training steps, by the name of the advice and the path of its source.
        encoding: of embedding, by the path of the source.
        fits: seconds of a logistic regression and texts it was fitted on, by the source's path.
    """

    facts: Mapping[str, Mapping[str, TextFacts]] = field(default_factory=dict)
    paces: Mapping[tuple[str, str], Pace] = field(default_factory=dict)
    encoding: Mapping[str, EncodingPace] = field(default_factory=dict)
    fits: Mapping[str, tuple[float, int]] = field(default_factory=dict)

    def pace(self, name: str, source: Source | None) -> Pace | None:
        """Of the steps of an advice on a source; `None` where it was not measured."""
        return None if source is None else self.paces.get((name, source.path))

    def tokens(self, source: Source | None) -> float:
        """Tokens of all different texts of a source that the model reads."""
        if source is None:
            return 0.0
        return sum(each.texts * each.read for each in self.facts.get(source.path, {}).values())

    def encoding_seconds(self, tokens: float) -> float | None:
        """How long embedding so many tokens takes; `None` where nothing was measured."""
        if not self.encoding:
            return None
        pace = max(self.encoding.values(), key=lambda each: each.measured)
        return tokens / pace.tokens


@dataclass(frozen=True)
class Estimate:
    """What a recipe will take.

    Attributes:
        rows: it trains on.
        steps: in all; 0 for one without.
        seconds_per_step: measured here; `None` where it was not.
        seconds: in all, with evaluations and saving; `None` where nothing was measured.
        bytes: of memory at its height; `None` where nothing was measured.
        evaluations: of the model that are among the seconds, beside the steps; `None` for a recipe
            of other parts.
        evaluation_seconds: that one of them takes.
    """

    rows: int
    steps: int
    seconds_per_step: float | None = None
    seconds: float | None = None
    bytes: int | None = None
    evaluations: int | None = None
    evaluation_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values, with minutes and GiB beside."""
        minutes = None if self.seconds is None else self.seconds / 60
        gib = None if self.bytes is None else self.bytes / 2**30
        return {**asdict(self), "minutes": minutes, "gib": gib}

    def describe(self) -> str:
        """In words: "300 steps, about 4 min, 1.2 GiB"."""
        parts = [f"{self.steps:,} steps"] if self.steps else []
        if self.seconds is not None:
            parts.append(f"about {duration(self.seconds)}")
        if self.bytes is not None:
            parts.append(f"{self.bytes / 2**30:.1f} GiB")
        return ", ".join(parts)


def estimate(advice: Advice, measured: Measured, *, starting: float = STARTING) -> Estimate:
    """What the commands of an advice will take together.

    Args:
        advice: the recipe and what it trains on.
        measured: of this machine.
        starting: seconds until a command has imported and loaded all it needs.
    """
    config, source = advice.config, advice.source
    if isinstance(config, MlmConfig):
        return _language(config, source, measured, starting)
    pace = measured.pace(advice.name, source)
    rows = source.profile.rows if pace is None else pace.rows
    seconds = None if pace is None else pace.seconds
    held = getattr(config, "hold_out", 0.0) or 0.0
    rows -= round(held * rows)
    evaluated = measured.tokens(advice.validation)
    if advice.validation is None:
        evaluated = held * measured.tokens(source)
    trained = (1 - held) * measured.tokens(source)
    memory = None if pace is None else pace.bytes
    if config is None:  # only measures
        return Estimate(
            0, 0, None, _sum(starting, measured.encoding_seconds(measured.tokens(source)))
        )
    if isinstance(config, ClassifierConfig) and config.head == "logistic":
        encoding = measured.encoding_seconds(trained + evaluated)
        return Estimate(rows, 0, None, _sum(starting, encoding, _fitting(source, rows, measured)))
    if isinstance(config, DistillConfig):
        sentences = min(config.passages * 25, trained) + 30_000 * 3
        return Estimate(rows, 0, None, _sum(2 * starting, measured.encoding_seconds(sentences)))
    steps = _steps(config, rows)
    passes = 1 + getattr(config, "epochs", 1)  # before, and after each epoch
    extra = [0.0]
    if isinstance(config, FewShotConfig):
        passes = 2
        extra.append(measured.encoding_seconds(2 * trained) or 0.0)
        extra.append(_fitting(source, rows, measured) or 0.0)
    if isinstance(config, CrossEncoderConfig):
        evaluated *= 1.2  # texts stand in several pairs
    if isinstance(config, FreezeSweepConfig):
        depths = len(config.depths.split(","))
        # Each depth trains what is above it: on average half of the work, one forward pass more.
        steps, passes = steps * depths, depths
        seconds = None if seconds is None else 0.6 * seconds
        evaluated = measured.tokens(source) * 0.2
    if advice.name == "hard-negatives":
        extra.append(measured.encoding_seconds(measured.tokens(source)) or 0.0)
        seconds = None if seconds is None else 1.5 * seconds  # three texts a row instead of two
    if isinstance(config, AugmentedConfig | AdaptConfig):
        return Estimate(rows, steps, None, _staged(config, advice, measured), memory)
    saved = SAVING * (1 + getattr(config, "epochs", 1))
    once, total = measured.encoding_seconds(evaluated), None
    if seconds is not None and once is not None:
        work = seconds * (steps + 1 + tried_batches(steps))
        total = _sum(starting, saved, work, passes * once, *extra)
    made = Estimate(rows, steps, seconds, total, memory, passes, once)
    first = advice.commands[0].config
    if advice.raw is not None and isinstance(first, MlmConfig):
        return _after(_language(first, advice.raw, measured, starting), made)
    return made


def _language(config: MlmConfig, source: Source, measured: Measured, starting: float) -> Estimate:
    """Masked language modelling: rows are blocks of text, and an evaluation is forward passes."""
    pace = measured.pace("mlm", source)
    blocks = source.profile.texts if pace is None else pace.rows
    if config.validation is not None:
        held = sum(each.texts for each in measured.facts.get(config.validation, {}).values())
        rows = blocks
    else:
        share = HELD_OUT if config.hold_out is None else config.hold_out
        held = round(share * blocks)
        if config.hold_out is None:
            held = min(held, MOST_HELD_OUT)
        rows = blocks - held
    steps = _steps(config, rows)
    if pace is None:
        return Estimate(rows, steps)
    passes = 1 + config.epochs
    once = FORWARD * pace.seconds * math.ceil(held / config.batch_size)
    work = pace.seconds * (steps + 1 + tried_batches(steps))
    total = starting + SAVING * (1 + config.epochs) + work + passes * once
    return Estimate(rows, steps, pace.seconds, total, pace.bytes, passes, once)


def _after(first: Estimate, second: Estimate) -> Estimate:
    """Two commands one after another, told as one."""
    known = first.bytes is not None and second.bytes is not None
    return Estimate(
        second.rows,
        first.steps + second.steps,
        None,
        _sum(first.seconds, second.seconds),
        max(first.bytes or 0, second.bytes or 0) if known else None,
    )


def _steps(config: Any, rows: int) -> int:
    if isinstance(config, FewShotConfig):
        if config.steps is not None:
            return config.steps
        return min(max(FEWEST, math.ceil(PASSES * rows / config.batch_size)), MOST)
    if isinstance(config, AdaptConfig):
        return math.ceil(rows / (config.supervised_batch_size or ContrastiveConfig.batch_size))
    return int(math.ceil(rows / config.batch_size) * config.epochs)


def _fitting(source: Source, rows: int, measured: Measured) -> float | None:
    """Cross-validation of logistic regression, and the fit itself."""
    if not measured.encoding:
        return None
    took, texts = measured.fits.get(source.path, (FIT_SECONDS * len(source.profile.classes), 1))
    share = 1 - 1 / FOLDS
    return took / max(texts, 1) * rows * (len(GRID) * FOLDS * share + 1)


def _staged(
    config: AugmentedConfig | AdaptConfig, advice: Advice, measured: Measured
) -> float | None:
    """Recipes of several trainings: the paces of their parts, added up."""
    bi_encoder = measured.pace("contrastive", advice.source)
    if bi_encoder is None:
        return None
    rows = advice.source.profile.rows
    evaluated = measured.tokens(advice.validation)
    if isinstance(config, AdaptConfig):
        rebuilt = measured.pace("tsdae", advice.raw)
        if rebuilt is None:
            return None
        steps = math.ceil(rows / 64) + 4  # a run tries some of them before it starts
        evaluations = measured.encoding_seconds(3 * evaluated)
        first = rebuilt.seconds * math.ceil(rebuilt.rows / 8)
        return _sum(2 * STARTING, first, bi_encoder.seconds * steps, evaluations)
    cross_encoder = measured.pace("cross-encoder", advice.source)
    if cross_encoder is None:
        return None
    gold = rows * (1 - (0.0 if config.validation else config.hold_out))
    pool = measured.facts.get(config.pool, {})
    texts = sum(each.texts for each in pool.values()) or advice.source.profile.texts
    # Neighbours found from both sides are one pair; random pairs come on top.
    silver = 0.6 * texts * config.top_k / (1 - config.random_share)
    mixed = max(silver / (1 - config.gold_share), gold + silver)
    batch = config.batch_size
    bi_steps = config.labeller_epochs * gold / batch + 2 * config.epochs * mixed / batch
    cross_steps = (min(config.warm_up_pairs, silver) + config.labeller_epochs * gold) / 32
    per_text = measured.tokens(advice.source) / max(advice.source.profile.texts, 1)
    labelling = measured.encoding_seconds(2 * per_text * silver)
    evaluations = measured.encoding_seconds(20 * evaluated)
    work = bi_encoder.seconds * bi_steps + cross_encoder.seconds * cross_steps
    return _sum(5 * STARTING, work, labelling, evaluations)


def _sum(*parts: float | None) -> float | None:
    """The parts together; `None` where one of them is not known."""
    return None if any(part is None for part in parts) else float(sum(p for p in parts if p))
