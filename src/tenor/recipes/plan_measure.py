"""Measuring, for a plan: the tokens of every file, labels against texts, and the pace of training.

The untouched model embeds first; the steps that spoil a model come after, each recipe with its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from tenor.data.findings import Finding
from tenor.errors import TenorError
from tenor.models.embedder import Embedder
from tenor.recipes.plan import PlanSettings
from tenor.recipes.plan_context import Advice, Context
from tenor.recipes.plan_encoding import EncodingPace
from tenor.recipes.plan_estimate import Measured
from tenor.recipes.plan_labels import check_labels
from tenor.recipes.plan_probe import Pace
from tenor.recipes.plan_rehearsals import rehearse
from tenor.recipes.plan_sources import Inputs
from tenor.recipes.plan_text_facts import TextFacts, text_facts
from tenor.recipes.tell import tell

__all__ = ["measure", "text_measures"]

EMBEDDING = 0.35  # share of the time
MOST_REHEARSED = 4  # recipes; those further down are told by these


def text_measures(inputs: Inputs, embedder: Embedder) -> dict[str, dict[str, TextFacts]]:
    """The tokens of every source, by path and column."""
    return {each.path: text_facts(each, embedder) for each in inputs.sources}


def measure(
    config: PlanSettings,
    context: Context,
    advice: Sequence[Advice],
    facts: Mapping[str, Mapping[str, TextFacts]],
    embedder: Embedder,
) -> tuple[Measured, list[Finding]]:
    """Embed a sample of what is trained on, then try the steps of the first recipes.

    Args:
        config: for the time there is.
        context: the inputs.
        advice: the recipes, in order.
        facts: tokens of every source.
        embedder: the untouched model.

    Returns:
        What was measured, and what labels and texts contradict each other in.
    """
    findings: list[Finding] = []
    encoding: dict[str, EncodingPace] = {}
    fits: dict[str, tuple[float, int]] = {}
    raw = context.inputs.raw
    sources = [*context.inputs.training] or ([raw] if raw is not None else [])
    for source in sources:
        seconds = EMBEDDING * config.seconds / len(sources)
        check = check_labels(source, embedder, seconds=seconds, seed=config.seed)
        findings += check.findings
        if check.pace is not None:
            encoding[source.path] = check.pace
            tell(f"embedding {source.path}: {check.pace.texts:,.0f} texts a second")
        if check.fit_seconds is not None:
            fits[source.path] = check.fit_seconds
    paces = _paces(config, advice)
    return Measured(facts, paces, encoding, fits), findings


def _paces(config: PlanSettings, advice: Sequence[Advice]) -> dict[str, Pace]:
    """The pace of each recipe that has steps; those that train alike share one."""
    found: dict[str, Pace] = {}
    due = [each for each in advice if _tried(each)][:MOST_REHEARSED]
    began = time.perf_counter()
    for each in due:
        seconds = (1 - EMBEDDING) * config.seconds / len(due) / 2  # the other half is loading
        start = time.perf_counter()
        if found and start - began > config.seconds:
            tell(f"{each.name}: not tried, the time for trying is over (--seconds)")
            continue
        try:
            pace = rehearse(each.config, each.source, seconds=seconds)
        except TenorError as error:
            tell(f"{each.name} could not be tried: {error}")
            continue
        if pace is not None:
            found[each.name] = pace
            took = time.perf_counter() - start
            tell(f"{each.name}: {pace.seconds:.2f} s a step ({pace.steps} steps, {took:.0f} s)")
    for name, like in (
        ("hard-negatives", "contrastive"),
        ("freeze-sweep", "fine-tuned"),
        ("mlm-fine-tuned", "fine-tuned"),
    ):
        if like in found:
            found[name] = found[like]
    return found


def _tried(advice: Advice) -> bool:
    return advice.name in (
        "few-shot", "fine-tuned", "tagger", "contrastive", "cross-encoder", "tsdae",
        "from-documents",
    )  # fmt: skip
