"""Silver scores: on 0 to 1, and written with where they came from."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from tenor.data.candidates import random_pairs
from tenor.data.pool import Pool
from tenor.models.embedder import Embedder
from tenor.recipes.silver_candidates import write_candidates
from tenor.recipes.silver_scores import cosines, scaled, write_silver
from tiny import random_texts, tiny_model

COUNT = 700


@pytest.fixture
def folder(tmp_path):
    texts = [f"{text} {row}" for row, text in enumerate(random_texts(200, words=(1, 20)))]
    found = random_pairs(200, COUNT, np.random.default_rng(0))
    write_candidates(tmp_path, Pool(texts, "pool.txt"), found)
    return tmp_path


def test_silver_parquet_says_where_a_pair_came_from_and_who_labelled_it(folder):
    scores = np.linspace(0, 1, COUNT, dtype=np.float32)
    kept = np.arange(COUNT) % 2 == 0
    parts = {"teacher_score": scores / 2}
    write_silver(folder / "silver.parquet", folder, scores, kept, "f" * 64, parts)
    found = pq.read_table(folder / "silver.parquet").to_pydict()
    assert list(found) == [
        "sentence1", "sentence2", "score", "cross_encoder_score", "teacher_score", "source", "rank",
        "retrieval_score", "kept", "labeller",
    ]  # fmt: skip
    assert found["score"] == pytest.approx(scores.tolist())
    assert found["teacher_score"] == pytest.approx((scores / 2).tolist())
    assert set(found["cross_encoder_score"]) == {None}
    assert found["kept"] == kept.tolist()
    assert set(found["labeller"]) == {"f" * 64}
    assert set(found["source"]) == {"random"}
    assert set(found["retrieval_score"]) == {None}


def test_logits_are_told_from_scores():
    scores, logits = scaled(np.array([-2.0, 0.0, 3.0], dtype=np.float32))
    assert logits and scores.tolist() == pytest.approx([0.1192, 0.5, 0.9526], abs=1e-4)


def test_a_cosine_below_zero_counts_as_none(tmp_path):
    model = Embedder.load(tiny_model(tmp_path / "model"), device="cpu", dtype="fp32")
    texts = random_texts(20, words=(1, 6))
    left, right = texts[:10] * 2, texts[10:] * 2
    expected = (model.encode(left, normalize=True) * model.encode(right, normalize=True)).sum(
        axis=1
    )
    np.testing.assert_allclose(cosines(model, left, right), np.clip(expected, 0, 1), atol=1e-5)
