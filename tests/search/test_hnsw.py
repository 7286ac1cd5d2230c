"""The graph: what it finds against exact search, and what becomes of deleted documents."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from tenor.errors import DataError
from tenor.models.embedder import Embedder
from tenor.search.hnsw import Graph, build_graph, update_graph
from tenor.search.vectors import Vectors, VectorWriter, normalised

pytest.importorskip("usearch")

WIDTH = 24


def stored(path, values):
    writer = VectorWriter(path, *values.shape, "float32")
    writer.add(values)
    writer.close()
    return Vectors(path)


@pytest.fixture
def values():
    """Vectors around some centres, as those of texts lie."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(40, WIDTH))
    near = centres[generator.integers(40, size=3000)] + 0.5 * generator.normal(size=(3000, WIDTH))
    return normalised(near.astype(np.float32))


def recall(graph, vectors, queries, k):
    _, found = graph.search(queries, k)
    _, expected = vectors.search(queries, k)
    hits = [len(set(a) & set(b)) for a, b in zip(found, expected, strict=True)]
    return sum(hits) / expected.size


def test_it_finds_what_exact_search_finds_with_the_same_scores(tmp_path, values):
    vectors, keys = stored(tmp_path / "v.npy", values), np.arange(3000) * 2
    build_graph(tmp_path / "graph", vectors, keys)
    graph = Graph(tmp_path / "graph", vectors, keys)
    assert recall(graph, vectors, values[:200], 10) >= 0.99
    scores, rows = graph.search(values[:5], 10)
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    for query, found, at in zip(values, scores, rows, strict=False):
        assert found == pytest.approx(values[at] @ query, abs=1e-5)
        assert (np.diff(found) <= 0).all()


def test_documents_that_are_gone_are_not_found_and_new_ones_are(tmp_path, values):
    old, keys = stored(tmp_path / "old.npy", values[:2900]), np.arange(2900)
    build_graph(tmp_path / "old", old, keys)
    kept = np.ones(2900, dtype=bool)
    kept[10:200] = False
    new = stored(tmp_path / "new.npy", np.concatenate([values[:2900][kept], values[2900:]]))
    new_keys = np.concatenate([keys[kept], np.arange(2900, 3000)])
    update_graph(tmp_path / "new", tmp_path / "old", new, new_keys, int(kept.sum()))
    graph = Graph(tmp_path / "new", new, new_keys)
    assert recall(graph, new, values[::7], 10) >= 0.99
    # Around what was deleted there are many stale neighbours; ten live ones come all the same.
    assert graph.search(values[10:60], 10)[1].shape == (50, 10)
    assert graph.search(values[2950:2951], 1)[1].tolist() == [[len(new_keys) - 50]]


def test_a_graph_that_is_mostly_stale_is_built_anew(tmp_path, values):
    old, keys = stored(tmp_path / "old.npy", values), np.arange(3000)
    build_graph(tmp_path / "old", old, keys)
    new = stored(tmp_path / "new.npy", values[2000:])
    update_graph(tmp_path / "new", tmp_path / "old", new, keys[2000:], 1000)
    assert (tmp_path / "new").stat().st_size < (tmp_path / "old").stat().st_size / 2
    assert recall(Graph(tmp_path / "new", new, keys[2000:]), new, values[:100], 10) >= 0.99


def test_more_than_there_is_gives_all_there_is(tmp_path, values):
    vectors, keys = stored(tmp_path / "v.npy", values[:7]), np.arange(7)
    build_graph(tmp_path / "graph", vectors, keys)
    scores, rows = Graph(tmp_path / "graph", vectors, keys).search(values[:2], 50)
    assert sorted(rows[0].tolist()) == list(range(7)) and scores.shape == (2, 7)


def test_a_damaged_file_is_an_error_that_names_it(tmp_path, values):
    vectors = stored(tmp_path / "v.npy", values[:3])
    (tmp_path / "graph").write_bytes(b"not a graph")
    with pytest.raises(DataError, match="graph"):
        Graph(tmp_path / "graph", vectors, np.arange(3))


@pytest.mark.minilm
@pytest.mark.data
@pytest.mark.slow
def test_recall_on_real_texts(tmp_path, minilm, shared_data):
    texts = pq.read_table(shared_data / "medquad" / "train.parquet", columns=["question"])
    questions = list(dict.fromkeys(texts["question"].to_pylist()))[:2500]
    values = normalised(Embedder.load(minilm).encode(questions))
    vectors, keys = stored(tmp_path / "v.npy", values[:2200]), np.arange(2200)
    build_graph(tmp_path / "graph", vectors, keys)
    graph = Graph(tmp_path / "graph", vectors, keys)
    assert recall(graph, vectors, values[2200:], 10) >= 0.98
