import math

import pytest

from tenor.data.negative_rules import NegativeRules
from tenor.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("negatives", 0), ("skip", -1), ("relative_margin", 1.0), ("relative_margin", -0.1),
        ("margin", math.nan), ("sampling", "best"), ("too_few", "keep"), ("seed", -1),
    ],
)  # fmt: skip
def test_rules_that_cannot_be(field, value):
    with pytest.raises(ConfigError, match=f"{field} = "):
        NegativeRules(**{field: value})


def test_no_score_can_be_both_above_the_lowest_and_below_the_highest():
    with pytest.raises(ConfigError, match="max_score"):
        NegativeRules(min_score=0.8, max_score=0.2)
