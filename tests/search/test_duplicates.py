"""The pairs of similar vectors: exact whatever the tiles, the precision and the bounds."""

import numpy as np
import pytest
import torch

from tenor.errors import ConfigError, DataError
from tenor.search import duplicates
from tenor.search.clusters import Components
from tenor.search.duplicates import similar_pairs


def unit(count, width=24, seed=0, near=0.4):
    """Vectors of length 1 with many near pairs and some equal ones."""
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count // 4, width))[generator.integers(0, count // 4, count)]
    vectors += generator.normal(size=(count, width)) * near
    vectors[count // 2] = vectors[3]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def all_pairs(vectors):
    """Every pair, best first, by brute force in float64."""
    rows1, rows2 = np.triu_indices(len(vectors), 1)
    products = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    scores = np.minimum(products[rows1, rows2], 1.0).astype(np.float32)
    order = np.lexsort((rows2, rows1, -scores))
    return rows1[order], rows2[order], scores[order]


def rows(pairs):
    return list(zip(pairs.rows1.tolist(), pairs.rows2.tolist(), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tile", [7, 64, 4_096])
@pytest.mark.parametrize(
    ("threshold", "top"), [(0.8, None), (None, 150), (0.5, 100), (None, 1), (-1.0, None)]
)
def test_exactly_the_best_pairs_are_found(dtype, tile, threshold, top):
    vectors = unit(200)
    rows1, rows2, scores = all_pairs(vectors)
    limit = int((scores >= (-2 if threshold is None else threshold)).sum())
    kept = min(limit, top or limit)
    options = {} if top is None else {"top": top}
    found = similar_pairs(vectors, threshold=threshold, dtype=dtype, tile=tile, **options)
    assert rows(found) == list(zip(rows1[:kept].tolist(), rows2[:kept].tolist(), strict=True))
    np.testing.assert_allclose(found.scores, scores[:kept], atol=1e-7)
    assert (found.scores == similar_pairs(vectors, top=kept, tile=50).scores).all()
    assert found.complete == (kept == limit)


def test_ties_go_to_the_lower_rows_even_beyond_the_bound():
    vectors = np.tile(np.eye(3, dtype=np.float32), (5, 1))
    best = [(left, right) for left in range(15) for right in range(left + 3, 15, 3)]
    for top in (1, 4, 11, 30):
        for tile in (2, 5, 64):
            assert rows(similar_pairs(vectors, top=top, tile=tile)) == best[:top]


def test_memory_is_bounded_and_components_still_see_every_pair(monkeypatch):
    vectors = unit(300, near=0.2)
    whole = similar_pairs(vectors, threshold=0.8)
    most = 0
    prune = duplicates._Best.prune

    def watched(self):
        nonlocal most
        most = max(most, sum(len(part[2]) for part in self.kept))
        prune(self)

    monkeypatch.setattr(duplicates._Best, "prune", watched)
    monkeypatch.setattr(duplicates, "_ROOM", 64)
    components = Components(300)
    found = similar_pairs(vectors, threshold=0.8, top=20, components=components, tile=16)
    assert len(whole) > 500
    assert rows(found) == rows(whole)[:20]
    assert not found.complete
    assert most < 64 + 16 * 16 + 20
    expected = Components(300)
    expected.join(whole.rows1, whole.rows2)
    assert (components.labels() == expected.labels()).all()


def test_every_pair_is_counted_once_in_the_progress():
    seen = []
    similar_pairs(unit(100), threshold=0.9, tile=32, advance=seen.append)
    assert sum(seen) == 100 * 99 // 2


def test_vectors_of_zeros_and_too_few_vectors():
    assert len(similar_pairs(np.zeros((4, 3), dtype=np.float32), threshold=0.5)) == 0
    assert len(similar_pairs(np.eye(3, dtype=np.float32)[:1])) == 0
    assert similar_pairs(np.eye(3, dtype=np.float32)[:1]).complete


@pytest.mark.parametrize(
    ("options", "said"),
    [({"threshold": 1.5}, "threshold"), ({"top": 0}, "top = 0"), ({"tile": 0}, "tile = 0")],
)
def test_settings_out_of_range(options, said):
    with pytest.raises(ConfigError, match=said):
        similar_pairs(np.eye(3), **options)
    with pytest.raises(ConfigError, match="threshold"):
        similar_pairs(np.eye(3), components=Components(3))
    with pytest.raises(DataError, match="shape"):
        similar_pairs(np.ones(3))
