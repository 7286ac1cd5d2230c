"""Which recipes fit raw text and search tasks without labels, and which do not."""

from __future__ import annotations

from typing import Any

from tenor.recipes.contrastive import ContrastiveConfig
from tenor.recipes.distill import DistillConfig
from tenor.recipes.mlm import MlmConfig
from tenor.recipes.plan_command import Command
from tenor.recipes.plan_context import Advice, Context, Unfit
from tenor.recipes.plan_pairs import untouched
from tenor.recipes.plan_sources import Source
from tenor.recipes.tsdae import TsdaeConfig

__all__ = ["raw_texts", "unfit_without_labels"]

LONG_TEXT = 40  # words from which a text has sentences to make pairs of
FEWEST_TEXTS = 200
FEWEST_WORDS = 1_000_000  # from which word vectors of one's own mean something
TSDAE_PAPER = "Wang et al. 2021, https://arxiv.org/abs/2104.06979"


def raw_texts(context: Context, source: Source) -> tuple[list[Advice], list[Unfit]]:
    """What fits texts without labels."""
    advice = untouched(context, source)
    how = source.head or ("cloze" if source.profile.words.median >= LONG_TEXT else None)
    enough = source.profile.texts >= FEWEST_TEXTS
    if not context.trained:
        advice += _rebuilt(context, source)
    if how is not None and enough:
        advice.append(_from_documents(context, source, how))
    if context.trained:
        advice.append(_distilled(context, source))
    unfit = []
    if not enough:
        why = f"{source.profile.texts:,} different texts teach a model next to nothing"
        unfit.append(Unfit("training without labels", why, source.path))
    elif how is None:
        why = (
            f"half of the texts have {source.profile.words.median} words or fewer, and no title: "
            "there are no two spans to make a pair of. Label some, eight texts a class or a few "
            "hundred pairs; or use the model as it is"
        )
        unfit.append(Unfit("pairs made of the texts (--pairs-from)", why, source.path))
    words = source.profile.words.median * source.profile.texts
    if words < FEWEST_WORDS:
        why = f"about {words:,} words; vectors of single words want {FEWEST_WORDS:,} and more"
        unfit.append(Unfit("Word2Vec", why, source.path))
    return advice, unfit


def unfit_without_labels(context: Context) -> list[Unfit]:
    """Stages on raw text that a model trained for similarity would lose by."""
    if not context.trained:
        return []
    raw = context.inputs.raw
    path = "" if raw is None else raw.path
    return [
        Unfit(
            "TSDAE, masked language modelling and SimCSE",
            f"{context.model} is an embedder that was trained for similarity already. TSDAE and "
            "masked language modelling teach it to rebuild texts, not to compare them, and SimCSE "
            "has only dropout to learn from: after supervised training each undoes some of it "
            f"({TSDAE_PAPER}). They are for a plain encoder, before the labels",
            path,
        )
    ]


def _rebuilt(context: Context, source: Source) -> list[Advice]:
    settings, held = context.on_raw_text(source), context.inputs.raw_validation(source)
    found = context.inputs.held_out(source, "test") or context.inputs.held_out(source, "validation")
    evaluate: dict[str, Any] = {} if found is None or found.roles else {"evaluate": found.path}
    out = context.out("tsdae")
    tsdae = TsdaeConfig(train=source.corpus, out=out, **evaluate, **settings)
    return [
        Advice(
            name="tsdae",
            title="TSDAE: an embedder without labels",
            why=f"{context.model} is a plain encoder, which TSDAE makes an embedder of",
            source=source,
            commands=(Command(("train", "tsdae"), config=tsdae),),
            validation=found if evaluate else held,
        ),
        Advice(
            name="mlm",
            title="masked language modelling: an encoder of the domain",
            why="for a classifier or tagger later on: --model takes what it makes",
            source=source,
            commands=(
                Command(
                    ("train", "mlm"),
                    config=MlmConfig(train=source.corpus, out=context.out("mlm"), **settings),
                ),
            ),
            validation=held,
        ),
    ]


def _from_documents(context: Context, source: Source, how: str) -> Advice:
    validation = context.inputs.held_out(source, "validation")
    usable = validation is not None and not validation.roles
    held: dict[str, Any] = (
        {"validation": validation.path} if validation and usable else {"hold_out": 0.1}
    )
    out = context.out("from-documents")
    config = ContrastiveConfig(
        pairs_from=source.corpus, out=out, how=how, **held, **context.common(source)
    )
    made = {
        "title": "a text and its title belong together",
        "summary": "a text and its summary belong together",
        "cloze": "a sentence and the rest of its passage belong together",
    }
    return Advice(
        name="from-documents",
        title=f"contrastive training on pairs made of the documents ({how})",
        why=f"{made[how]}: that is a label nobody had to give",
        source=source,
        commands=(
            Command(("train", "contrastive"), config=config),
            *context.test(source, (), out),
        ),
        validation=validation if usable else None,
    )


def _distilled(context: Context, source: Source) -> Advice:
    column: dict[str, Any] = {"column": source.roles["text"]} if "text" in source.roles else {}
    found = context.inputs.held_out(source, "test")
    usable = found is not None and found.shape in ("retrieval", "scored", "labelled_pairs")
    evaluate: dict[str, Any] = (
        {"evaluate": found.path} if found and usable and not found.roles else {}
    )
    model: dict[str, Any] = {} if context.model == DistillConfig.model else {"model": context.model}
    shared = {name: each for name, each in context.shared.items() if name in ("device", "dtype")}
    config = DistillConfig(
        out=context.out("distilled"), text=source.corpus, **column, **evaluate, **model, **shared
    )
    return Advice(
        name="distilled",
        title="a static copy of the embedder",
        why="where speed counts most: some eighty times faster, with the quality lost measured",
        source=source,
        commands=(Command(("distill",), config=config),),
    )
