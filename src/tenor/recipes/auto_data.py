"""What a budget is spent on: training, validation and test rows, none of them in two of these."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.data.labelled_texts import read_labelled_texts
from tenor.data.overlap import normalise
from tenor.data.schema import PairTable
from tenor.data.shots import count_texts
from tenor.data.split import Rows, known_rows, row_texts, split_off, take_rows
from tenor.data.tagging import TaggedTexts
from tenor.data.tags import TagSpan, span_tags
from tenor.errors import DataError
from tenor.evaluation.retrieval import Retrieval
from tenor.formats.atomic import write_text
from tenor.recipes.auto import AutoConfig
from tenor.recipes.auto_notes import given_notes
from tenor.recipes.plan_sources import Inputs, Source, read_inputs
from tenor.recipes.stages import write_rows

__all__ = ["AutoData", "Split", "choose_source", "read_back", "split_data", "write_data"]

FEWEST = 24  # rows that can be split in three
SHARE, FEW_ROWS, LARGER_SHARE = 0.1, 2_000, 0.15  # that is split off, of many rows and of few
NOTES = "data.json"
LABELLED = ("labelled_texts", "multi_labelled_texts")

MostRows = Callable[[Source, str], int]
"""How many rows of a source can be measured on within the time, for validation or test."""


@dataclass(frozen=True, eq=False)
class AutoData:
    """What is trained on and measured with.

    Attributes:
        train: rows to train on.
        validation: rows to choose by.
        test: rows, or a retrieval task, to confirm with.
        notes: how they came about, a sentence each.
        hashes: SHA-256 of the user's files, by path.
    """

    train: Source
    validation: Source
    test: Source
    notes: tuple[str, ...]
    hashes: dict[str, str]

    @property
    def inputs(self) -> Inputs:
        """The same as a plan takes them."""
        return Inputs((self.train, self.validation, self.test))


@dataclass(frozen=True, eq=False)
class Split:
    """The same before it is written.

    Attributes:
        rows: by split.
        task: folder of the retrieval task that tests, if one does.
        notes: how they came about.
        hashes: of the user's files.
    """

    rows: dict[str, Rows]
    task: str | None
    notes: list[str]
    hashes: dict[str, str]


def choose_source(inputs: Inputs, folder: str) -> Source:
    """What is trained on: of several kinds of labelled data that with most rows.

    Raises:
        DataError: there is none, or too little of it.
    """
    usable = [each for each in inputs.training if each.shape != "retrieval"]
    if not usable:
        raise DataError(
            "holds no labelled rows to train on: pairs, triplets, scored or labelled pairs, "
            "labelled texts or tagged words. `tenor plan` says what fits it.",
            path=folder,
        )
    chosen = max(usable, key=lambda each: each.profile.rows)
    if chosen.profile.rows < FEWEST:
        raise DataError(
            f"{chosen.profile.rows} rows are too few to train, to choose and to test with; bring "
            f"at least {FEWEST}.",
            path=chosen.path,
        )
    return chosen


def split_data(config: AutoConfig, inputs: Inputs, source: Source, most: MostRows) -> Split:
    """Split what has to be split, and leave out what gives answers away.

    Args:
        config: for the seed.
        inputs: all that was read.
        source: what is trained on.
        most: how many rows can be measured on within the time.

    Raises:
        DataError: too few rows are left, or a label of the evaluation data is unknown.
    """
    notes: list[str] = []
    slow: list[Source] = []
    hashes = {source.path: _hash(source)}
    train = _rows(source)
    found: dict[str, Source | None] = {}
    for split in ("validation", "test"):
        given = inputs.held_out(source, split)
        if given is not None and split == "validation" and given.task is not None:
            given = None  # a retrieval task is for the test
        if given is not None and given.task is not None and most(given, split) < given.profile.rows:
            notes.append(
                f"{given.path} takes too long to search within this budget: it measures nothing. "
                f"Afterwards: tenor evaluate retrieval {config.out}/model {given.path}"
            )
            slow.append(given)
            others = [s for s in inputs.sources if s.split == split and s.shape == source.shape]
            given = max(others, key=lambda each: each.profile.rows, default=None)
        found[split] = given
        if given is not None:
            hashes[given.path] = _hash(given)
    notes = given_notes(inputs, source, [*found.values(), *slow]) + notes
    share = SHARE if len(train) >= FEW_ROWS else LARGER_SHARE
    held: dict[str, Rows] = {}
    for number, split in enumerate(("test", "validation")):
        given = found[split]
        if given is not None:
            if given.task is None:
                held[split] = _known_labels(given, train)
            continue
        train, held[split], apart = split_off(train, share, config.seed + number)
        notes.append(
            f"no {split} data: {len(held[split]):,} of the training rows are split off"
            + ("" if apart else ", by their first text, as nearly all rows hang together")
        )
    task = None if found["test"] is None else found["test"].task
    if task is not None:
        train = _without(train, _asked_and_answered(train, task), "test", notes)
    for split, rows in held.items():
        train = _without(train, known_rows(train, rows), split, notes)
        limit = most(found[split] or source, split)
        if len(rows) > limit:
            order = np.random.default_rng([config.seed, 8]).permutation(len(rows))
            held[split] = take_rows(rows, np.sort(order[:limit]))
            notes.append(
                f"{limit:,} of {len(rows):,} {split} rows, drawn at random, are measured on: more "
                "would take too much of the budget"
            )
    given = found["test"]
    path = None if given is None or given.task is None else str(Path(given.path).resolve())
    return Split({"train": train, **held}, path, notes, hashes)


def write_data(split: Split, folder: Path) -> AutoData:
    """Write all of it to data/ in a folder, and read it as the candidates will."""
    for name, rows in split.rows.items():
        _write(rows, folder / "data" / name)
    facts = {"notes": split.notes, "hashes": split.hashes, "task": split.task}
    write_text(folder / "data" / NOTES, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    made = read_back(folder)
    assert made is not None
    return made


def read_back(folder: Path) -> AutoData | None:
    """What `write_data` wrote, whole; `None` where it did not come to its end."""
    path = folder / "data" / NOTES
    if not path.exists():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    files = [str(each) for each in sorted((folder / "data").glob("[tv]*.*"))]
    inputs = read_inputs(files, test=facts["task"])
    by_split = {each.split: each for each in inputs.sources}
    return AutoData(
        by_split["train"],
        by_split["validation"],
        by_split["test"],
        tuple(facts["notes"]),
        dict(facts["hashes"]),
    )


def _without(rows: Rows, known: npt.NDArray[np.bool_], split: str, notes: list[str]) -> Rows:
    """The training rows that give no evaluation row away.

    Raises:
        DataError: none is left, or none of a label.
    """
    if not known.any():
        return rows
    if known.all():
        raise DataError(f"every row of it stands in the {split} data, too.", path=rows.path)
    kept = take_rows(rows, np.flatnonzero(~known))
    if isinstance(rows, PairTable) and isinstance(kept, PairTable) and rows.kind in LABELLED:
        lost = np.flatnonzero((count_texts(rows) > 0) & (count_texts(kept) == 0))
        if len(lost):
            assert rows.label_names is not None
            raise DataError(
                f"every text of the label {rows.label_names[int(lost[0])]!r} stands in the {split} "
                "data, too.",
                path=rows.path,
            )
    notes.append(f"{int(known.sum()):,} training rows that stand in the {split} data are left out")
    return kept


def _asked_and_answered(rows: Rows, task: Retrieval) -> npt.NDArray[np.bool_]:
    """Which pairs are a query of a search task and a document of it."""
    queries = {normalise(text) for text in task.queries}
    documents = {normalise(text) for text in task.documents}
    return np.array(
        [
            (left in queries and right in documents) or (right in queries and left in documents)
            for left, right, *_ in row_texts(rows)
        ],
        dtype=bool,
    )


def _rows(source: Source) -> Rows:
    rows = source.table if source.table is not None else source.tagged
    assert rows is not None
    return rows


def _hash(source: Source) -> str:
    if source.task is not None:
        return str(source.task.data["sha256"])
    return _rows(source).sha256


def _known_labels(source: Source, train: Rows) -> Rows:
    """Evaluation rows by the labels of the training rows.

    Raises:
        DataError: they have a label that no training row has.
    """
    if source.shape not in LABELLED or not isinstance(train, PairTable):
        return _rows(source)
    return read_labelled_texts(
        source.path,
        columns=source.roles,
        known=train.label_names,
        owner="the training data",
        multi_label=train.kind == "multi_labelled_texts",
        on_bad_row="skip" if source.skipped else "error",
    )


def _write(rows: Rows, path: Path) -> None:
    """Write rows so that they are read back as they are, whole or not at all."""
    if isinstance(rows, PairTable):
        if rows.kind == "multi_labelled_texts":
            names = rows.label_names or ()
            listed: Any = [
                [names[place] for place in np.flatnonzero(row).tolist()]
                for row in np.asarray(rows.target)
            ]
            rows = replace(rows, target=listed)
        write_rows(rows, path.with_suffix(".parquet"))
        return
    lines = [json.dumps(each, ensure_ascii=False) + "\n" for each in _tagged_rows(rows)]
    write_text(path.with_suffix(".jsonl"), "".join(lines))


def _tagged_rows(rows: TaggedTexts) -> list[dict[str, Any]]:
    if rows.words is None:
        return [
            {
                "text": text,
                "spans": [{"start": s.start, "end": s.end, "label": s.label} for s in spans],
            }
            for text, spans in zip(rows.texts, rows.spans, strict=True)
        ]
    made = []
    for text, words, spans in zip(rows.texts, rows.words, rows.spans, strict=True):
        first = {start: place for place, (start, _) in enumerate(words)}
        last = {end: place for place, (_, end) in enumerate(words)}
        own = [TagSpan(first[s.start], last[s.end] + 1, s.label) for s in spans]
        tokens = [text[start:end] for start, end in words]
        made.append({"tokens": tokens, "ner_tags": span_tags(own, len(words))})
    return made
