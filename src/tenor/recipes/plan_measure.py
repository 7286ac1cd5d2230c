"""Measuring, for a plan: the tokens of every file, labels against texts, and the pace of training.

The untouched model embeds first; the steps that spoil a model come after, each recipe with its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tenor.data.findings import Finding
from tenor.errors import TenorError
from tenor.models.embedder import Embedder
from tenor.recipes.mlm import MlmConfig
from tenor.recipes.plan import PlanSettings
from tenor.recipes.plan_context import Advice, Context
from tenor.recipes.plan_encoding import EncodingPace
from tenor.recipes.plan_estimate import Measured
from tenor.recipes.plan_labels import check_labels
from tenor.recipes.plan_probe import Pace
from tenor.recipes.plan_rehearsals import rehearse
from tenor.recipes.plan_sources import Inputs, Source
from tenor.recipes.plan_text_facts import TextFacts, text_facts
from tenor.recipes.tell import tell

__all__ = ["measure", "text_measures"]

EMBEDDING = 0.35  # share of the time
MOST_REHEARSED = 5  # recipes; those further down are told by these
REHEARSED = {
    "few-shot", "fine-tuned", "tagger", "contrastive", "cross-encoder", "tsdae", "mlm",
    "from-documents",
}  # fmt: skip
ALIKE = {
    "hard-negatives": "contrastive", "freeze-sweep": "fine-tuned", "mlm-fine-tuned": "fine-tuned",
}  # fmt: skip


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


def _paces(config: PlanSettings, advice: Sequence[Advice]) -> dict[tuple[str, str], Pace]:
    """The pace of each recipe that has steps, on each source; those that train alike share one."""
    found: dict[tuple[str, str], Pace] = {}
    due = _due(advice)
    began = time.perf_counter()
    for (name, path), (settings, source) in due.items():
        seconds = (1 - EMBEDDING) * config.seconds / len(due) / 2  # the other half is loading
        start = time.perf_counter()
        if found and start - began > config.seconds:
            tell(f"{name} on {path}: not tried, the time for trying is over (--seconds)")
            continue
        try:
            pace = rehearse(settings, source, seconds=seconds)
        except TenorError as error:
            tell(f"{name} on {path} could not be tried: {error}")
            continue
        if pace is not None:
            found[name, path] = pace
            took = time.perf_counter() - start
            tell(
                f"{name} on {path}: {pace.seconds:.2f} s a step ({pace.steps} steps, {took:.0f} s)"
            )
    for each in advice:
        alike = found.get((ALIKE.get(each.name, ""), each.source.path))
        if alike is not None:
            found[each.name, each.source.path] = alike
    return found


def _due(advice: Sequence[Advice]) -> dict[tuple[str, str], tuple[Any, Source]]:
    """Settings and rows of what is tried, by name and path; masked language modelling once."""
    due: dict[tuple[str, str], tuple[Any, Source]] = {}
    for each in advice:
        if each.name in REHEARSED:
            due.setdefault((each.name, each.source.path), (each.config, each.source))
        first = each.commands[0].config
        if each.raw is not None and isinstance(first, MlmConfig):
            due.setdefault(("mlm", each.raw.path), (first, each.raw))
    return dict(list(due.items())[:MOST_REHEARSED])
