"""Duplicates in files and lists of texts."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from tenor.data.read import read_table
from tenor.errors import ConfigError, DataError
from tenor.models.embedder import Embedder
from tenor.recipes.duplicates import DuplicatesConfig, duplicates_in_file, find_duplicates
from tiny import random_texts, tiny_model, write_csv

TEXTS = [*random_texts(40, words=(3, 8)), "", *random_texts(3, words=(3, 8)), "the red fox"]
# Rows 41, 42 and 43 are those from 0 on again; row 40 is empty.


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture(scope="module")
def model(path):
    return Embedder.load(path, device="cpu", dtype="fp32")


@pytest.fixture
def config(path, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS))
    return {
        "model": path, "file": str(file), "out": str(tmp_path / "pairs.parquet"),
        "device": "cpu", "dtype": "fp32",
    }  # fmt: skip


def pairs(found):
    return list(zip(found.rows1.tolist(), found.rows2.tolist(), strict=True))


def test_repeats_come_first_and_are_compared_once(model):
    found = find_duplicates(model, TEXTS, threshold=0.0)
    assert pairs(found)[:3] == [(0, 41), (1, 42), (2, 43)]
    assert (found.scores[:3] == 1.0).all()
    others = pairs(found)[3:]
    assert all(left < right for left, right in others)
    assert not {40, 41, 42, 43} & {row for pair in others for row in pair}
    vectors = model.encode(TEXTS)
    for (left, right), score in zip(others, found.scores[3:], strict=True):
        assert score == pytest.approx(float(vectors[left] @ vectors[right]), abs=1e-5)
    report = found.report
    assert (report["texts"], report["distinct"]) == (45, 41)
    assert (report["repeats"], report["empty"]) == (3, 1)
    assert report["complete"]


def test_the_best_are_kept_and_said_to_be_only_some(model):
    whole = find_duplicates(model, TEXTS, threshold=0.5)
    best = find_duplicates(model, TEXTS, threshold=0.5, top=10)
    assert pairs(best) == pairs(whole)[:10]
    assert whole.report["complete"]
    assert not best.report["complete"]
    assert (best.clusters == whole.clusters).all()  # these need every pair
    assert len(find_duplicates(model, TEXTS, top=2)) == 2


def test_by_default_pairs_are_at_least_0_9(model):
    found = find_duplicates(model, TEXTS)
    assert found.scores.min() >= 0.9
    assert pairs(found) == pairs(find_duplicates(model, TEXTS, threshold=0.9))


@pytest.mark.parametrize("cluster_by", ["components", "communities"])
def test_clusters_hold_the_repeats_and_never_the_empty_text(model, cluster_by):
    found = find_duplicates(model, TEXTS, threshold=0.8, cluster_by=cluster_by)
    clusters = found.clusters
    assert clusters[40] == -1
    assert (clusters[[0, 1, 2]] == clusters[[41, 42, 43]]).all()
    assert (clusters[[0, 1, 2]] >= 0).all()
    sizes = np.bincount(clusters[clusters >= 0])
    assert (np.diff(sizes) <= 0).all()
    assert sizes.min() > 1
    if cluster_by == "components":
        assert all(clusters[left] == clusters[right] for left, right in pairs(found))
    else:
        near = model.encode(TEXTS) @ model.encode(TEXTS).T >= 0.8 - 1e-6
        for cluster in range(len(sizes)):
            rows = np.flatnonzero(clusters == cluster)
            assert near[np.ix_(rows, rows)].all(axis=1).any()


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_files_say_which_rows_and_which_texts(config, tmp_path, suffix):
    out, clusters = tmp_path / f"pairs.{suffix}", tmp_path / f"clusters.{suffix}"
    report = duplicates_in_file(
        DuplicatesConfig(**config | {"out": str(out), "clusters": str(clusters)}, threshold=0.7)
    )
    table = read_table(out)
    assert list(table.columns) == ["row1", "row2", "score", "text1", "text2"]
    assert len(table) == report["pairs"] > 3
    for number in "12":
        rows = [int(row) for row in table[f"row{number}"]]
        assert table[f"text{number}"] == [TEXTS[row] for row in rows]
    scores = [float(score) for score in table["score"]]
    assert scores == sorted(scores, reverse=True)
    assert np.float32(scores[-1]) == np.float32(report["lowest"])
    grouped = read_table(clusters)
    rows = [int(row) for row in grouped["row"]]
    assert grouped["text"] == [TEXTS[row] for row in rows]
    assert len(rows) == report["clustered"]
    first = [str(value).lower() == "true" for value in grouped["first"]]
    assert sum(first) == report["clusters"]
    numbers = [int(cluster) for cluster in grouped["cluster"]]
    assert [numbers.index(number) for number in sorted(set(numbers))] == np.flatnonzero(
        first
    ).tolist()


def test_no_pair_is_an_answer_too(config, tmp_path):
    file = tmp_path / "few.txt"
    file.write_text("the cat sits\nfar road up left\n")
    report = duplicates_in_file(DuplicatesConfig(**config | {"file": str(file)}, threshold=0.9999))
    assert (report["pairs"], report["clusters"], report["lowest"]) == (0, 0, None)
    assert pq.read_table(config["out"]).num_rows == 0


def test_a_failure_leaves_the_folder_as_it_was(config, tmp_path):
    (tmp_path / "pairs.parquet").write_text("of an earlier run")
    file = write_csv(tmp_path / "bad.csv", {"title": TEXTS[:5]})
    before = sorted(entry.name for entry in tmp_path.iterdir())
    with pytest.raises(DataError, match="'text'"):
        duplicates_in_file(DuplicatesConfig(**config | {"file": file}))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
    assert (tmp_path / "pairs.parquet").read_text() == "of an earlier run"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"out": "x.txt"}, "out"), ({"clusters": "x"}, "clusters"), ({"threshold": 90.0}, "thresh"),
        ({"top": 0}, "top"), ({"cluster_by": "size"}, "cluster_by"), ({"device": "tpu"}, "device"),
        ({"out": "a.csv", "clusters": "a.csv"}, "clusters"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(config, changed, said):
    with pytest.raises(ConfigError, match=said):
        DuplicatesConfig(**config | changed)


@pytest.mark.data
@pytest.mark.minilm
def test_real_questions_asked_twice(shared_data, minilm):
    texts = pq.read_table(shared_data / "banking77" / "test.parquet")["text"].to_pylist()[:300]
    found = find_duplicates(Embedder.load(minilm, device="cpu"), texts, threshold=0.9)
    words = [set(text.lower().replace("?", "").split()) for text in texts]
    assert 10 < len(found) < 2_000
    shared = [len(words[a] & words[b]) / len(words[a] | words[b]) for a, b in pairs(found)[:10]]
    assert np.mean(shared) > 0.5
