"""Vectors on a plane, and the map that is drawn of them."""

import re

import numpy as np
import pytest

from tenor.errors import ConfigError
from tenor.evaluation.embedding_map import MapPoint, map_chart, on_a_plane
from tenor.evaluation.map_sample import MapSample, StoredMap, map_sample, read_map, write_map
from tenor.evaluation.retrieval import Retrieval


def groups(seed=0):
    generator = np.random.default_rng(seed)
    centres = np.eye(8)[:3]
    return np.concatenate([c + 0.05 * generator.standard_normal((12, 8)) for c in centres])


def apart(places):
    """How much farther groups are from one another than their members."""
    parts = places.reshape(3, 12, 2)
    centres = parts.mean(axis=1)
    within = np.linalg.norm(parts - centres[:, None], axis=2).max()
    between = min(np.linalg.norm(centres[i] - centres[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    return between / within


def test_groups_stay_apart_and_the_map_stays_the_same():
    places = on_a_plane(groups())
    assert places.shape == (36, 2) and apart(places) > 3
    assert np.array_equal(places, on_a_plane(groups()))
    assert np.allclose(places, on_a_plane(7 * groups()))  # length says nothing
    assert on_a_plane(np.ones((1, 4))).tolist() == [[0.0, 0.0]]
    with pytest.raises(ConfigError, match="pca or umap"):
        on_a_plane(groups(), "tsne")


def test_umap_keeps_groups_together():
    pytest.importorskip("umap", reason="needs the extra `umap`")
    places = on_a_plane(groups(), "umap")
    assert apart(places) > 1.5
    with pytest.raises(ConfigError, match="pca for fewer than 5"):
        on_a_plane(groups()[:3], "umap")


def test_every_point_has_its_text_and_every_group_a_name():
    points = [
        MapPoint(float(n), float(n % 3), f"<b>text {n}</b>", f"label {n % 11}") for n in range(30)
    ]
    drawing = map_chart({"before": points, "after": points}, [(0, 1)])
    assert drawing.count("<svg") == 2  # for a desktop and for a phone
    assert drawing.count("&lt;b&gt;text 7&lt;/b&gt;") == 4 and "<b>" not in drawing
    assert drawing.count('class="link"') == 4
    assert ">others<" in drawing  # more labels than colours
    assert map_chart({"after": []}, []) == ""


def test_what_is_stored_comes_back(tmp_path):
    vectors = groups().astype(np.float32)
    sample = MapSample([f"text {n}" for n in range(36)], ["a"] * 36, [(0, 35), (3, 4)])
    write_map(tmp_path, StoredMap(sample, None, vectors))
    found = read_map(tmp_path)
    assert found.sample == sample and found.before is None
    assert np.abs(found.after - vectors).max() < 1e-3
    assert read_map(tmp_path / "nowhere") is None


def test_queries_are_linked_to_their_right_documents():
    corpus = {f"d{n}": f"document {n}" for n in range(300)}
    queries = {f"q{n}": f"query {n}" for n in range(200)}
    qrels = {f"q{n}": {f"d{n // 2}": 1} for n in range(200)}
    sample = map_sample(Retrieval(corpus, queries, qrels))
    assert 120 < len(sample.texts) <= 240 and len(sample.links) == 120
    for query, document in sample.links:
        number = int(re.findall(r"\d+", sample.texts[query])[0])
        assert sample.texts[document] == f"document {number // 2}"
    assert map_sample(object()) is None
