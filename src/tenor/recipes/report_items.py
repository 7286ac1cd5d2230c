"""What reports show of single items: from predictions.parquet and map.parquet of a run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tenor.data.span_rows import CharSpan
from tenor.evaluation.embedding_map import PROJECTIONS, MapPoint, on_a_plane, projection_for
from tenor.evaluation.map_sample import read_map
from tenor.evaluation.predictions import Predictions, read_predictions
from tenor.evaluation.report_sections import Changes, RankChange, Section
from tenor.evaluation.run_sections import (
    Confusions,
    EmbeddingMap,
    Mistake,
    ScoreSpread,
    TagErrors,
)
from tenor.evaluation.span_errors import KINDS, count_errors, span_errors
from tenor.evaluation.tag_context import TagErrorExample, in_context

__all__ = ["item_sections", "map_section"]

EXAMPLES = 8
BEYOND = 1000  # the rank that a document counts as, which was not among those looked at
DEPTH = 100
MOST_PAIRS = 20_000  # of a chart of scores


def item_sections(folder: Path, after: Mapping[str, Any]) -> list[Section]:
    """What predictions.parquet tells; nothing where there is none.

    Args:
        folder: of a run.
        after: its evaluation's JSON.
    """
    found = read_predictions(folder)
    if found is None or not len(found.table):
        return []
    if found.kind in ("retrieval", "ranking"):
        return [_changes(found)]
    if found.kind == "pairs":
        return [_scores(found)]
    if found.kind == "pair_labels":
        return [_pair_confusions(found)]
    if found.kind == "classification":
        return [_confusions(found, after)]
    return [_tag_errors(found)] if found.kind == "tagging" else []


def map_section(folder: Path, projection: str) -> EmbeddingMap | None:
    """The map, where there are vectors for one.

    Args:
        folder: of a run.
        projection: pca or umap; of too few texts for UMAP pca is drawn, and said.
    """
    stored = read_map(folder)
    if stored is None or len(stored.sample.texts) < 3:
        return None
    projection = projection_for(projection, len(stored.sample.texts))
    sides = {"before training": stored.before, "after training": stored.after}
    if stored.before is None:
        sides = {"this model": stored.after}
    panels = {}
    for name, vectors in sides.items():
        assert vectors is not None
        places = on_a_plane(vectors, projection).tolist()
        rows = zip(places, stored.sample.texts, stored.sample.groups, strict=True)
        panels[name] = [MapPoint(x, y, text, group) for (x, y), text, group in rows]
    note = f"{len(stored.sample.texts):,} texts of the evaluation."
    if stored.sample.links:
        note += " A line joins what belongs together: the shorter, the better."
    return EmbeddingMap(
        panels=panels, links=stored.sample.links, method=PROJECTIONS[projection], note=note
    )


def _changes(found: Predictions) -> Changes:
    """Queries whose right document was ranked higher than before, and lower."""
    query, text = ("query", "document") if found.kind == "retrieval" else ("anchor", "positive")
    rows = found.table.to_pylist()
    measured = rows[0]["rank_before"] is not None
    moves = []
    for row in rows:
        old, new = row["rank_before"] or 0, row["rank"]
        gain = 1 / (new or BEYOND) - (1 / (old or BEYOND) if measured else 1)
        change = RankChange(
            query=row[query],
            name=_name(row.get("document_id", "")),
            text=row[text],
            before=old,
            after=new,
            top_before=row["top_before"] or "",
            top_after=row["top"] or "",
        )
        moves.append((gain, change))
    moves.sort(key=lambda move: (-move[0], move[1].query))
    gains = [gain for gain, _ in moves]
    counts = {
        "improved": sum(gain > 0 for gain in gains),
        "unchanged": sum(gain == 0 for gain in gains),
        "worse": sum(gain < 0 for gain in gains),
    }
    note = "The largest changes of the reciprocal rank of a right document."
    if not measured:
        counts = {"found first": counts["unchanged"], "not first": counts["worse"]}
        note = "No model was measured before: shown are those found last."
    return Changes(
        title="Wins and losses" if measured else "What is not found",
        improved=[change for gain, change in moves if gain > 0][:EXAMPLES],
        worsened=[change for gain, change in reversed(moves) if gain < 0][:EXAMPLES],
        counts=counts,
        depth=DEPTH,
        note=note,
    )


def _name(document_id: str) -> str:
    """The document's name, where it has one that is more than its number."""
    return "" if document_id.isdigit() else document_id


def _scores(found: Predictions) -> ScoreSpread:
    table = found.table
    gold = table["gold"].to_numpy(zero_copy_only=False)
    names = {"before": "score_before", "after": "score"}
    known = {n: column for n, column in names.items() if table[column].null_count == 0}
    rows = np.arange(len(gold))
    if len(rows) > MOST_PAIRS:
        rows = np.random.default_rng(0).permutation(rows)[:MOST_PAIRS]
    values = {name: table[column].to_numpy()[rows] for name, column in known.items()}
    note = f"{len(rows):,} pairs."
    if gold.dtype == bool:
        same = gold[rows]
        scores = {
            name: (each[same].tolist(), each[~same].tolist()) for name, each in values.items()
        }
        return ScoreSpread(title="Scores of positives and negatives", scores=scores, note=note)
    scores = {name: (gold[rows].tolist(), each.tolist()) for name, each in values.items()}
    return ScoreSpread(title="Scores by gold score", scores=scores, by_gold=True, note=note)


def _confusions(found: Predictions, after: Mapping[str, Any]) -> Confusions:
    rows = found.table.to_pylist()
    one = not isinstance(rows[0]["label"], list)
    wrong = [row for row in rows if row["gold"] != row["label"]]
    if one:
        wrong.sort(key=lambda row: -row["probability"])
    mistakes = [
        Mistake(
            text=row["text"],
            gold=row["gold"] if one else ", ".join(row["gold"]) or "no label",
            found=row["label"] if one else ", ".join(row["label"]) or "no label",
            probability=row["probability"] if one else None,
        )
        for row in wrong[:EXAMPLES]
    ]
    return Confusions(
        title="What is taken for what" if one else "Texts with wrong labels",
        labels=after.get("labels") or [],
        cells=after.get("confusion") or [],
        mistakes=mistakes,
        note=f"{len(wrong):,} of {len(rows):,} texts are not right altogether.",
    )


def _pair_confusions(found: Predictions) -> Confusions:
    rows = found.table.select(["text1", "text2", "gold", "label"]).to_pylist()
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        counts[row["gold"], row["label"]] = counts.get((row["gold"], row["label"]), 0) + 1
    labels = list(dict.fromkeys(label for both in sorted(counts) for label in both))
    wrong = [row for row in rows if row["gold"] != row["label"]]
    return Confusions(
        labels=labels,
        cells=[{"gold": g, "found": f, "count": n} for (g, f), n in counts.items()],
        mistakes=[
            Mistake(text=f"{row['text1']} — {row['text2']}", gold=row["gold"], found=row["label"])
            for row in wrong[:EXAMPLES]
        ],
        note=f"{len(wrong):,} of {len(rows):,} pairs are given the wrong label.",
    )


def _tag_errors(found: Predictions) -> TagErrors:
    """Errors of each kind in context, of as many texts as possible."""
    examples: dict[str, list[TagErrorExample]] = {kind: [] for kind in KINDS}
    every = []
    for row in found.table.to_pylist():
        gold, given = ([CharSpan(**span) for span in row[side]] for side in ("gold", "found"))
        errors = span_errors(gold, given)
        every.append(errors)
        shown = set()
        for error in errors:
            if error.kind not in shown and len(examples[error.kind]) < EXAMPLES:
                shown.add(error.kind)
                examples[error.kind].append(in_context(row["line"], row["text"], error))
    return TagErrors(
        counts=count_errors(every),
        examples={kind: own for kind, own in examples.items() if own},
        note=f"The first of each kind, one a text; all are in predictions.parquet. "
        f"{len(every):,} texts.",
    )
