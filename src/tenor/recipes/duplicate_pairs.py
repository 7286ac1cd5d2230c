"""The steps of finding duplicates: encode each text once, compare, cluster, write, tell."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tenor.formats.table_writer import written_table
from tenor.models.bulk import duration, progress_bar
from tenor.models.embedder import Embedder
from tenor.recipes.duplicates import THRESHOLD, Duplicates
from tenor.recipes.text_vectors import TextVectors
from tenor.search.clusters import Components, communities, number_by_size
from tenor.search.duplicates import MOST_PAIRS, SimilarPairs, similar_pairs

__all__ = ["compare", "encode_distinct", "tell_report", "write_clusters", "write_pairs"]

log = logging.getLogger("tenor")

WRITTEN = 32_768  # rows that are written at a time

Rows = npt.NDArray[np.int64]


def encode_distinct(
    model: Embedder,
    blocks: Iterable[Sequence[str]],
    folder: Path,
    *,
    total: int | None = None,
    prompt: str | None = None,
    tokens_per_batch: int | None = None,
) -> TextVectors:
    """Encode each text once, texts being the same when they are so to the letter."""
    log.info("encoding ...")
    options = {"prompt": prompt, "tokens_per_batch": tokens_per_batch, "normalize": True}
    store = TextVectors(folder, model, form=str, **options)
    store.add(blocks, total=total)
    store.seal()
    return store


def compare(
    model: Embedder, store: TextVectors, threshold: float | None, top: int | None, cluster_by: str
) -> Duplicates:
    """Compare and cluster the texts of a store; see `find_duplicates`."""
    if threshold is None and top is None:
        threshold = THRESHOLD
    most = MOST_PAIRS if top is None else top
    joined = cluster_by == "components" and threshold is not None
    components = Components(len(store)) if joined else None
    near = _near(model, store, threshold, most, components)
    if components is not None:
        labels = components.labels()
    elif cluster_by == "components":
        components = Components(len(store))
        components.join(near.rows1, near.rows2)
        labels = components.labels()
    else:
        labels = communities(len(store), near.rows1, near.rows2)
        alone = labels < 0
        labels[alone] = len(labels) + np.arange(int(alone.sum()))
    clusters = np.full(store.given, -1, dtype=np.int64)
    clusters[store.lines] = labels
    clusters[store.repeats[:, 0]] = labels[store.repeats[:, 1]]
    clusters = number_by_size(clusters)

    rows1 = np.concatenate([store.lines[store.repeats[:, 1]], store.lines[near.rows1]])
    rows2 = np.concatenate([store.repeats[:, 0], store.lines[near.rows2]])
    ones = np.ones(len(store.repeats), dtype=np.float32)
    scores = np.concatenate([ones, near.scores])
    order = np.lexsort((rows2, rows1, -scores))[:most]
    sizes = np.bincount(clusters[clusters >= 0])
    report = {
        "texts": store.given,
        "distinct": len(store),
        "repeats": len(store.repeats),
        "empty": store.empty,
        "pairs": len(order),
        "complete": near.complete and len(order) == len(scores),
        "threshold": threshold,
        "highest": float(scores[order[0]]) if len(order) else None,
        "lowest": float(scores[order[-1]]) if len(order) else None,
        "clusters": len(sizes),
        "clustered": int(sizes.sum()),
        "largest_cluster": int(sizes.max(initial=0)),
        "truncated": store.truncated,
        "model": {"name": model.name, "sha256": model.sha256},
    }
    return Duplicates(rows1[order], rows2[order], scores[order], clusters, report)


def _near(
    model: Embedder, store: TextVectors, threshold: float | None, top: int, components: Any
) -> SimilarPairs:
    """The pairs of distinct texts, with a bar on a terminal and a line in the log elsewhere."""
    total = len(store) * (len(store) - 1) // 2
    log.info("comparing %s texts, each with each ...", f"{len(store):,}")
    done, start, said = 0, time.perf_counter(), time.perf_counter()
    with progress_bar(None, total, "comparing") as bar:

        def advance(count: int) -> None:
            nonlocal done, said
            done += count
            now = time.perf_counter()
            if bar is not None:
                bar.advance(bar.task_ids[0], count)
            elif now - said > 30 and done < total:
                left = duration((now - start) * (total - done) / done)
                log.info("compared %.0f %%, about %s left", 100 * done / total, left)
                said = now

        return similar_pairs(
            store.vectors,
            threshold=threshold,
            top=top,
            components=components,
            device=model.device,
            advance=advance,
        )


def write_pairs(out: str, found: Duplicates, store: TextVectors) -> None:
    """Write the pairs with their texts, best first."""
    number = _numbers(store)
    rows = [("row1", pa.int64()), ("row2", pa.int64()), ("score", pa.float32())]
    schema = pa.schema([*rows, ("text1", pa.string()), ("text2", pa.string())])
    with written_table(out, schema) as table:
        for first in range(0, len(found), WRITTEN):
            part = slice(first, first + WRITTEN)
            sides = (found.rows1[part], found.rows2[part])
            texts = [store.texts(number[side].tolist()) for side in sides]
            table.write([*sides, found.scores[part], *texts])


def write_clusters(out: str, found: Duplicates, store: TextVectors) -> None:
    """Write the texts of every cluster, the largest cluster first."""
    number, clusters = _numbers(store), found.clusters
    rows = np.flatnonzero(clusters >= 0)
    rows = rows[np.argsort(clusters[rows], kind="stable")]
    sizes = np.bincount(clusters[rows])
    first = np.ones(len(rows), dtype=bool)
    first[1:] = clusters[rows[1:]] != clusters[rows[:-1]]
    numbers = [(name, pa.int64()) for name in ("cluster", "size", "row")]
    schema = pa.schema([*numbers, ("first", pa.bool_()), ("text", pa.string())])
    with written_table(out, schema) as table:
        for start in range(0, len(rows), WRITTEN):
            part = rows[start : start + WRITTEN]
            of = clusters[part]
            texts = store.texts(number[part].tolist())
            table.write([of, sizes[of], part, first[start : start + WRITTEN], texts])


def _numbers(store: TextVectors) -> Rows:
    """Number in the store of each text given, (texts,); -1 for empty ones."""
    number = np.full(store.given, -1, dtype=np.int64)
    number[store.lines] = np.arange(len(store))
    number[store.repeats[:, 0]] = store.repeats[:, 1]
    return number


def tell_report(report: dict[str, Any]) -> None:
    """Say in the log what was found."""
    if report["truncated"]:
        log.info(
            "%s texts are longer than the model reads and were cut", f"{report['truncated']:,}"
        )
    if not report["pairs"]:
        log.info("no two texts are as similar as %s: try a lower threshold", report["threshold"])
    elif not report["complete"] and report["threshold"] is not None:
        log.info(
            "there may be more pairs of at least %s: those below %.4f were left out (see top)",
            report["threshold"], report["lowest"],
        )  # fmt: skip
    log.info(
        "%s texts, %s the same as an earlier one; %s pairs; %s texts in %s clusters; %.1f s: %s",
        f"{report['texts']:,}", f"{report['repeats']:,}", f"{report['pairs']:,}",
        f"{report['clustered']:,}", f"{report['clusters']:,}", report["seconds"], report["out"],
    )  # fmt: skip
