"""Positive pairs made of documents themselves, where nobody has labelled any.

Two spans of one document are nearer in meaning than spans of two: that is all the label there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from tenor.data.bounded import PairSample, TextFrequencies
from tenor.data.documents import Document, Documents, digest
from tenor.data.pair_makers import MAKERS, Making, anchor_texts
from tenor.data.pair_making import PairMaking
from tenor.data.prepare import take
from tenor.data.schema import PairTable
from tenor.errors import DataError

__all__ = ["Watch", "documents_of", "hold_out_documents", "make_pairs", "pair_table"]

Watch = Callable[[Iterable[Document], str], Iterable[Document]]


def documents_of(source: str, how: str, **options: object) -> Documents:
    """The documents of a file, as a way of making pairs needs them.

    Args:
        source: file or hub data set.
        how: the way.
        **options: columns and on_bad_row of `Documents`.
    """
    head = how if how in ("title", "summary") else None
    return Documents(source, head, needs_head=how == "summary", **options)  # type: ignore[arg-type]


def make_pairs(
    documents: Documents, settings: PairMaking, *, tokens: int = 512, watch: Watch | None = None
) -> PairTable:
    """Make positive pairs of documents, the same ones every time.

    The file is read twice, in memory that grows with the pairs kept and by about 100 bytes a
    document: first to find boilerplate, then to make the pairs.

    Args:
        documents: where they come from.
        settings: how pairs are made.
        tokens: of a text that the model reads.
        watch: wraps each reading, to show how far it is.

    Returns:
        The pairs in the order of the documents; `lines` holds the line of each pair's document, and
        `notes` counts what was read, left out and why.

    Raises:
        DataError: for a file that cannot be used, or when fewer than two pairs can be made of it.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "texts.csv"
    >>> _ = path.write_text("title,text\\nFoxes,They hunt mice.\\nOwls,They hunt at night.\\n")
    >>> documents = documents_of(str(path), "title")
    >>> make_pairs(documents, PairMaking(how="title", min_words=2)).columns["anchor"]
    ['Foxes', 'Owls']
    """
    watch = watch or (lambda found, doing: found)
    frequencies = TextFrequencies()
    if settings.looks_for_boilerplate:
        for document in watch(documents, "looking for boilerplate"):
            frequencies.add(anchor_texts(document, settings.how))
    most = settings.boilerplate_from(frequencies.documents)
    making = Making(settings, settings.most_words(tokens), lambda text: frequencies.of(text) > most)
    sample = PairSample(settings.most_pairs, settings.seed)
    maker, counts = MAKERS[settings.how], making.counts
    for document in watch(documents, "making pairs"):
        generator = np.random.default_rng([settings.seed, document.line])
        made = maker(document, making, generator)
        counts["documents_without_pairs"] += not made
        for anchor, positive in made:
            if settings.how != "simcse" and digest(anchor) == digest(positive):
                counts["same_on_both_sides"] += 1
            else:
                counts["repeated_pairs"] += not sample.add(anchor, positive, document.line)
    counts["beyond_max_pairs"] = sample.offered - len(sample.kept)
    notes = _notes(documents, counts)
    if len(sample.kept) < 2:
        said = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in notes.items())
        raise DataError(
            f"how = {settings.how!r} makes too few pairs of it, {len(sample.kept)} ({said}). Lower "
            "--min-words, or take another --how.",
            path=documents.source,
        )
    rows = sorted(sample.kept)  # by line, and for a line in the order they were made
    return pair_table(
        [row[2] for row in rows],
        [row[3] for row in rows],
        np.array([row[0] for row in rows], dtype=np.int64),
        path=documents.source,
        sha256=documents.sha256,
        notes=notes,
    )


def pair_table(
    anchors: list[str],
    positives: list[str],
    lines: np.ndarray,
    *,
    path: str,
    sha256: str,
    notes: dict[str, int],
) -> PairTable:
    """Made pairs as a table to train on; `lines` says which document each is of."""
    return PairTable(
        kind="pairs",
        columns={"anchor": anchors, "positive": positives},
        target=None,
        label_names=None,
        lines=lines,
        path=path,
        notes=notes,
        sha256=sha256,
    )


def hold_out_documents(table: PairTable, share: float, seed: int) -> tuple[PairTable, PairTable]:
    """Split made pairs for validation, so that no document has some on both sides.

    Args:
        table: what `make_pairs` gave.
        share: about this share of the documents is held out.
        seed: decides which.

    Returns:
        The pairs to train on and those held out.

    Raises:
        DataError: when there are too few documents.
    """
    documents, document = np.unique(table.lines, return_inverse=True)
    order = np.random.default_rng([seed, 1]).permutation(len(documents))
    held = np.isin(document, order[: max(1, round(share * len(documents)))])
    if held.all() or held.sum() < 2:
        raise DataError(
            f"its {len(documents):,} documents with pairs are too few to hold some out.",
            path=table.path,
        )
    return take(table, np.flatnonzero(~held)), take(table, np.flatnonzero(held))


def _notes(documents: Documents, counts: Counter[str]) -> dict[str, int]:
    """What was read and left out, nothing of which there was none."""
    read = documents.notes
    notes = {
        "documents": read["documents"],
        "empty_documents": read["empty"],
        "repeated_documents": read["repeated"],
        "bad_rows": read["bad_rows"],
        **{name: int(count) for name, count in sorted(counts.items())},
    }
    return {name: count for name, count in notes.items() if count}
