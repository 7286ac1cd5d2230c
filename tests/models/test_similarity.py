"""How embeddings compare: what is refused, and what comes in another dtype."""

import numpy as np
import pytest

from tenor.errors import ConfigError
from tenor.models.similarity import SIMILARITIES, similarities


@pytest.mark.parametrize("kind", SIMILARITIES)
def test_numbers_of_any_dtype_compare(kind):
    left, right = np.array([[3, 4], [1, 0]]), np.array([[0.5, 2.0]])
    expected = similarities(left.astype(np.float64), right, kind)
    for dtype in (np.float16, np.float32, np.float64):
        found = similarities(left.astype(dtype), right.astype(np.float32), kind)
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    np.testing.assert_allclose(similarities([3, 4], right, kind), expected[:1])


def test_a_kind_that_there_is_not_is_named():
    with pytest.raises(ConfigError, match=r"similarity = 'cosin' .* one of cosine, dot"):
        similarities(np.ones((1, 2)), np.ones((1, 2)), "cosin")


@pytest.mark.parametrize("shape", [(1, 3), (2, 2, 2), (5,)])
def test_embeddings_of_other_dimensions_are_named(shape):
    with pytest.raises(ConfigError, match="as many dimensions"):
        similarities(np.ones((1, 2)), np.ones(shape), "cosine")
