"""Few labelled texts of each class: drawn from many, or made of the names of the labels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tenor.data.prepare import take
from tenor.data.schema import PairTable
from tenor.errors import ConfigError

__all__ = [
    "TEMPLATES",
    "count_texts",
    "describe_shots",
    "draw_shots",
    "joined",
    "label_texts",
    "without_repeats",
    "words_of",
]

TEMPLATES = ("This text is about {}.", "{}", "A text on the subject of {}.", "Topic: {}.")


def draw_shots(table: PairTable, shots: int, seed: int) -> PairTable:
    """Draw so many texts of each label at random; all of a label that has fewer.

    Of texts with several labels, labels are served from the rarest on, and a text that was drawn
    for one label counts for its others, too; of texts without any label as many are drawn.

    Args:
        table: labelled texts, none of them twice.
        shots: texts of each label, at least 1.
        seed: decides which.
    """
    assert table.target is not None
    order = np.random.default_rng([seed, 3]).permutation(len(table))
    target = np.asarray(table.target)[order]
    chosen = np.zeros(len(order), dtype=bool)
    if target.ndim == 1:
        for label in np.unique(target):
            chosen[np.flatnonzero(target == label)[:shots]] = True
    else:
        has = np.concatenate([target > 0, ~(target > 0).any(axis=1, keepdims=True)], axis=1)
        for label in np.argsort(has.sum(axis=0), kind="stable").tolist():
            missing = shots - int((chosen & has[:, label]).sum())
            free = np.flatnonzero(has[:, label] & ~chosen)
            chosen[free[: max(missing, 0)]] = True
    return take(table, np.sort(order[chosen]))


def without_repeats(table: PairTable) -> PairTable:
    """The rows whose text and labels did not stand there before."""
    assert table.target is not None
    seen: set[tuple[str, bytes]] = set()
    kept = []
    for row, text in enumerate(table.columns["text"]):
        key = (text, np.asarray(table.target[row]).tobytes())
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return table if len(kept) == len(table) else take(table, np.array(kept))


def count_texts(table: PairTable) -> npt.NDArray[np.int64]:
    """How many texts each label has."""
    assert table.target is not None and table.label_names is not None
    if table.target.ndim == 2:
        counted: npt.NDArray[np.int64] = table.target.sum(axis=0).astype(np.int64)
        return counted
    return np.bincount(table.target, minlength=len(table.label_names))


def describe_shots(table: PairTable, shots: int | None) -> str:
    """What was drawn, in words, and which labels have fewer texts than were asked for."""
    assert table.label_names is not None
    counts = count_texts(table)
    low, high = int(counts.min()), int(counts.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    said = f"{len(table):,} texts, {each} of each of {len(counts):,} labels"
    fewer = [table.label_names[place] for place in np.flatnonzero(counts < (shots or 0)).tolist()]
    if fewer:
        listed = ", ".join(fewer[:5]) + (", …" if len(fewer) > 5 else "")
        said += f"; fewer than the {shots} asked for of {listed}"
    return said


def words_of(name: str) -> str:
    """A label's name as a text has it: words instead of underscores, hyphens and camel case.

    >>> words_of("card_arrival"), words_of("refundNotShowing")
    ('card arrival', 'refund not showing')
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = " ".join(re.sub(r"[_\-/]+", " ", apart).split())
    return words if words.isupper() or apart == name else words.lower()


def label_texts(
    names: Sequence[str],
    *,
    templates: Sequence[str] = TEMPLATES,
    words: Mapping[str, str] | None = None,
    multi_label: bool = False,
) -> PairTable:
    """Texts made of the labels' names, one for each label and template.

    Args:
        names: of the labels.
        templates: texts with `{}` where the name goes.
        words: what stands for a name, where the name itself does not say what it means.
        multi_label: whether a text may have several labels; these have one.

    Raises:
        ConfigError: a template has no `{}`, words are given for a label that there is not, or a
            name is a number that no words explain.

    >>> label_texts(["sport", "science"], templates=["About {}."]).columns["text"]
    ['About sport.', 'About science.']
    """
    given = dict(words or {})
    for template in templates:
        if "{}" not in template:
            raise ConfigError("template", template, "a text with {} where the label's name goes")
    if unknown := [name for name in given if name not in names]:
        listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise ConfigError("label_words", unknown[0], f"one of the labels {listed}")
    for name in names:
        if name not in given and not re.search(r"[^\W\d_]", name):
            allowed = f"given for {name!r}, which says nothing: --label-words.{name} WORDS"
            raise ConfigError("label_words", given, allowed)
    said = [given.get(name) or words_of(name) for name in names]
    texts = [template.replace("{}", each) for template in templates for each in said]
    labels = np.tile(np.arange(len(names)), len(templates))
    digest = hashlib.sha256("\n".join([*names, *texts]).encode()).hexdigest()
    return PairTable(
        kind="multi_labelled_texts" if multi_label else "labelled_texts",
        columns={"text": texts},
        target=np.eye(len(names), dtype=np.float32)[labels] if multi_label else labels,
        label_names=tuple(names),
        lines=np.arange(1, len(texts) + 1),
        path="the names of the labels",
        sha256=digest,
    )


def joined(first: PairTable, second: PairTable) -> PairTable:
    """The rows of two tables with the same labels, one after another."""
    assert first.label_names == second.label_names
    assert first.target is not None and second.target is not None
    texts = [*first.columns["text"], *second.columns["text"]]
    return replace(
        first,
        columns={"text": texts},
        target=np.concatenate([first.target, second.target]),
        lines=np.concatenate([first.lines, second.lines]),
    )
