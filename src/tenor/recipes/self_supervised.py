"""Contrastive training without labels: on pairs made of the documents themselves.

SimCSE (Gao et al. 2021, https://arxiv.org/abs/2104.08821), the inverse cloze task (Lee, Chang &
Toutanova 2019, https://arxiv.org/abs/1906.00300), independent cropping (Izacard et al. 2022,
https://arxiv.org/abs/2112.09118), titles, summaries and consecutive sentences.

The loss ranks one way, from anchor to positive. Titles, summaries and cloze sentences are short
and look for a longer text, as queries do; of spans of one kind chance says which is the anchor, so
both ways are trained; SimCSE's two are the same text. `symmetric` adds the other way.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tenor.data.documents import Document, Documents
from tenor.data.read import count_rows
from tenor.data.schema import PairTable, read_pairs
from tenor.data.self_pairs import documents_of, hold_out_documents, make_pairs, pair_table
from tenor.errors import DataError, ModelError
from tenor.evaluation.result import hash_files
from tenor.formats.atomic import sync
from tenor.formats.locate import locate
from tenor.formats.sentence_transformers import is_trained_embedder
from tenor.formats.table_writer import written_table
from tenor.models.bulk import progress_bar
from tenor.models.embedder import Embedder
from tenor.recipes.contrastive import ContrastiveConfig, load_embedder, objective_of, with_rate
from tenor.recipes.embedder_fit import EmbedderFit
from tenor.recipes.fit_data import Source
from tenor.recipes.settings import split_seed_of
from tenor.recipes.tell import tell
from tenor.tokens.packed import PackedBatch
from tenor.tokens.token_ids import TokenIds
from tenor.training.batch import TrainingData

__all__ = ["PAIRS", "train_on_documents"]

log = logging.getLogger("tenor")

PAIRS = "pairs.parquet"  # in the run's folder
SCHEMA = pa.schema([("anchor", pa.string()), ("positive", pa.string()), ("line", pa.int64())])
FACTS = b"tenor"  # key of the file's metadata
BLOCK = 65_536  # pairs written at a time
SAY_EVERY = 100_000  # documents
EXAMPLES, SHOWN = 3, 90  # characters
REASONS = {
    "empty_documents": "empty documents",
    "repeated_documents": "documents that repeat another",
    "bad_rows": "bad rows",
    "documents_without_pairs": "documents that make no pair",
    "too_short": "spans that are too short",
    "boilerplate": "spans that stand in many documents",
    "same_on_both_sides": "pairs of a text and itself",
    "repeated_pairs": "pairs that repeat another",
    "beyond_per_document": "pairs beyond those a document may make",
    "beyond_max_pairs": "pairs beyond --max-pairs",
}


def train_on_documents(config: ContrastiveConfig, fit: EmbedderFit) -> dict[str, Any]:
    """Make pairs of documents, or take those the run made before, and train on them.

    Args:
        config: the settings, with `pairs_from`.
        fit: the run.

    Returns:
        What result.json holds; `pairs` says what was made and left out.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    simcse = config.how == "simcse"
    validation: PairTable | str | None = config.validation
    if config.validation is not None and not Path(config.validation).is_dir():
        # Read now, so that what is wrong with it is said first; --columns is of the documents.
        validation = read_pairs(config.validation, on_bad_row=config.on_bad_row)  # type: ignore[arg-type]
    model = load_embedder(config)
    if simcse:
        _check_dropout(model, config.model)
        if fit.main:
            _warn_of_training(config.model)
    made = _pairs(config, fit, model.max_seq_length)
    table = made
    if config.hold_out:
        table, validation = hold_out_documents(made, config.hold_out, split_seed_of(config))
        tell(
            f"held out: {len(validation):,} pairs; no document has pairs both among them and among "
            f"the {len(table):,} to train on"
        )
    data = TrainingData.of(table.columns, None, model.tokenizer)
    if simcse:
        rows = _first_of_equal(data.ids)
        if same := len(data.ids) - len(rows):
            tell(f"{same:,} texts have the tokens of another and are left out")
        data = replace(data, columns={"anchor": rows, "positive": rows}, columns_apart=True)
    else:
        data = replace(data, groups=table.lines)
    evaluation = None
    if simcse and validation is None:
        tell("no validation data: nothing will be measured (give --validation)")
    else:
        evaluation = fit.evaluation_of(validation, table)
    result = fit.train(
        model,
        objective_of(config, model, "mnr"),
        data,
        loss=f"mnr on pairs made of documents ({config.how})",
        source=Source(len(data), made.notes.get("bad_rows", 0), made.path, made.sha256),
        evaluation=evaluation,
        arguments=with_rate(config, model),
        card=lambda result: fit.card_of(model, result),
    )
    result["pairs"] = {"how": config.how, "made": len(made), **made.notes}
    if fit.main:
        fit.run.write_result(result)
    return result


def _pairs(config: ContrastiveConfig, fit: EmbedderFit, tokens: int) -> PairTable:
    """The pairs of this run: made once, and kept in its folder."""
    assert config.pairs_from is not None and config.how is not None
    path = fit.run.folder / PAIRS
    if fit.run.resumed and path.exists():
        made = _read(path, config.pairs_from)
        tell(f"{path}: {len(made):,} pairs, as the run made them before")
    else:
        documents = documents_of(
            config.pairs_from,
            config.how,
            columns=config.columns or {},
            on_bad_row=config.on_bad_row,
        )
        watch = _watch if fit.main else None
        made = make_pairs(documents, config.pair_making(), tokens=tokens, watch=watch)
        _describe(made, documents, config.how)
        if fit.main:
            _write(made, path)
            tell(f"wrote them to {path}")
    if fit.main:
        fit.run.check_data({made.path: made.sha256, PAIRS: hash_files([path])})
    return made


def _write(made: PairTable, path: Path) -> None:
    facts = {"documents": made.path, "sha256": made.sha256, "notes": dict(made.notes)}
    with written_table(path, SCHEMA.with_metadata({FACTS: json.dumps(facts).encode()})) as table:
        columns: list[Any] = [made.columns["anchor"], made.columns["positive"], made.lines]
        for start in range(0, len(made), BLOCK):
            table.write([column[start : start + BLOCK] for column in columns])
    sync(path)


def _read(path: Path, source: str) -> PairTable:
    """Pairs that were made before; of documents that have changed since, their new hash."""
    try:
        table = pq.read_table(path)
        facts: dict[str, Any] = json.loads((table.schema.metadata or {})[FACTS])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        reason = f"is not as the run wrote it ({error}): delete it, and it is made again."
        raise DataError(reason, path=path) from error
    return pair_table(
        table["anchor"].to_pylist(),
        table["positive"].to_pylist(),
        table["line"].to_numpy(),
        path=source,
        # The pairs are here: whoever has no documents any more can still go on.
        sha256=hash_files([source]) if Path(source).is_file() else facts["sha256"],
        notes=facts["notes"],
    )


def _watch(documents: Iterable[Document], doing: str) -> Iterator[Document]:
    """Show how far a reading of the documents is."""
    assert isinstance(documents, Documents)
    with progress_bar(None, count_rows(documents.source), doing) as bar:
        for number, document in enumerate(documents, start=1):
            yield document
            if bar is not None:
                bar.advance(bar.task_ids[0])
            elif number % SAY_EVERY == 0:
                tell(f"{doing}: {number:,} documents")


def _describe(made: PairTable, documents: Documents, how: str) -> None:
    """Say what was made of which columns, what was left out and why, and show some of it."""
    columns = ", ".join(f"{role} in column {name!r}" for role, name in documents.roles.items())
    tell(f"{made.path}: {made.notes['documents']:,} documents, {columns}")
    if how == "title" and "title" not in documents.roles:
        tell("there is no column of titles: each document's first line or sentence is its title")
    tell(f"made {len(made):,} pairs of {len(np.unique(made.lines)):,} documents (how = {how})")
    left_out = [f"{made.notes[key]:,} {what}" for key, what in REASONS.items() if key in made.notes]
    if left_out:
        tell(f"left out: {'; '.join(left_out)}")
    for row in np.linspace(0, len(made) - 1, EXAMPLES).round().astype(int).tolist():
        anchor, positive = (_shown(made.columns[side][row]) for side in ("anchor", "positive"))
        tell(f"such as {anchor}" + ("" if how == "simcse" else f" ↔ {positive}"))


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def _check_dropout(model: Embedder, name: str) -> None:
    """Two encodings of a text must differ in training; whether they do is tried.

    Raises:
        ModelError: when there is no dropout, and so nothing to learn from.
    """
    ids = model.tokenizer(["Two encodings of one text differ where there is dropout."])
    batch = PackedBatch.of(ids, filler_id=model.tokenizer.filler_id).to(model.device)
    training = model.training
    model.train()
    with torch.no_grad():
        one, other = model(batch)[:1], model(batch)[:1]
    model.train(training)
    if torch.allclose(one, other, rtol=1e-5, atol=1e-6):
        raise ModelError(
            f"{name} has no dropout: both encodings of a text are the same, and SimCSE has nothing "
            "to learn from. Take another model, set the dropout in its config.json (such as "
            "hidden_dropout_prob = 0.1), or take another --how."
        )


def _warn_of_training(name: str) -> None:
    if is_trained_embedder(locate(name)):
        log.warning(
            "warning: %s is an embedder that was trained for similarity. SimCSE has only dropout "
            "to learn from, and may undo some of that training; it is meant for a plain encoder. "
            "Going on as asked: compare before and after with --validation.",
            name,
        )


def _first_of_equal(ids: TokenIds) -> npt.NDArray[np.int64]:
    """The texts without those that have the tokens of an earlier one: these are no rivals."""
    first: dict[bytes, int] = {}
    for number in range(len(ids)):
        first.setdefault(np.ascontiguousarray(ids[number]).tobytes(), number)
    return np.fromiter(first.values(), np.int64, len(first))
