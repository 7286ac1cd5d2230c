"""Which recipes fit labelled texts and tagged ones, and which do not."""

from __future__ import annotations

from statistics import median
from typing import Any

from tenor.recipes.classifier import ClassifierConfig
from tenor.recipes.few_shot import FewShotConfig
from tenor.recipes.mlm import MlmConfig
from tenor.recipes.plan_command import Command
from tenor.recipes.plan_context import Advice, Context, Unfit
from tenor.recipes.plan_sources import Source
from tenor.recipes.sweep import FreezeSweepConfig
from tenor.recipes.tagger import TaggerConfig

__all__ = ["FEW_A_CLASS", "labelled_texts", "tagged_texts"]

FEW_A_CLASS = 64  # texts of a class up to which few-shot training pays
FEWEST_FINE_TUNED = 200  # texts from which a whole encoder can be fine-tuned
EVALUATE = ("evaluate", "classification")


def labelled_texts(context: Context, source: Source) -> tuple[list[Advice], list[Unfit]]:
    """What fits texts with labels, cheapest first."""
    return [
        *_frozen(context, source),
        *_few_shot(context, source),
        *_fine_tuned(context, source),
    ], [
        *_unfit_few_shot(source),
        *_unfit_fine_tuned(source),
    ]


def tagged_texts(context: Context, source: Source) -> tuple[list[Advice], list[Unfit]]:
    """What fits tagged words: the tagger."""
    rows = source.profile.rows
    held = context.held_out(source, ("tagged",))
    out = context.out("tagger")
    default = TaggerConfig.batch_size
    config = TaggerConfig(
        train=source.path,
        out=out,
        epochs=context.epochs(rows, default, TaggerConfig.epochs),
        **context.rate,
        **held,
        **context.common(source, context.validation(source, ("tagged",))),
    )
    train = Command(("train", "tagger"), config=config)
    why = (
        f"{rows:,} texts with {sum(source.profile.classes.values()):,} spans of "
        f"{len(source.profile.classes)} types: the whole encoder learns the tags of words"
    )
    advice = Advice(
        name="tagger",
        title="a tagger, everything trained",
        why=why,
        source=source,
        commands=(train, *context.test(source, ("evaluate", "tagging"), out)),
        validation=context.validation(source, ("tagged",)),
    )
    unfit = [
        Unfit(
            "a classifier or an embedder from these rows",
            "a tag belongs to a word, not to a text: there are no labels of whole texts here",
            source.path,
        )
    ]
    return [advice], unfit


def _frozen(context: Context, source: Source) -> list[Advice]:
    out = context.out("logistic")
    config = ClassifierConfig(
        train=source.path, out=out, head="logistic", **_weights(source), **_held(context, source)
    )
    return [
        Advice(
            name="logistic",
            title="logistic regression on the frozen embedder",
            why=(
                "it trains in the time it takes to embed the texts once, and is what every other "
                "classifier has to beat"
            ),
            source=source,
            commands=(
                Command(("train", "classifier"), config=config),
                *context.test(source, EVALUATE, out),
            ),
            validation=context.validation(source, _SHAPES),
        )
    ]


def _few_shot(context: Context, source: Source) -> list[Advice]:
    if _unfit_few_shot(source):
        return []
    out = context.out("few-shot")
    config = FewShotConfig(train=source.path, out=out, **_held(context, source))
    middle = median(source.profile.classes.values())
    return [
        Advice(
            name="few-shot",
            title="few-shot training, then a head",
            why=(
                f"half of the labels have {middle:g} texts or fewer: contrastive training on all "
                "pairs of them gets more out of so few than fine-tuning does"
            ),
            source=source,
            commands=(
                Command(("train", "few-shot"), config=config),
                *context.test(source, EVALUATE, out),
            ),
            validation=context.validation(source, _SHAPES),
        )
    ]


def _fine_tuned(context: Context, source: Source) -> list[Advice]:
    rows = source.profile.rows
    if _unfit_fine_tuned(source):
        return []
    out = context.out("fine-tuned")
    config = ClassifierConfig(
        train=source.path,
        out=out,
        epochs=context.epochs(rows, ClassifierConfig.batch_size, ClassifierConfig.epochs),
        **context.rate,
        **_weights(source),
        **_held(context, source),
    )
    found = [
        Advice(
            name="fine-tuned",
            title="the whole encoder fine-tuned",
            why=f"{rows:,} texts are enough to train every layer, which usually reaches the most",
            source=source,
            commands=(
                Command(("train", "classifier"), config=config),
                *context.test(source, EVALUATE, out),
            ),
            validation=context.validation(source, _SHAPES),
        )
    ]
    raw = context.inputs.raw
    if raw is not None and not context.trained:
        found.append(_continued(context, source, raw, config))
    test = context.inputs.held_out(source, "test")
    # The sweep reads both files by the same names of columns.
    readable = test is not None and test.shape in _SHAPES and test.read_like(source)
    if test is not None and readable and context.blocks:
        found.append(_sweep(context, source, test, config))
    return found


def _continued(context: Context, source: Source, raw: Source, config: ClassifierConfig) -> Advice:
    """Masked language modelling on raw text first, then the classifier on that encoder."""
    from dataclasses import replace

    first, out = context.out("mlm"), context.out("mlm-fine-tuned")
    language = MlmConfig(train=raw.corpus, out=first, **context.on_raw_text(raw))
    return Advice(
        name="mlm-fine-tuned",
        title="masked language modelling on the raw text, then fine-tuning",
        why=(
            f"{context.model} is a plain encoder: it learns the words of {raw.path} before it "
            "learns the labels"
        ),
        source=source,
        commands=(
            Command(("train", "mlm"), config=language),
            Command(
                ("train", "classifier"), config=replace(config, out=out, model=f"{first}/model")
            ),
            *context.test(source, EVALUATE, out),
        ),
        validation=context.validation(source, _SHAPES),
        raw=raw,
    )


def _sweep(context: Context, source: Source, test: Source, config: ClassifierConfig) -> Advice:
    half = context.blocks // 2
    common = context.common(source, test)
    return Advice(
        name="freeze-sweep",
        title="how many blocks can stay frozen",
        why=(
            "frozen blocks run once a text instead of once an epoch: this shows what each saves in "
            "time and costs in quality"
        ),
        source=source,
        commands=(
            Command(
                ("sweep", "freeze"),
                config=FreezeSweepConfig(
                    train=source.path,
                    test=test.path,
                    out=context.out("freeze-sweep"),
                    depths=",".join(str(d) for d in sorted({0, half, context.blocks})),
                    epochs=config.epochs,
                    **context.rate,
                    **_weights(source),
                    **common,
                ),
            ),
        ),
    )


def _unfit_few_shot(source: Source) -> list[Unfit]:
    counts = list(source.profile.classes.values())
    if source.shape == "labelled_texts" and max(counts) < 2:
        why = "no two texts have a label in common: there is no pair to train on"
        return [Unfit("few-shot training", why, source.path)]
    if median(counts) <= FEW_A_CLASS:
        return []
    why = (
        f"half of the labels have {median(counts):g} texts or more: that is not few, and with so "
        "many fine-tuning learns more in the same time; to try it all the same, give --shots 64"
    )
    return [Unfit("few-shot training", why, source.path)]


def _unfit_fine_tuned(source: Source) -> list[Unfit]:
    rows, classes = source.profile.rows, len(source.profile.classes)
    needed = max(FEWEST_FINE_TUNED, 8 * classes)
    if rows >= needed:
        return []
    why = (
        f"{rows:,} texts of {classes} labels are too few to train millions of parameters without "
        f"learning them by heart; from about {needed:,} on it pays"
    )
    return [Unfit("fine-tuning the whole encoder", why, source.path)]


_SHAPES = ("labelled_texts", "multi_labelled_texts")


def _held(context: Context, source: Source) -> dict[str, Any]:
    validation = context.validation(source, _SHAPES)
    return {**context.held_out(source, _SHAPES), **context.common(source, validation)}


def _weights(source: Source) -> dict[str, Any]:
    counts = list(source.profile.classes.values())
    uneven = max(counts) >= 20 * max(min(counts), 1)
    return {"class_weights": "balanced"} if uneven else {}
