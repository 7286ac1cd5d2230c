"""Files and folders as tasks of mteb, fully offline (extra `mteb`).

A local task takes mteb's own task classes as they are, with its defaults: classification is
logistic regression on 8 texts a label, drawn ten times; only where the rows come from is different.
Its data set's revision is the hash of the files, so that results of other rows are never taken for
it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tenor.data.labelled_texts import read_labelled_texts
from tenor.data.schema import PairTable, read_pairs
from tenor.errors import DataError
from tenor.evaluation.beir import BeirData, read_beir_data, read_candidates
from tenor.evaluation.local_tasks import LocalTask
from tenor.evaluation.result import hash_files

__all__ = ["local_mteb_task"]

TYPES = {
    "sts": ("STS", "t2t", "cosine_spearman"),
    "pair classification": ("PairClassification", "t2t", "max_ap"),
    "classification": ("Classification", "t2c", "accuracy"),
    "retrieval": ("Retrieval", "t2t", "ndcg_at_10"),
    "reranking": ("Reranking", "t2t", "ndcg_at_10"),
}


def local_mteb_task(task: LocalTask, *, language: str = "eng-Latn") -> Any:
    """Make an mteb task of local data, all of it read and checked.

    A retrieval set that comes with `candidates.parquet` (`query_id`, `doc_id`) or `candidates.tsv`
    is a re-ranking task, the only kind that a cross-encoder can do alone.

    Args:
        task: what to make it of.
        language: of the texts, as mteb writes it: ISO 639-3 and ISO 15924.

    Returns:
        An `AbsTask` of mteb, its data loaded.

    Raises:
        DataError: mteb has no such kind of task, or a row cannot be used.
    """
    if task.kind == "retrieval":
        return _retrieval(task, language)
    if task.kind == "classification":
        return _classification(task, language)
    if task.kind == "sts" or task.kind == "pair classification":
        return _pairs(task, language)
    raise DataError(
        f"holds a {task.kind} task, which mteb has not; give it as a folder with corpus, queries "
        "and qrels.",
        path=task.path,
    )


def _pairs(task: LocalTask, language: str) -> Any:
    from datasets import Dataset, DatasetDict
    from mteb.abstasks import AbsTaskPairClassification, AbsTaskSTS

    table = read_pairs(task.test)
    assert table.target is not None
    left, right = table.columns.values()
    sts = task.kind == "sts"
    values = {"score" if sts else "labels": table.target.tolist()}
    rows = Dataset.from_dict({"sentence1": left, "sentence2": right, **values})
    made = _task(AbsTaskSTS if sts else AbsTaskPairClassification, task, language, table.sha256)
    if sts:
        made.min_score, made.max_score = 0, 1  # where `read_pairs` scales them to
    return _filled(made, DatasetDict({"test": rows}))


def _classification(task: LocalTask, language: str) -> Any:
    from datasets import DatasetDict
    from mteb.abstasks import AbsTaskClassification

    assert task.train is not None
    train = read_labelled_texts(task.train)
    if train.kind != "labelled_texts":
        raise DataError(
            "texts have several labels, and mteb's classification takes one; write one label a "
            "text.",
            path=task.train,
        )
    test = read_labelled_texts(
        task.test, known=train.label_names, owner="the train file", multi_label=False
    )
    made = _task(AbsTaskClassification, task, language, hash_files(task.files))
    return _filled(made, DatasetDict({"train": _texts(train), "test": _texts(test)}))


def _texts(table: PairTable) -> Any:
    from datasets import Dataset

    assert table.target is not None
    return Dataset.from_dict({"text": table.columns["text"], "label": table.target.tolist()})


def _retrieval(task: LocalTask, language: str) -> Any:
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval

    data, candidates = read_beir_data(task.test), read_candidates(task.test)
    files, kind = data.sha256, task.kind
    if candidates is not None:
        _check_candidates(candidates, data, task.test)
        files += hash_files(sorted(task.test.glob("candidates.*")))
    made = _task(
        AbsTaskRetrieval, task, language, files, kind=kind if candidates is None else "reranking"
    )
    relevant = {
        query: {document: _grade(grade, query, task.test) for document, grade in grades.items()}
        for query, grades in data.qrels.items()
        if query in data.queries and any(grade > 0 for grade in grades.values())
    }
    if not relevant:
        raise DataError(
            "no query has a relevant document (score above 0); check that the ids in the qrels are "
            "those of the queries.",
            path=task.test,
        )
    # As `Retrieval` has it: a query that is a document of the corpus may not find itself.
    made.ignore_identical_ids = data.queries.keys() <= data.corpus.keys() and not any(
        grades.get(query, 0) > 0 for query, grades in relevant.items()
    )
    corpus, queries = (
        Dataset.from_dict({"id": list(texts), "text": list(texts.values())})
        for texts in (data.corpus, data.queries)
    )
    split = {
        "corpus": corpus,
        "queries": queries,
        "relevant_docs": relevant,
        "top_ranked": candidates,
    }
    return _filled(made, {"default": {"test": split}})


def _grade(grade: float, query: str, folder: Path) -> int:
    if grade != int(grade):
        raise DataError(
            f"the grade {grade:g} of query {query!r} is no whole number, and mteb takes whole ones "
            "only; scale the grades.",
            path=folder,
        )
    return int(grade)


def _check_candidates(candidates: dict[str, list[str]], data: BeirData, folder: Path) -> None:
    for query, documents in candidates.items():
        missing = next((one for one in documents if one not in data.corpus), None)
        if missing is not None:
            raise DataError(
                f"the candidate {missing!r} of query {query!r} is not in the corpus.", path=folder
            )
    without = [query for query in data.queries if query in data.qrels and query not in candidates]
    if without:
        raise DataError(
            f"there are no candidates for query {without[0]!r}"
            + (f" and {len(without) - 1:,} others" if len(without) > 1 else "")
            + "; give some for every query that is judged.",
            path=folder,
        )


def _task(
    base: type, task: LocalTask, language: str, sha256: str, *, kind: str | None = None
) -> Any:
    from mteb import TaskMetadata

    name, category, score = TYPES[kind or task.kind]
    metadata = TaskMetadata(
        name=task.name,
        description=f"Local data: {task.name}.",
        type=name,
        category=category,
        dataset={"path": task.name, "revision": _short(sha256)},
        eval_splits=["test"],
        eval_langs=[language],
        main_score=score,
    )
    return type(f"Local{name}", (base,), {"metadata": metadata})()


def _filled(made: Any, dataset: Any) -> Any:
    made.dataset, made.data_loaded = dataset, True
    return made


def _short(sha256: str) -> str:
    """As long as a commit, which is what mteb has there."""
    return hashlib.sha256(sha256.encode()).hexdigest()[:40] if len(sha256) > 64 else sha256[:40]
