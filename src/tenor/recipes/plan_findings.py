"""Everything noteworthy about the inputs: by themselves, together, and for a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tenor.data.findings import SEVERITIES, Finding
from tenor.data.label_findings import (
    class_findings,
    pair_findings,
    score_findings,
    span_type_findings,
)
from tenor.data.language_findings import languages_and_scripts
from tenor.data.row_findings import (
    bad_rows,
    conflicting_rows,
    leaked_rows,
    repeated_rows,
    repeated_texts,
    too_few_rows,
)
from tenor.data.schema import PairTable
from tenor.data.tagging import TaggedTexts
from tenor.models.embedder import Embedder
from tenor.recipes.contrastive import ContrastiveConfig
from tenor.recipes.plan_sources import Inputs, Source
from tenor.recipes.plan_text_facts import TextFacts, cut_texts, unknown_words

__all__ = ["file_findings", "model_findings", "ordered"]

FEWEST_ROWS = 100


def file_findings(inputs: Inputs) -> list[Finding]:
    """What is noteworthy about the files, whatever the model."""
    found: list[Finding | None] = []
    for source in inputs.sources:
        found += [
            bad_rows(source.path, source.skipped, source.profile.rows),
            *_of_rows(source),
            languages_and_scripts(source.path, source.profile),
        ]
    for source in inputs.training:
        found += _of_training(source)
    found += _shared(inputs)
    found += [_not_measured(source, inputs) for source in inputs.training]
    return [each for each in found if each is not None]


def model_findings(
    inputs: Inputs, facts: Mapping[str, Mapping[str, TextFacts]], embedder: Embedder
) -> list[Finding]:
    """What is noteworthy about the files for a model."""
    raw = inputs.raw
    learnt = list(inputs.training)
    if raw is not None and (raw.shape == "texts" or not learnt):
        learnt.append(raw)
    found: list[Finding] = []
    for source in [*learnt, *(each for each in inputs.sources if each not in learnt)]:
        own = dict(facts[source.path])
        known = {each.code for each in found}
        for each in (cut_texts(source, own, embedder), unknown_words(source, own)):
            # What holds for the training data hardly needs saying of the evaluation data again.
            if each is not None and (source in learnt or each.code not in known):
                found.append(each)
    return found


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, otherwise as they came."""
    return sorted(findings, key=lambda each: SEVERITIES.index(each.severity))


def _of_rows(source: Source) -> list[Finding | None]:
    rows = source.table if source.table is not None else source.tagged
    if rows is not None:
        return [repeated_rows(rows), conflicting_rows(rows)]
    if source.task is not None:
        return []
    return [repeated_texts(source.path, source.texts, source.lines)]


def _of_training(source: Source) -> list[Finding | None]:
    profile, what = source.profile, source.shape.replace("_", " ")
    found: list[Finding | None] = [
        too_few_rows(source.path, profile.rows, FEWEST_ROWS, f"rows of {what}")
    ]
    if source.shape in ("labelled_texts", "multi_labelled_texts"):
        # Few-shot training makes something of few texts, as long as each class has some.
        found = [
            too_few_rows(
                source.path, profile.rows, 8 * max(len(profile.classes), 1), "labelled texts"
            )
        ]
        several = source.shape == "multi_labelled_texts"
        found += class_findings(source.path, profile, several=several)
    elif source.shape == "tagged":
        found += span_type_findings(source.path, profile)
    elif source.shape == "scored":
        found += score_findings(source.path, profile)
    elif source.shape in ("pairs", "triplets") and source.table is not None:
        found += pair_findings(source.table, ContrastiveConfig.batch_size)
    elif source.shape == "labelled_pairs" and min(profile.classes.values()) == 0:
        found.append(_one_sided(source))
    return found


def _one_sided(source: Source) -> Finding:
    name = next(iter(source.profile.classes))
    return Finding(
        code="one_class",
        severity="problem",
        path=source.path,
        message=(
            f"all pairs have the label {name!r}: there is nothing to tell apart. If they all mean "
            "the same, name their columns anchor and positive; ranking needs no other labels."
        ),
        figures={"classes": 1},
    )


def _shared(inputs: Inputs) -> list[Finding | None]:
    """What stands in training data and in evaluation data."""
    found: list[Finding | None] = []
    held_out = [each for each in inputs.sources if each.split in ("validation", "test")]
    for evaluation in held_out:
        rows = _rows(evaluation)
        for training in inputs.training:
            if training is not evaluation and _comparable(training, evaluation):
                found.append(leaked_rows(_rows(training), rows, evaluation.path, training.path))
        raw = inputs.raw
        if raw is not None and raw.shape == "texts":
            found.append(leaked_rows(list(raw.texts), rows, evaluation.path, raw.path))
    return found


def _comparable(one: Source, other: Source) -> bool:
    """Whether rows of both say something about the same thing."""
    alone = ("labelled_texts", "multi_labelled_texts", "tagged", "texts")
    return one.shape == other.shape or (one.shape not in alone and other.shape not in alone)


def _rows(source: Source) -> PairTable | TaggedTexts | list[str]:
    if source.table is not None:
        return source.table
    if source.tagged is not None:
        return source.tagged
    return list(source.task.queries if source.task is not None else source.texts)


def _columns_differ(validation: Source, source: Source) -> Finding:
    return Finding(
        code="other_columns",
        severity="warning",
        path=validation.path,
        message=(
            f"it is not used: its columns are named otherwise than those of {source.path}, and a "
            "recipe reads both by the same names. Rename them; until then the commands hold out a "
            "share of the training rows to choose by (--hold-out)."
        ),
    )


def _not_measured(source: Source, inputs: Inputs) -> Finding | None:
    found = inputs.held_out(source, "validation")
    if found is not None:
        return None if found.read_like(source) else _columns_differ(found, source)
    test = inputs.held_out(source, "test")
    said = (
        f"The test data in {test.path} must not choose anything"
        if test is not None
        else "Nothing would be measured"
    )
    return Finding(
        code="no_validation",
        severity="note",
        path=source.path,
        message=(
            f"there is no validation data. {said}: the commands hold out a share of the training "
            "rows to choose by (--hold-out)."
        ),
    )
