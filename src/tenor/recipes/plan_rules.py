"""The rules: from what a user has to what fits, in its order, and what will not work."""

from __future__ import annotations

from collections.abc import Iterable

from tenor.data.findings import Finding
from tenor.recipes.plan_context import Advice, Context, Unfit
from tenor.recipes.plan_labelled import labelled_texts, tagged_texts
from tenor.recipes.plan_pairs import pairs_of_texts
from tenor.recipes.plan_raw import raw_texts, unfit_without_labels
from tenor.recipes.plan_sources import Source

__all__ = ["BLOCKING", "advise"]

# What leaves a method nothing to learn from, until it is mended.
BLOCKING = {
    "one_class": "training a classifier",
    "label_per_text": "training a classifier",
    "constant_scores": "training on these scores",
    "labels_reversed": "training on these labels",
    "unrelated_pairs": "training on these pairs",
    "no_negatives": "ranking (mnr): a batch without negatives",
    "no_spans": "training a tagger",
}
RULES = {
    "labelled_texts": labelled_texts,
    "multi_labelled_texts": labelled_texts,
    "tagged": tagged_texts,
}


def advise(context: Context, findings: Iterable[Finding]) -> tuple[list[Advice], list[Unfit]]:
    """What fits, cheapest and most useful first, and what will not work.

    Args:
        context: the inputs and the model.
        findings: what is the matter with the inputs.
    """
    blocked = {
        each.path: each for each in findings if each.code in BLOCKING and each.severity == "problem"
    }
    advice: list[Advice] = []
    unfit: list[Unfit] = []
    for source in context.inputs.training:
        finding = blocked.get(source.path)
        if finding is not None:
            unfit.append(Unfit(BLOCKING[finding.code], finding.message, source.path))
            continue
        fits, does_not = RULES.get(source.shape, pairs_of_texts)(context, source)
        advice += [each for each in fits if not _again(each, advice)]
        unfit += does_not
    raw = context.inputs.raw
    if raw is not None and (raw.shape == "texts" or not context.inputs.training):
        fits, does_not = raw_texts(context, raw)
        advice += [each for each in fits if not _again(each, advice)]
        unfit += does_not
    if _concerns_embedders(context.inputs.training, raw):
        unfit += unfit_without_labels(context)
    return advice, unfit


def _again(one: Advice, others: Iterable[Advice]) -> bool:
    """Whether the same commands were given already, as for measuring the untouched model."""
    lines = [command.line() for command in one.commands]
    return any(lines == [command.line() for command in each.commands] for each in others)


def _concerns_embedders(training: Iterable[Source], raw: Source | None) -> bool:
    pairs = any(each.shape not in (*RULES, "texts") for each in training)
    return pairs or raw is not None
