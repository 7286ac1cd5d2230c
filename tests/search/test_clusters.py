import numpy as np
import pytest
import torch
from sentence_transformers.util import community_detection

from tenor.search import clusters
from tenor.search.clusters import Components, communities, number_by_size
from tenor.search.duplicates import similar_pairs


@pytest.mark.parametrize("waiting", [1, 3, 1 << 20])
def test_components_are_the_same_however_the_pairs_come(monkeypatch, waiting):
    monkeypatch.setattr(clusters, "_WAITING", waiting)
    components = Components(8)
    for left, right in ((6, 7), (1, 3), (3, 6), (0, 4), (4, 0)):
        components.join(np.array([left]), np.array([right]))
    assert components.labels().tolist() == [0, 1, 2, 1, 0, 3, 1, 1]


def test_communities_are_those_of_sentence_transformers():
    generator = np.random.default_rng(4)
    centres = generator.normal(size=(12, 16))
    vectors = centres[generator.integers(0, 12, 150)] + generator.normal(size=(150, 16)) * 0.55
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    pairs = similar_pairs(vectors, threshold=0.75)
    found = communities(150, pairs.rows1, pairs.rows2)
    expected = community_detection(torch.from_numpy(vectors), threshold=0.75, min_community_size=2)
    groups = {frozenset(np.flatnonzero(found == label).tolist()) for label in set(found) - {-1}}
    assert groups == {frozenset(int(row) for row in group) for group in expected}
    assert len(groups) > 5


def test_the_largest_cluster_is_the_first():
    assert number_by_size([3, 3, 0, 9, 9, 9, -1, -1, 7, 7]).tolist() == [
        1, 1, -1, 0, 0, 0, -1, -1, 2, 2,
    ]  # fmt: skip
    assert number_by_size([]).tolist() == []
