"""On Ray the same numbers come out in the same order."""

import logging
from importlib.util import find_spec

import numpy as np
import pyarrow.parquet as pq
import pytest

from tenor.errors import ConfigError, DataError
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder
from tenor.recipes.encode import encode_file, encode_file_on_ray
from tenor.recipes.ray_engine import Cluster, label_on_ray
from tiny import random_texts, tiny_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed (extra `ray`)"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _cluster():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        import ray
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
        logging_level=logging.ERROR, object_store_memory=200 << 20,
    )  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


def test_a_file_is_embedded_as_by_the_local_engine(model, tmp_path):
    texts = random_texts(300, words=(1, 30))  # some are truncated
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts) + "\n")
    local = Embedder.load(model, device="cpu", dtype="fp32")
    expected = encode_file(local, path, tmp_path / "local.parquet", block=64, normalize=True)
    counts = encode_file_on_ray(
        model, path, tmp_path / "ray.parquet", block=64, dtype="fp32", workers=2, normalize=True
    )
    one, other = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("local", "ray"))
    assert one.schema == other.schema
    assert one["row"].to_pylist() == other["row"].to_pylist() == list(range(300))
    vectors = [np.stack(table["embedding"].to_numpy()) for table in (one, other)]
    assert np.abs(vectors[0] - vectors[1]).max() <= 1e-6
    assert counts["truncated"] == expected["truncated"] > 0
    assert not list(tmp_path.glob(".*"))


def test_pairs_are_scored_as_by_the_local_engine(model):
    left, right = random_texts(60, seed=1), random_texts(60, seed=2)
    pairs = list(zip(left, right, strict=True))
    chunks = [(7, pairs[:20]), (3, pairs[20:50]), (9, pairs[50:])]
    found = list(label_on_ray(model, lambda: iter(chunks), Cluster(workers=1), dtype="fp32"))
    assert [number for number, _, _ in found] == [7, 3, 9]
    local = CrossEncoder.load(model, device="cpu", dtype="fp32")
    for (_, part), (_, scores, truncated) in zip(chunks, found, strict=True):
        expected, cut = local.score_counted(part)
        assert np.abs(scores - expected).max() <= 1e-6
        assert truncated == cut


def test_a_row_that_is_no_text_is_named_and_nothing_is_left(model, tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("body\na\nb\n")
    with pytest.raises(DataError, match="'text'"):
        encode_file_on_ray(model, path, tmp_path / "out.parquet", workers=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["texts.csv"]


def test_an_address_from_outside_the_cluster_is_refused():
    with pytest.raises(ConfigError, match="address"):
        Cluster(address="ray://head:10001")
    with pytest.raises(ConfigError, match="workers"):
        Cluster(workers=0)
