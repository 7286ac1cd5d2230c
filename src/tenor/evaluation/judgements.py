"""Judgements: which documents of a corpus are relevant to each query, and how much.

A grade above 0 is relevant, any other is not, as in trec_eval.

Shapes: Q queries that are scored, K ranks, I judged relevant documents (padded with 0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError, DataError

__all__ = ["Judgements"]


class Judgements:
    """The relevant documents of each query, as arrays in which rankings are looked up.

    Queries without a relevant document in the corpus are left out and counted. Relevant documents
    that are not in the corpus are counted too, and, as in trec_eval, still belong to what the
    other queries should have found.

    Args:
        qrels: grade by document id, by query id.
        query_ids: of all the queries.
        document_ids: of the corpus, each once.
        drop_self: whether a query's judgement of the document with its own id is void; "auto" as
            `Retrieval` has it.
        depth: the deepest rank that counts.

    Attributes:
        query_ids: of the queries that are scored, Q.
        self_Q: position in the corpus of what the query may not find, which is itself; else -1.
        relevant_Q: number of relevant documents of each query.
        ideal_QI: their grades, highest first, at most `depth` of them, padded with 0.
        notes: what was left out, by name.

    Raises:
        ConfigError: `drop_self` is none of the three.
        DataError: a grade is not finite, or no query has a relevant document.

    >>> judgements = Judgements({"q": {"b": 2, "z": 1}}, ["q", "r"], ["a", "b"], depth=10)
    >>> judgements.query_ids, judgements.ideal_QI.tolist()
    (['q'], [[2.0, 1.0]])
    >>> judgements.grades(np.array([[0, 1, -1]])).tolist()
    [[0.0, 2.0, 0.0]]
    """

    def __init__(
        self,
        qrels: Mapping[str, Mapping[str, float]],
        query_ids: Sequence[str],
        document_ids: Sequence[str],
        *,
        drop_self: bool | Literal["auto"] = "auto",
        depth: int,
    ) -> None:
        index_of = {document: index for index, document in enumerate(document_ids)}
        relevant = {query: _relevant(query, qrels.get(query, {})) for query in query_ids}
        if drop_self == "auto":
            drop_self = all(query in index_of for query in query_ids) and not any(
                query in grades for query, grades in relevant.items()
            )
        elif not isinstance(drop_self, bool):
            raise ConfigError("drop_self", drop_self, "True, False or 'auto'")
        if drop_self:
            for query, grades in relevant.items():
                grades.pop(query, None)
        scored = [q for q in query_ids if any(document in index_of for document in relevant[q])]
        if not scored:
            raise DataError(
                "no query has a relevant document (grade above 0) in the corpus; check that the "
                "ids in the qrels are those of the queries and the corpus."
            )
        self.query_ids = scored
        self.self_Q = np.array([index_of.get(q, -1) if drop_self else -1 for q in scored])
        self.relevant_Q = np.array([len(relevant[query]) for query in scored])
        self.ideal_QI = np.zeros((len(scored), min(self.relevant_Q.max(), depth)))
        self._documents = len(document_ids)
        keys: dict[int, float] = {}
        for row, query in enumerate(scored):
            best = sorted(relevant[query].values(), reverse=True)[: self.ideal_QI.shape[1]]
            self.ideal_QI[row, : len(best)] = best
            for document, grade in relevant[query].items():
                if document in index_of:
                    keys[row * self._documents + index_of[document]] = grade
        self._judged = np.array(sorted(keys), dtype=np.int64)
        self._judged_grades = np.array([keys[key] for key in sorted(keys)])
        self.notes: dict[str, int | str] = {
            "queries_without_relevant": len(query_ids) - len(scored),
            "relevant_not_in_corpus": sum(
                document not in index_of for grades in relevant.values() for document in grades
            ),
            "judged_queries_not_in_queries": sum(query not in relevant for query in qrels),
        }
        if drop_self:
            self.notes["self_hits_dropped"] = int((self.self_Q >= 0).sum())

    def first_relevant(self) -> npt.NDArray[np.int64]:
        """(Q,) position in the corpus of a relevant document of each query, the first there is."""
        rows_Q = np.arange(len(self.query_ids)) * self._documents
        return self._judged[np.searchsorted(self._judged, rows_Q)] - rows_Q

    def grades(self, indices_QK: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the grade of each ranked document, 0 for one that is not relevant.

        Args:
            indices_QK: positions in the corpus, a row a scored query; -1 where there is none.
        """
        rows_Q1 = np.arange(len(indices_QK))[:, None] * self._documents
        keys_QK = np.where(indices_QK >= 0, rows_Q1 + indices_QK, -1)
        found_QK = np.searchsorted(self._judged, keys_QK).clip(max=len(self._judged) - 1)
        return np.where(self._judged[found_QK] == keys_QK, self._judged_grades[found_QK], 0.0)


def _relevant(query: str, grades: Mapping[str, float]) -> dict[str, float]:
    for document, grade in grades.items():
        if not np.isfinite(grade):
            raise DataError(
                f"the grade of document {document!r} for query {query!r} is {grade}; it must be "
                "a finite number."
            )
    return {document: float(grade) for document, grade in grades.items() if grade > 0}
