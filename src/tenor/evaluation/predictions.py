"""What a model gave to each item of an evaluation, as a table to look at and to make a report of.

| kind | a row | columns |
|---|---|---|
| retrieval | a query | query_id, query, document_id, document, rank_before, rank, top_before, top |
| ranking | an anchor | anchor, positive, rank_before, rank, top_before, top |
| pairs | a pair of texts | text1, text2, gold, score_before, score |
| pair_labels | a pair of texts | text1, text2, gold, label_before, label |
| classification | a text | text, gold, label, probability |
| tagging | a text | line, text, gold, found |

`…_before` is the model before training, where it was measured, else null. Ranks are those of the
first right document, from 1; 0 is beyond the ranks that were looked at. `document` is a right one,
`top` the one that was ranked highest. Texts of documents are cut. Spans are start, end and label.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenor.errors import DataError
from tenor.evaluation.classification import Classification
from tenor.evaluation.classification_result import ClassificationResult
from tenor.evaluation.pair_ranking import PairRanking
from tenor.evaluation.pairs import LabelledPairScores, PairLabels, PairScores
from tenor.evaluation.result import EvaluationResult
from tenor.evaluation.retrieval import Retrieval
from tenor.evaluation.similarity import EmbeddingSimilarity
from tenor.evaluation.tagging import SpanEvaluation, TaggingResult
from tenor.evaluation.validation import LabelledPairs
from tenor.formats.table_writer import write_parquet

__all__ = ["PREDICTIONS", "Predictions", "predictions", "read_predictions", "write_predictions"]

PREDICTIONS = "predictions.parquet"  # in the run's folder
KIND = b"tenor.kind"
DOCUMENT_LETTERS = 400

Before = EvaluationResult | None


@dataclass(frozen=True)
class Predictions:
    """A row for each item.

    Attributes:
        kind: as in the table above.
        table: the rows.
    """

    kind: str
    table: pa.Table


def write_predictions(
    folder: str | Path, evaluation: Any, before: Before, after: EvaluationResult | None
) -> None:
    """Write predictions.parquet, where there is such a table for the evaluation.

    Args:
        folder: of the run.
        evaluation: what was measured with; `None` for nothing.
        before: what it gave for the model before training.
        after: and after.
    """
    if evaluation is None or after is None:
        return
    found = predictions(evaluation, before, after)
    if found is not None:
        metadata = {KIND: found.kind.encode()}
        write_parquet(Path(folder) / PREDICTIONS, found.table.replace_schema_metadata(metadata))


def read_predictions(folder: str | Path) -> Predictions | None:
    """What `write_predictions` wrote; `None` where there is no such file.

    Raises:
        DataError: the file cannot be read.
    """
    path = Path(folder) / PREDICTIONS
    if not path.exists():
        return None
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"cannot be read ({error}); delete it, or train again.", path=path
        ) from None
    kind = (table.schema.metadata or {}).get(KIND, b"").decode()
    return Predictions(kind, table)


@singledispatch
def predictions(evaluation: Any, before: Before, after: EvaluationResult) -> Predictions | None:
    """The items of an evaluation with what was given to them; `None` for one without such a table.

    Args:
        evaluation: what was measured with.
        before: what it gave for the model before training, if that was measured.
        after: and after.
    """
    return None


@predictions.register
def _(evaluation: Retrieval, before: Before, after: EvaluationResult) -> Predictions:
    right = evaluation.right_documents
    columns: dict[str, Any] = {
        "query_id": evaluation.query_ids,
        "query": evaluation.queries,
        "document_id": [evaluation.document_ids[place] for place in right.tolist()],
        "document": [_cut(evaluation.documents[place]) for place in right.tolist()],
    }
    for name, result in (("_before", before), ("", after)):
        ranks = tops = None
        if result is not None:
            ranks = result.per_item["first_relevant_rank"]
            places = result.per_item["top_document"].tolist()
            tops = [_cut(evaluation.documents[place]) if place >= 0 else None for place in places]
        columns |= {f"rank{name}": ranks, f"top{name}": tops}
    return _made("retrieval", columns)


@predictions.register
def _(evaluation: PairRanking, before: Before, after: EvaluationResult) -> Predictions:
    columns: dict[str, Any] = {
        "anchor": [anchor for anchor, _, _ in evaluation.lists],
        "positive": [_cut(texts[0]) for _, texts, _ in evaluation.lists],
    }
    for name, result in (("_before", before), ("", after)):
        ranks = tops = None
        if result is not None:
            ranks, places = result.per_item["first_relevant_rank"], result.per_item["top_document"]
            tops = [
                _cut(texts[place])
                for (_, texts, _), place in zip(evaluation.lists, places.tolist(), strict=True)
            ]
        columns |= {f"rank{name}": ranks, f"top{name}": tops}
    return _made("ranking", columns)


@predictions.register
def _(evaluation: EmbeddingSimilarity, before: Before, after: EvaluationResult) -> Predictions:
    pairs = evaluation.sentences1, evaluation.sentences2
    return _scored(pairs, evaluation.scores, "cosine", before, after)


@predictions.register
def _(evaluation: LabelledPairs, before: Before, after: EvaluationResult) -> Predictions:
    pairs = evaluation.left, evaluation.right
    return _scored(pairs, evaluation.labels, "cosine", before, after)


@predictions.register
def _(evaluation: PairScores, before: Before, after: EvaluationResult) -> Predictions:
    return _scored(_apart(evaluation.pairs), evaluation.gold, "score", before, after)


@predictions.register
def _(evaluation: LabelledPairScores, before: Before, after: EvaluationResult) -> Predictions:
    return _scored(_apart(evaluation.pairs), evaluation.same, "score", before, after)


@predictions.register
def _(evaluation: PairLabels, before: Before, after: EvaluationResult) -> Predictions:
    left, right = _apart(evaluation.pairs)
    names = np.array(evaluation.names, dtype=object)
    gold = names[evaluation.gold].tolist()
    columns: dict[str, Any] = {"text1": left, "text2": right, "gold": gold}
    for name, result in (("_before", before), ("", after)):
        labels = None if result is None else names[result.per_item["label"]].tolist()
        columns[f"label{name}"] = labels
    return _made("pair_labels", columns)


@predictions.register
def _(evaluation: Classification, before: Before, after: EvaluationResult) -> Predictions:
    assert isinstance(after, ClassificationResult)
    names = np.array(after.labels, dtype=object)
    gold, found = after.per_item["gold"], after.per_item["label"]
    probability_NC = after.per_item["probability"]
    columns: dict[str, Any] = {"text": evaluation.texts}
    if evaluation.multi_label:
        columns |= {
            name: [names[row.astype(bool)].tolist() for row in side]
            for name, side in (("gold", gold), ("label", found))
        }
        columns["probability"] = [
            row[given.astype(bool)].tolist()
            for row, given in zip(probability_NC, found, strict=True)
        ]
    else:
        columns |= {"gold": names[gold].tolist(), "label": names[found].tolist()}
        columns["probability"] = probability_NC[np.arange(len(found)), found]
    return _made("classification", columns)


@predictions.register
def _(evaluation: SpanEvaluation, before: Before, after: EvaluationResult) -> Predictions | None:
    if not isinstance(after, TaggingResult) or len(after.found) != len(evaluation.table.texts):
        return None
    spans = pa.list_(
        pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string())])
    )
    table = evaluation.table
    columns = {
        "line": table.lines,
        "text": table.texts,
        **{
            name: pa.array([[span._asdict() for span in own] for own in side], spans)
            for name, side in (("gold", table.spans), ("found", after.found))
        },
    }
    return _made("tagging", columns)


def _scored(
    pairs: tuple[list[str], list[str]],
    gold: Any,
    name: str,
    before: Before,
    after: EvaluationResult,
) -> Predictions:
    columns = {
        "text1": pairs[0],
        "text2": pairs[1],
        "gold": gold,
        "score_before": None if before is None else before.per_item[name],
        "score": after.per_item[name],
    }
    return _made("pairs", columns)


def _made(kind: str, columns: dict[str, Any]) -> Predictions:
    rows = len(next(iter(columns.values())))
    known = {name: pa.nulls(rows) if values is None else values for name, values in columns.items()}
    return Predictions(kind, pa.table(known))


def _apart(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [left for left, _ in pairs], [right for _, right in pairs]


def _cut(text: str) -> str:
    return text if len(text) <= DOCUMENT_LETTERS else text[: DOCUMENT_LETTERS - 1] + "…"
