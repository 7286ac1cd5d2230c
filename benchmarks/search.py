"""Search by meaning, by words, by both, and re-ranked, on MedQuAD and travel.stackexchange.

all-MiniLM-L6-v2 searches each test corpus whole. The re-ranker is a cross-encoder from the same
weights, trained to rank on the training pairs with hard negatives that the embedder mined from the
training pairs' own texts; nothing of the tests is seen. Each side is compared with dense search
alone by nDCG@10 over the same queries (paired bootstrap). On travel.stackexchange a query is a
document too, and its own document is dropped.

With it: the share of the exact ten best that the HNSW graph finds at its default settings, and the
memory of indexing 100,000 documents from a file.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import FOLDER, MODEL, read
from benchmarks._sides import THREADS, write

WORKLOADS = ("medquad", "travel_se")
K = 10


def training_pairs(workload: str, rows: int) -> dict[str, list[str]]:
    """Up to `rows` pairs, spread over the training split: query and document, as in the test."""
    data = read(workload, "train")
    if workload == "medquad":
        queries, documents = data["question"], data["answer"]
    else:
        titles, bodies = data["doc_title"], data["doc_body"]
        queries = data["query_title"]
        documents = [f"{title} {body}" for title, body in zip(titles, bodies, strict=True)]
    step = max(1, len(queries) // rows)
    return {"anchor": queries[::step][:rows], "positive": documents[::step][:rows]}


def train_reranker(workload: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Mine, then train a cross-encoder to rank; what both reported."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tenor.recipes.cross_encoder import CrossEncoderConfig, train_cross_encoder
    from tenor.recipes.mine import MineConfig, mine_negatives

    pq.write_table(pa.table(training_pairs(workload, given.rows)), folder / "pairs.parquet")
    mined = mine_negatives(
        MineConfig(
            train=str(folder / "pairs.parquet"), out=str(folder / "mined.parquet"), model=MODEL,
            negatives=given.negatives, max_seq_length=given.tokens,
        )
    )  # fmt: skip
    trained = train_cross_encoder(
        CrossEncoderConfig(
            train=str(folder / "mined.parquet"), out=str(folder / "run"), model=MODEL, loss="mnr",
            negatives=given.random, max_seq_length=given.tokens, learning_rate=1e-4, batch_size=16,
        )
    )  # fmt: skip
    kept = ("rows_written", "negatives", "random", "seconds")
    return {"mined": {key: mined[key] for key in kept}, "seconds": trained["seconds"]}


class Judged:
    """nDCG@10 of rankings of document ids, and the interval of a difference."""

    def __init__(self, workload: str, every: int) -> None:
        from tenor.evaluation.judgements import Judgements

        corpus, queries, qrels = (read(workload, name) for name in ("corpus", "queries", "qrels"))
        grades: dict[str, dict[str, float]] = {}
        for query, document, score in zip(
            qrels["query_id"], qrels["doc_id"], qrels["score"], strict=True
        ):
            grades.setdefault(query, {})[document] = score
        text_of = dict(zip(queries["id"], queries["text"], strict=True))
        self.row_of = {name: row for row, name in enumerate(corpus["id"])}
        self.judgements = Judgements(
            grades, list(text_of)[::every], corpus["id"], drop_self="auto", depth=K
        )
        self.query_ids = self.judgements.query_ids
        self.queries = [text_of[query] for query in self.query_ids]

    def ndcg(self, hits: list[list[Any]]) -> Any:
        from tenor.evaluation.ranking_metrics import ndcg_at

        rows = np.full((len(hits), K), -1, dtype=np.int64)
        for query, found in enumerate(hits):
            own = self.judgements.self_Q[query]
            places = [self.row_of[hit.id] for hit in found]
            kept = [place for place in places if place != own][:K]
            rows[query, : len(kept)] = kept
        return ndcg_at(self.judgements.grades(rows), self.judgements.ideal_QI, K)


class Remembers:
    """A re-ranker that scores a pair of texts once, over all sides."""

    def __init__(self, model: Any) -> None:
        self.model, self.known, self.seconds = model, {}, 0.0  # type: ignore[var-annotated]

    def score(self, pairs: list[tuple[str, str]]) -> Any:
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self.known]
        start = time.perf_counter()
        if new:
            self.known |= dict(zip(new, self.model.score(new).tolist(), strict=True))
        self.seconds += time.perf_counter() - start
        return np.array([self.known[pair] for pair in pairs], dtype=np.float32)


def compare(workload: str, given: argparse.Namespace) -> dict[str, Any]:
    from tenor import Embedder
    from tenor.evaluation.intervals import paired_bootstrap
    from tenor.models.cross_encoder import CrossEncoder
    from tenor.search.corpus import Corpus
    from tenor.search.index import SearchIndex

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training = train_reranker(workload, folder, given)
        print(workload, training, flush=True)
        reranker = Remembers(
            CrossEncoder.load(folder / "run" / "model", max_seq_length=given.tokens)
        )
        model = Embedder.load(MODEL, device="cpu")
        corpus = Corpus(source=FOLDER / workload / "corpus.parquet")
        index = SearchIndex.build(folder / "index", model, corpus, lexical=True)
        judged = Judged(workload, given.every)
        sides, values = {}, {}
        depth = given.candidates
        for side, options in {
            "dense": {},
            "hybrid": {"hybrid": True},
            "dense + re-ranking": {"rerank": reranker},
            "hybrid + re-ranking": {"hybrid": True, "rerank": reranker},
        }.items():
            deep: dict[str, Any] = {"candidates": 100 if "rerank" not in options else depth}
            hits = index.search(judged.queries, K + 1, **deep, **options)
            values[side] = judged.ndcg(hits)
            sides[side] = {"ndcg@10": float(values[side].mean())}
            if side != "dense":
                gap = paired_bootstrap(values[side], values["dense"])
                sides[side]["minus_dense"] = [gap.difference, gap.low, gap.high]
            print(workload, side, sides[side], flush=True)
        found = {
            "queries": len(judged.queries), "documents": len(index), "training": training,
            "sides": sides, "rerank_pairs": len(reranker.known),
            "rerank_pairs_per_second": len(reranker.known) / reranker.seconds,
        }  # fmt: skip
        if workload == "medquad":
            found["hnsw_recall@10"] = graph_recall(index, judged.queries)
            print("HNSW recall@10", found["hnsw_recall@10"], flush=True)
    return found


def graph_recall(index: Any, queries: list[str]) -> float:
    """The share of the exact ten best that the graph finds, mean over the queries."""
    exact = index.search(queries, K)
    index.rebuild(approximate=True)
    found = index.search(queries, K)
    shares = [
        len({hit.id for hit in a} & {hit.id for hit in b}) / K
        for a, b in zip(found, exact, strict=True)
    ]
    return float(np.mean(shares))


def index_many(documents: int) -> None:
    """Index that many short documents from a file; a process of its own, for its memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tenor import Embedder
    from tenor.search.corpus import Corpus
    from tenor.search.index import SearchIndex

    texts = read("rotten_tomatoes", "train")["text"]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "many.parquet"
        schema = pa.schema({"id": pa.string(), "text": pa.string()})
        with pq.ParquetWriter(path, schema) as writer:
            for first in range(0, documents, 10_000):
                numbers = range(first, min(documents, first + 10_000))
                rows = [{"id": str(n), "text": f"{texts[n % len(texts)]} {n}"} for n in numbers]
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        model = Embedder.load(MODEL, device="cpu", max_seq_length=16)
        model.encode(texts[:1_000])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start = time.perf_counter()
        SearchIndex.build(Path(name) / "index", model, Corpus(source=path))
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    write(
        "search_memory",
        {"documents": documents, "seconds": seconds, "before_mib": before, "peak_mib": peak},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", choices=WORKLOADS, default="medquad")
    parser.add_argument("--rows", type=int, default=2_560, help="training pairs of the re-ranker")
    parser.add_argument("--tokens", type=int, default=128, help="of a pair, for the re-ranker")
    parser.add_argument("--negatives", type=int, default=4, help="mined, a training pair")
    parser.add_argument("--random", type=int, default=1, help="random negatives beside them")
    parser.add_argument("--candidates", type=int, default=20, help="that are re-ranked")
    parser.add_argument("--every", type=int, default=1, help="take every n-th test query")
    parser.add_argument("--memory", type=int, default=0, help="only index so many documents")
    given = parser.parse_args()
    import torch

    from tenor.training.memory import keep_freed_memory

    torch.set_num_threads(THREADS)
    if given.memory:
        index_many(given.memory)
        return
    keep_freed_memory()
    write(f"search_{given.workload}", {"settings": vars(given), **compare(given.workload, given)})


if __name__ == "__main__":
    main()
