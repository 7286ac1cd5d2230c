import numpy as np
import pytest
from scipy import stats

from tenor.errors import DataError
from tenor.evaluation.correlation import Correlate, correlations


def test_counts_are_items_repeated():
    generator = np.random.default_rng(0)
    gold = generator.integers(0, 4, 9).astype(float)
    column = generator.integers(0, 4, 9).astype(float)
    counts = np.array([3, 0, 1, 2, 0, 1, 1, 0, 1])
    pearson, spearman = Correlate(column[:, None], gold)(counts[None, :].astype(float))
    x, y = column.repeat(counts), gold.repeat(counts)
    assert pearson[0, 0] == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-12)
    assert spearman[0, 0] == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)


@pytest.mark.parametrize(
    ("columns", "gold", "message"),
    [
        ([[1.0], [2.0]], [1.0, 2.0, 3.0], "2 scores and 3 gold"),
        ([[1.0], [2.0]], [0.1, 0.1], "gold scores are constant"),
        ([[0.1], [0.1]], [1.0, 2.0], "scores are constant"),
        ([1.0, 2.0], [1.0, 2.0], "items, columns"),
        ([[1.0], [2.0]], [np.nan, 2.0], "row 1: the gold scores hold nan"),
    ],
)
def test_unusable_columns_are_refused(columns, gold, message):
    with pytest.raises(DataError, match=message):
        correlations(columns, gold)
