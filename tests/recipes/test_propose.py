"""Candidate pairs of a pool by each strategy."""

import numpy as np
import pytest

from tenor.data.candidates import labelled_pair_codes
from tenor.data.pool import Pool
from tenor.data.schema import PairTable
from tenor.errors import DataError
from tenor.models.embedder import Embedder
from tenor.recipes.propose import propose
from tiny import random_texts, tiny_model

POOL = Pool(list(dict.fromkeys(random_texts(60, words=(3, 9)))), "pool.txt")


@pytest.fixture(scope="module")
def retriever(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    return Embedder.load(tiny_model(folder), device="cpu", dtype="fp32")


def known(*pairs):
    left, right = ([POOL.texts[pair[side]] for pair in pairs] for side in (0, 1))
    rows = np.arange(len(pairs))
    table = PairTable("pairs", {"a": left, "b": right}, None, None, rows, "gold.csv")
    return labelled_pair_codes(POOL, [table])


def never():
    raise AssertionError("no bi-encoder is needed")


NOTHING = np.empty(0, dtype=np.int64)


def test_semantic_candidates_are_the_nearest_neighbours(retriever):
    found, notes = propose(POOL, "semantic", 3, retriever=lambda: retriever, known=NOTHING)
    vectors = retriever.encode(POOL.texts, normalize=True)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -2)
    nearest = np.argsort(-similarity, axis=1)[:, :3]
    expected = {tuple(sorted((i, j))) for i, row in enumerate(nearest.tolist()) for j in row}
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert set(pairs) == expected
    assert notes["candidates"] == notes["semantic"] == len(pairs) == len(set(pairs))
    assert found.score == pytest.approx(similarity[found.left, found.right], abs=1e-5)
    assert set(found.rank) == {1, 2, 3}


def test_a_known_pair_is_never_proposed(retriever):
    first, _ = propose(POOL, "semantic", 1, retriever=lambda: retriever, known=NOTHING)
    pair = int(first.left[0]), int(first.right[0])
    codes = known(pair[::-1])
    found, notes = propose(POOL, "semantic", 1, retriever=lambda: retriever, known=codes)
    assert pair not in set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert notes["already_labelled"] == 1
    assert len(found) == len(first) - 1


def test_random_candidates_are_as_many_as_asked_whatever_is_known():
    codes = known((0, 1), (2, 3), (4, 5))
    found, _ = propose(POOL, "random", 4, retriever=never, known=codes, seed=3)
    again, _ = propose(POOL, "random", 4, retriever=never, known=codes, seed=3)
    assert len(found) == 4 * len(POOL)
    assert not np.isin(found.codes, codes).any()
    assert np.array_equal(found.codes, again.codes)
    other, _ = propose(POOL, "random", 4, retriever=never, known=codes, seed=4)
    assert not np.array_equal(found.codes, other.codes)


def test_max_pairs_draws_from_all(retriever):
    found, _ = propose(
        POOL, "semantic", 3, retriever=lambda: retriever, known=NOTHING, max_pairs=20
    )
    assert len(found) == 20
    assert found.left.max() > len(POOL) // 3  # not the first ones only


def test_random_pairs_join_those_that_search_finds(retriever):
    options = {"retriever": lambda: retriever, "known": NOTHING}
    alone, _ = propose(POOL, "semantic", 3, **options)
    mixed, notes = propose(POOL, "semantic", 3, random_share=0.25, **options)
    assert set(alone.codes) < set(mixed.codes)
    assert len(mixed) == len(set(mixed.codes)) == notes["candidates"]
    drawn = notes["random"] + notes["semantic+random"]
    assert drawn / (len(alone) + drawn) == pytest.approx(0.25, abs=0.02)


def test_lexical_candidates_share_a_word():
    pytest.importorskip("bm25s")
    found, notes = propose(POOL, "bm25", 2, retriever=never, known=NOTHING)
    for left, right in zip(found.left.tolist(), found.right.tolist(), strict=True):
        assert set(POOL.texts[left].split()) & set(POOL.texts[right].split())
    assert notes["bm25"] == len(found) > 0


def test_both_strategies_propose_each_pair_once(retriever):
    pytest.importorskip("bm25s")
    options = {"retriever": lambda: retriever, "known": NOTHING}
    semantic, _ = propose(POOL, "semantic", 3, **options)
    lexical, _ = propose(POOL, "bm25", 3, **options)
    both, notes = propose(POOL, "both", 3, **options)
    assert set(both.codes) == set(semantic.codes) | set(lexical.codes)
    assert len(both) == len(set(both.codes))
    assert notes["semantic+bm25"] == len(set(semantic.codes) & set(lexical.codes))


def test_a_pool_of_known_pairs_only_is_an_error():
    pool = Pool(POOL.texts[:2], "pool.txt")
    codes = np.array([1])
    with pytest.raises(DataError, match=r"pool.txt: .*give a larger pool"):
        propose(pool, "random", 5, retriever=never, known=codes)
