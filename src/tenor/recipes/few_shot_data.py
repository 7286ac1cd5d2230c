"""What few-shot training has to learn from and is measured on: read, held out, drawn, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tenor.data.labelled_split import hold_out_by_label
from tenor.data.labelled_texts import describe_labels, describe_repeats, read_labelled_texts
from tenor.data.overlap import normalise
from tenor.data.pool import read_pool
from tenor.data.schema import PairTable
from tenor.data.shots import (
    TEMPLATES,
    count_texts,
    describe_shots,
    draw_shots,
    joined,
    label_texts,
    without_repeats,
)
from tenor.errors import DataError
from tenor.recipes.few_shot import FewShotConfig
from tenor.recipes.fit_data import Evaluation
from tenor.recipes.labelled_evaluation import evaluation_on_texts
from tenor.recipes.tell import tell

__all__ = ["FewShotData", "read_few_shot"]


@dataclass(frozen=True, eq=False)
class FewShotData:
    """Texts to train and to measure on.

    Attributes:
        table: labelled texts, those made of the labels' names among them.
        given: how many of them a person labelled; the first ones.
        evaluation: how to measure; `None` measures nothing.
        unlabelled: texts without labels, none of them among the others.
        hashes: SHA-256 of the files, by path.
        notes: counts, for the record.
    """

    table: PairTable
    given: int
    evaluation: Evaluation | None
    unlabelled: list[str] = field(default_factory=list)
    hashes: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the labels."""
        assert self.table.label_names is not None
        return self.table.label_names

    @property
    def multi_label(self) -> bool:
        """Whether a text may have any number of labels."""
        return self.table.kind == "multi_labelled_texts"


def read_few_shot(config: FewShotConfig) -> FewShotData:
    """Read everything, draw the shots, and say what there is.

    Raises:
        DataError: a file cannot be used.
        ConfigError: for templates or words that cannot be.
    """
    templates = config.template or TEMPLATES
    words = config.label_words
    held = drawn = None
    if config.train is None:
        several = bool(config.multi_label)
        named = label_texts(config.labels, templates=templates, words=words, multi_label=several)
        tell(f"no labelled texts: {len(config.labels):,} labels' names make {len(named):,}")
    else:
        drawn, held = _labelled(config, config.train)
        assert drawn.label_names is not None
        several = drawn.kind == "multi_labelled_texts"
        if config.labels_as_text:
            named = label_texts(
                drawn.label_names, templates=templates, words=words, multi_label=several
            )
            tell(f"the labels' names make {len(named):,} texts more")
    table = named if drawn is None else joined(drawn, named) if config.labels_as_text else drawn
    evaluation = evaluation_on_texts(config, table, held)
    hashes = {table.path: table.sha256}
    unlabelled: list[str] = []
    notes = {"labelled_texts": 0 if drawn is None else len(drawn), "texts": len(table)}
    if config.unlabelled is not None:
        pool = read_pool(
            config.unlabelled,
            columns=(config.unlabelled_column,),
            on_bad_row=config.on_bad_row,  # type: ignore[arg-type]
        )
        hashes[config.unlabelled] = pool.sha256
        unlabelled = _new_texts(config, pool.texts, table, evaluation)
        notes["unlabelled_texts"] = len(unlabelled)
    return FewShotData(
        table=table,
        given=0 if drawn is None else len(drawn),
        evaluation=evaluation,
        unlabelled=unlabelled,
        hashes=hashes,
        notes=notes,
    )


def _labelled(config: FewShotConfig, path: str) -> tuple[PairTable, PairTable | None]:
    """The texts to train on, and those held out."""
    table = read_labelled_texts(
        path,
        columns=config.columns,
        multi_label=config.multi_label,
        on_bad_row=config.on_bad_row,  # type: ignore[arg-type]
    )
    tell(f"{table.path}: {len(table):,} texts, {len(table.skipped):,} bad rows skipped")
    tell(describe_labels(table))
    repeats = describe_repeats(table)
    if repeats is not None:
        tell(repeats)
    held = None
    if config.hold_out:
        # The same ones whatever the seed: draws are compared on them.
        table, held = hold_out_by_label(table, config.hold_out, 0)
    table = without_repeats(table)
    if config.shots is not None:
        table = draw_shots(table, config.shots, config.seed)
        tell(f"drawn with seed {config.seed}: {describe_shots(table, config.shots)}")
    empty = np.flatnonzero(count_texts(table) == 0)
    if len(empty):
        assert table.label_names is not None
        name = table.label_names[int(empty[0])]
        raise DataError(f"no text is left of the label {name!r}.", path=path)
    return table, held


def _new_texts(
    config: FewShotConfig, texts: list[str], table: PairTable, evaluation: Evaluation | None
) -> list[str]:
    """Unlabelled texts that are neither trained nor measured on, not too many of them.

    Raises:
        DataError: there is none.
    """
    measured = [] if evaluation is None else evaluation.measure.texts  # type: ignore[attr-defined]
    known = {normalise(text) for text in [*table.columns["text"], *measured]}
    new = [text for text in texts if normalise(text) not in known]
    said = f"{config.unlabelled}: {len(texts):,} different texts without labels"
    if len(new) < len(texts):
        said += f", {len(texts) - len(new):,} of them left out, which are trained or measured on"
    if config.max_unlabelled and len(new) > config.max_unlabelled:
        order = np.random.default_rng([config.seed, 4]).permutation(len(new))
        new = [new[row] for row in np.sort(order[: config.max_unlabelled]).tolist()]
        said += f"; {len(new):,} drawn of the rest"
    if not new:
        raise DataError(
            "holds no text that is not trained or measured on already.", path=config.unlabelled
        )
    tell(said)
    return new
