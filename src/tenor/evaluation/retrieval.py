"""Retrieval: does the model rank the relevant documents of a query above the others?

Metrics are defined in `ranking_metrics`, as trec_eval has them; only ties are broken otherwise:
by the order of the corpus.

Shapes: Q queries, N documents, D width, K ranks.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError, DataError
from tenor.evaluation.exact_search import search_exact
from tenor.evaluation.intervals import bootstrap_mean
from tenor.evaluation.judgements import Judgements
from tenor.evaluation.ranking_metrics import (
    accuracy_at,
    average_precision_at,
    ndcg_at,
    precision_at,
    recall_at,
    reciprocal_rank_at,
)
from tenor.evaluation.result import Encodes, EvaluationResult, encode_texts
from tenor.models.encode_options import DOCUMENT_PROMPTS, QUERY_PROMPTS

__all__ = ["DEFAULT_METRICS", "Rankings", "Retrieval"]

DEFAULT_METRICS = (
    "ndcg@10",
    "mrr@10",
    "recall@1",
    "recall@10",
    "recall@100",
    "map@100",
    "accuracy@1",
    "precision@10",
)

Floats = npt.NDArray[np.float64]
Texts = Mapping[str, str] | tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Rankings:
    """What each query found, for reports.

    Attributes:
        query_ids: of the queries that were scored, Q.
        top: ids of the best documents, best first, shape (Q, up to 10); "" where there is none.
        indices: positions of these in the corpus; -1 where there is none.
        scores: cosine similarities of these; minus infinity where there is none.
        first_relevant_rank: from 1, shape (Q,); 0 where no relevant document is within the
            deepest rank that a metric looks at.
    """

    query_ids: list[str]
    top: npt.NDArray[np.object_]
    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    first_relevant_rank: npt.NDArray[np.int64]


class Retrieval:
    """Rank a corpus for each query by cosine similarity and score the rankings.

    Queries without a relevant document in the corpus are left out and counted. Relevant documents
    that are not in the corpus are counted too, and, as in trec_eval, still belong to what the
    other queries should have found.

    Args:
        corpus: text by id, or ids and texts.
        queries: text by id, or ids and texts.
        qrels: grade by document id, by query id; above 0 is relevant, fractions are allowed.
        name: of the data set, for the result.
        metrics: names `ndcg`, `mrr`, `recall`, `map`, `accuracy` or `precision`, each with `@k`.
        drop_self: whether a query that is a document of the corpus, by its id, may not find
            itself; its judgement of itself is then void. "auto" says yes when every query's id is
            in the corpus and none is judged relevant to itself: where one is, equal ids only
            number the two lists alike.
        data: `path` and `sha256` of the files, for the result, where there are any.
        resamples: bootstrap resamples behind the intervals.
        seed: of these.
        query_prompt_name: name of the model's prompt for queries. Left out, it is the prompt
            "query" of a model whose `prompts` have one; else none is asked for.
        document_prompt_name: the same for documents; left out, the first there is of "document",
            "passage" and "corpus".

    Raises:
        ConfigError: a metric is not one of the above.
        DataError: the corpus or the queries are empty or repeat an id, a grade is not finite, or
            no query has a relevant document.

    >>> class Lengths:
    ...     def encode(self, texts):
    ...         return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)
    >>> evaluate = Retrieval({"a": "x", "b": "xxxx"}, {"q": "yyyy"}, {"q": {"b": 1}})
    >>> evaluate(Lengths()).metrics["ndcg@10"]
    1.0
    """

    def __init__(
        self,
        corpus: Texts,
        queries: Texts,
        qrels: Mapping[str, Mapping[str, float]],
        *,
        name: str = "retrieval",
        metrics: Sequence[str] = DEFAULT_METRICS,
        drop_self: bool | Literal["auto"] = "auto",
        data: dict[str, Any] | None = None,
        resamples: int = 1000,
        seed: int = 0,
        query_prompt_name: str | None = None,
        document_prompt_name: str | None = None,
    ) -> None:
        self.name = name
        self.metrics = [(metric, *_parse_metric(metric)) for metric in metrics]
        if not self.metrics:
            raise ConfigError("metrics", metrics, "at least one name such as 'ndcg@10'")
        self.data = {"name": name} if data is None else data
        self.resamples, self.seed = resamples, seed
        self.query_prompt_name = query_prompt_name
        self.document_prompt_name = document_prompt_name
        self.document_ids, self.documents = _ids_and_texts("corpus", corpus)
        all_ids, all_texts = _ids_and_texts("queries", queries)
        self._judgements = Judgements(
            qrels, all_ids, self.document_ids, drop_self=drop_self, depth=self._depth
        )
        text_of = dict(zip(all_ids, all_texts, strict=True))
        self.query_ids = self._judgements.query_ids
        self.queries = [text_of[query] for query in self.query_ids]
        self.notes = self._judgements.notes

    def __call__(self, model: Encodes) -> EvaluationResult:
        """Return what `run` does, without the rankings."""
        return self.run(model)[0]

    def run(self, model: Encodes) -> tuple[EvaluationResult, Rankings]:
        """Encode queries and documents, each with the prompt of its side, search, and score.

        The result's `per_item` holds each metric for every scored query, in the order of the
        rankings' `query_ids`, and with them `first_relevant_rank` and `top_document`, the position
        in the corpus of what was ranked highest (-1 for nothing). Its notes `query_prompt` and
        `document_prompt` name the prompts that the model was asked to use.

        Raises:
            ModelError: the model returned the wrong shape, or a value that is not finite.
        """
        start = time.perf_counter()
        prompts = {
            "query": self.query_prompt_name or _usual_prompt(model, QUERY_PROMPTS),
            "document": self.document_prompt_name or _usual_prompt(model, DOCUMENT_PROMPTS),
        }
        # A model without prompts need not take the option.
        options = {side: {"prompt_name": name} if name else {} for side, name in prompts.items()}
        queries_QD, truncated_queries = encode_texts(model, self.queries, **options["query"])
        documents_ND, truncated_documents = encode_texts(
            model, self.documents, **options["document"]
        )
        queries_QD, documents_ND = _normalised(queries_QD), _normalised(documents_ND)
        # One more than is kept, in case the query itself is among them.
        scores_QK, indices_QK = search_exact(queries_QD, documents_ND, self._depth + 1)
        scores_QK, indices_QK = self._without_self(scores_QK, indices_QK)
        grades_QK = self._judgements.grades(indices_QK)
        per_item = {metric: self._metric(kind, k, grades_QK) for metric, kind, k in self.metrics}
        result = EvaluationResult(
            metrics={metric: float(values.mean()) for metric, values in per_item.items()},
            intervals={
                metric: bootstrap_mean(values, resamples=self.resamples, seed=self.seed)
                for metric, values in per_item.items()
            },
            n=len(self.queries),
            truncated=truncated_queries + truncated_documents,
            seconds=time.perf_counter() - start,
            model={"name": type(model).__name__},
            data=self.data,
            notes={
                **self.notes,
                "documents": len(self.documents),
                "queries_truncated": truncated_queries,
                "documents_truncated": truncated_documents,
                **{f"{side}_prompt": name for side, name in prompts.items() if name},
            },
            per_item={
                **per_item,
                "first_relevant_rank": _first_rank(grades_QK),
                "top_document": indices_QK[:, 0],
            },
        )
        return result, self._rankings(scores_QK, indices_QK, grades_QK)

    @property
    def right_documents(self) -> npt.NDArray[np.int64]:
        """(Q,) position in the corpus of a relevant document of each scored query."""
        return self._judgements.first_relevant()

    @property
    def _depth(self) -> int:
        return max(10, *(k for _, _, k in self.metrics))

    def _metric(self, kind: str, k: int, grades_QK: Floats) -> Floats:
        if kind == "ndcg":
            return ndcg_at(grades_QK, self._judgements.ideal_QI, k)
        if kind == "recall":
            return recall_at(grades_QK, self._judgements.relevant_Q, k)
        if kind == "map":
            return average_precision_at(grades_QK, self._judgements.relevant_Q, k)
        if kind == "mrr":
            return reciprocal_rank_at(grades_QK, k)
        return accuracy_at(grades_QK, k) if kind == "accuracy" else precision_at(grades_QK, k)

    def _without_self(
        self, scores_QK: npt.NDArray[np.float32], indices_QK: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        is_self_QK = indices_QK == self._judgements.self_Q[:, None]
        order_QK = np.argsort(is_self_QK, axis=1, kind="stable")
        scores_QK = np.where(is_self_QK, np.float32(-np.inf), scores_QK)
        indices_QK = np.where(is_self_QK, -1, indices_QK)
        return (
            np.take_along_axis(scores_QK, order_QK, axis=1)[:, : self._depth],
            np.take_along_axis(indices_QK, order_QK, axis=1)[:, : self._depth],
        )

    def _rankings(
        self,
        scores_QK: npt.NDArray[np.float32],
        indices_QK: npt.NDArray[np.int64],
        grades_QK: Floats,
    ) -> Rankings:
        # A last "" is what index -1 stands for.
        ids = np.array([*self.document_ids, ""], dtype=object)
        return Rankings(
            query_ids=list(self.query_ids),
            top=ids[indices_QK[:, :10]],
            indices=indices_QK[:, :10],
            scores=scores_QK[:, :10],
            first_relevant_rank=_first_rank(grades_QK),
        )


def _first_rank(grades_QK: Floats) -> npt.NDArray[np.int64]:
    hits_QK = grades_QK > 0.0
    return np.where(hits_QK.any(axis=1), hits_QK.argmax(axis=1) + 1, 0)


def _ids_and_texts(name: str, texts: Texts) -> tuple[list[str], list[str]]:
    if isinstance(texts, Mapping):
        ids, values = list(texts.keys()), list(texts.values())
    else:
        ids, values = list(texts[0]), list(texts[1])
    if not ids:
        raise DataError(f"the {name} are empty: give at least one text.")
    if len(ids) != len(values):
        raise DataError(f"the {name} have {len(ids)} ids and {len(values)} texts.")
    if len(set(ids)) < len(ids):
        twice, _ = Counter(ids).most_common(1)[0]
        raise DataError(f"the id {twice!r} occurs twice in the {name}; give each text its own.")
    return ids, values


def _parse_metric(metric: str) -> tuple[str, int]:
    match = re.fullmatch(r"(ndcg|mrr|recall|map|accuracy|precision)@([1-9][0-9]*)", metric)
    if match is None:
        raise ConfigError(
            "metrics",
            metric,
            "ndcg@k, mrr@k, recall@k, map@k, accuracy@k or precision@k with k from 1",
        )
    return match[1], int(match[2])


def _usual_prompt(model: Encodes, names: Sequence[str]) -> str | None:
    prompts = getattr(model, "prompts", None)
    if not isinstance(prompts, Mapping):
        return None
    return next((name for name in names if name in prompts), None)


def _normalised(embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    norms = np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings, dtype=np.float64))[:, None]
    return np.divide(embeddings, np.where(norms > 0.0, norms, 1.0), dtype=np.float32)
