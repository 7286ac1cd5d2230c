"""Which recipes fit pairs of texts, however they are labelled, and which do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tenor.data.loss_choice import choose_loss
from tenor.recipes.adapt import AdaptConfig
from tenor.recipes.augmented import AugmentedConfig
from tenor.recipes.contrastive import ContrastiveConfig
from tenor.recipes.cross_encoder import CrossEncoderConfig
from tenor.recipes.mine import MineConfig
from tenor.recipes.plan_command import Command
from tenor.recipes.plan_context import Advice, Context, Unfit
from tenor.recipes.plan_sources import Source
from tenor.training.command import flags_of

__all__ = ["pairs_of_texts", "untouched"]

FEW_GOLD = 5_000  # labelled pairs up to which labelling more of them by a cross-encoder pays
FEWEST_MINED = 500  # pairs from which mined negatives are worth a second training
FEWEST_GOLD = 100
PAIR_FILES = ("pairs", "triplets", "scored", "labelled_pairs", "nli")


def untouched(context: Context, source: Source) -> list[Advice]:
    """The model as it is, on the evaluation data: what every training has to beat."""
    for split in ("test", "validation"):
        found = context.inputs.held_out(source, split)
        if found is not None and found.shape in ("retrieval", "scored"):
            break
    else:
        return []
    words = ("evaluate", "retrieval" if found.shape == "retrieval" else "sts")
    command = context.measure(words, context.model, found)
    return [
        Advice(
            name="untouched",
            title="the model as it is",
            why="it costs nothing and is what every training has to beat",
            source=found,
            commands=(command,),
        )
    ]


def pairs_of_texts(context: Context, source: Source) -> tuple[list[Advice], list[Unfit]]:
    """What fits pairs, triplets, scored and labelled pairs, the most useful first."""
    advice = [*untouched(context, source), *_adapted(context, source)]
    advice.append(_contrastive(context, source))
    if source.shape == "pairs" and source.profile.rows >= FEWEST_MINED:
        advice.append(_hard_negatives(context, source))
    augmented, unfit = _augmented(context, source)
    advice += augmented
    advice.append(_cross_encoder(context, source))
    return advice, [*unfit, *_unfit_ranking(source)]


def _contrastive(context: Context, source: Source) -> Advice:
    out = context.out("contrastive")
    config = _contrastive_config(context, source, out)
    _, why = choose_loss(source.table.kind)  # type: ignore[union-attr]
    return Advice(
        name="contrastive",
        title="contrastive fine-tuning of the embedder",
        why=why,
        source=source,
        commands=(
            Command(("train", "contrastive"), config=config),
            *context.test(source, (), out),
        ),
        validation=context.validation(source),
    )


def _contrastive_config(context: Context, source: Source, out: str) -> ContrastiveConfig:
    validation = context.validation(source)
    return ContrastiveConfig(
        train=source.path,
        out=out,
        epochs=context.epochs(source.profile.rows, ContrastiveConfig.batch_size),
        **context.held_out(source),
        **context.common(source, validation),
    )


def _hard_negatives(context: Context, source: Source) -> Advice:
    out = context.out("hard-negatives")
    triplets = f"{context.folder}/{out.rpartition('/')[2]}-triplets.parquet"
    common = context.common(source)
    mine = MineConfig(
        model=common.pop("model", context.model), train=source.path, out=triplets, **common
    )
    validation = context.validation(source)
    train = replace(_contrastive_config(context, source, out), train=triplets, columns=None)
    if validation is not None and validation.roles:
        # The mined file has the usual names and the validation file has not.
        validation, held = None, context.held_out(source, ())
        train = replace(train, **{"validation": None, **held})
    return Advice(
        name="hard-negatives",
        title="mined hard negatives, then contrastive fine-tuning",
        why=(
            "random texts of a batch are easy to tell from the positive; mined ones that look like "
            "it teach the finer differences"
        ),
        source=source,
        commands=(
            Command(("mine",), (mine.model,), flags=tuple(flags_of(mine, ("model",)))),
            Command(("train", "contrastive"), config=train),
            *context.test(source, (), out),
        ),
        validation=validation,
    )


def _cross_encoder(context: Context, source: Source) -> Advice:
    out = context.out("cross-encoder")
    validation = context.validation(source, PAIR_FILES)
    if validation is not None and validation.shape != source.shape:
        validation = None
    held: dict[str, Any] = {"validation": validation.path} if validation is not None else (
        {k: v for k, v in context.held_out(source, ()).items() if k == "hold_out"}
    )  # fmt: skip
    config = CrossEncoderConfig(
        train=source.path,
        out=out,
        epochs=context.epochs(source.profile.rows, CrossEncoderConfig.batch_size),
        **context.rate,
        **held,
        **context.common(source, validation),
    )
    test = context.inputs.held_out(source, "test")
    measured = test is not None and test.shape == source.shape
    return Advice(
        name="cross-encoder",
        title="a cross-encoder, to re-rank or to score pairs",
        why=(
            "it reads both texts at once and judges best, but gives no vectors: use it on the "
            "first hits of a search, or to label pairs"
        ),
        source=source,
        commands=(
            Command(("train", "cross-encoder"), config=config),
            *(context.test(source, ("evaluate", "pairs"), out) if measured else ()),
        ),
        validation=validation,
    )


def _augmented(context: Context, source: Source) -> tuple[list[Advice], list[Unfit]]:
    if source.shape not in ("scored", "labelled_pairs"):
        return [], []
    rows = source.profile.rows
    name = "Augmented SBERT"
    if rows > FEW_GOLD:
        why = (
            f"{rows:,} labelled pairs teach the embedder themselves; labels that a cross-encoder "
            f"adds pay where there are few, up to about {FEW_GOLD:,}"
        )
        return [], [Unfit(name, why, source.path)]
    if rows < FEWEST_GOLD:
        why = (
            f"{rows:,} labelled pairs are too few to teach a cross-encoder that could label more; "
            f"from about {FEWEST_GOLD:,} on it pays"
        )
        return [], [Unfit(name, why, source.path)]
    raw = context.inputs.raw
    pool = source if raw is None else raw
    out = context.out("augmented")
    validation = context.validation(source, ("scored", "labelled_pairs", "pairs", "triplets"))
    held: dict[str, Any] = {"validation": validation.path} if validation is not None else {}
    columns = (pool.roles["text"],) if "text" in pool.roles else ()
    config = AugmentedConfig(
        gold=source.path,
        pool=pool.corpus,
        pool_columns=columns,
        out=out,
        **held,
        **context.common(source, validation, pool),
    )
    where = "the texts of the pairs themselves" if raw is None else raw.path
    advice = Advice(
        name="augmented",
        title="Augmented SBERT: a cross-encoder labels more pairs",
        why=(
            f"{rows:,} labelled pairs are few: a cross-encoder learns from them and labels pairs "
            f"out of {where}; gold alone is trained beside, so you see whether it helped"
        ),
        source=source,
        commands=(
            Command(("train", "augmented"), config=config), *context.test(source, (), out)
        ),
        validation=validation,
    )  # fmt: skip
    return [advice], []


def _adapted(context: Context, source: Source) -> list[Advice]:
    """For a plain encoder with raw text: that first, the pairs last."""
    raw = context.inputs.raw
    if context.trained or raw is None:
        return []
    splits = ("validation", "test")
    found = [context.inputs.held_out(source, split) for split in splits]  # type: ignore[arg-type]
    usable = [each for each in found if each is not None and not each.roles]
    if not usable:
        return []
    out = context.out("adapted")
    column: dict[str, Any] = {"column": raw.roles["text"]} if "text" in raw.roles else {}
    config = AdaptConfig(
        text=raw.corpus,
        pairs=source.path,
        evaluate=usable[0].path,
        out=out,
        **column,
        **context.common(source, raw, *usable),
    )
    return [
        Advice(
            name="adapted",
            title="TSDAE on the raw text, then the pairs",
            why=(
                f"{context.model} is a plain encoder: raw text first and labels last, every stage "
                "measured beside the untouched model"
            ),
            source=source,
            commands=(Command(("adapt",), config=config),),
            validation=usable[0],
            raw=raw,
        )
    ]


def _unfit_ranking(source: Source) -> list[Unfit]:
    """Where multiple negatives ranking would have too little of what it needs."""
    table = source.table
    if table is None or table.target is None or source.shape != "scored":
        return []
    high = int((table.target >= 0.8).sum())
    if high >= 0.5 * len(table):
        return []
    why = (
        f"only {high:,} of {len(table):,} pairs score 0.8 or more (of 1) and could be positives, "
        "and what the lower scores say would be lost; cosent uses every score"
    )
    return [Unfit("ranking (--loss mnr) on these scores", why, source.path)]
