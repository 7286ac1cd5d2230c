import numpy as np
import pytest

from tenor.errors import ConfigError, DataError
from tenor.evaluation.exact_search import search_exact


@pytest.mark.parametrize("blocks", [(1, 1), (3, 7), (256, 16384)])
@pytest.mark.parametrize("k", [1, 5, 40, 100])
def test_exact_search_is_a_stable_sort_whatever_the_blocks(blocks, k):
    generator = np.random.default_rng(3)
    # Small whole numbers: products are exact, ties many, signs mixed.
    queries = generator.integers(-2, 3, (10, 4)).astype(np.float32)
    documents = generator.integers(-2, 3, (50, 4)).astype(np.float32)
    scores, indices = search_exact(
        queries, documents, k, query_block=blocks[0], document_block=blocks[1]
    )
    products = queries @ documents.T
    expected = np.argsort(-products, axis=1, kind="stable")[:, :k]
    assert (indices == expected).all()
    assert (scores == np.take_along_axis(products, expected, axis=1)).all()
    assert scores.shape == (10, min(k, 50))


def test_search_refuses_what_cannot_be_searched():
    with pytest.raises(DataError, match="shape"):
        search_exact(np.eye(2), np.eye(3), 1)
    with pytest.raises(ConfigError, match="k = 0"):
        search_exact(np.eye(2), np.eye(2), 0)
