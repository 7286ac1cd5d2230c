"""The pace of embedding, and the sample that it comes from."""

import numpy as np

from tenor.data.profile import profile_table
from tenor.models.embedder import Embedder
from tenor.recipes.plan_encoding import embed_sample, encoding_pace
from tenor.recipes.plan_sources import Source
from tiny import random_texts, tiny_encoder, tiny_tokenizer
from tiny_pairs import pair_table

LEFT, RIGHT = random_texts(90, seed=1), random_texts(90, seed=2)


def tiny_embedder():
    return Embedder(tiny_encoder(), tiny_tokenizer())


def pairs():
    table = pair_table("pairs", {"anchor": LEFT, "positive": RIGHT})
    return Source("pairs.csv", table.kind, None, profile_table(table), table=table)


def test_vectors_are_those_of_the_rows():
    embedder = tiny_embedder()
    vectors, rows, pace = embed_sample(pairs(), embedder, seconds=60.0, seed=3)
    assert sorted(rows.tolist()) == list(range(90))
    expected = embedder.encode([RIGHT[row] for row in rows], normalize=True)
    np.testing.assert_allclose(vectors["positive"], expected, atol=1e-5)
    assert pace is not None and pace.tokens > pace.texts > 0


def test_time_ends_the_sample():
    vectors, rows, _ = embed_sample(pairs(), tiny_embedder(), seconds=0.0)
    assert len(rows) == len(vectors["anchor"]) == 64
    assert encoding_pace(pairs(), tiny_embedder(), seconds=0.0) is not None
