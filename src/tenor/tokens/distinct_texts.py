"""Each distinct text of some columns once, and where in the columns it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tenor.tokens.text_check import check_texts

__all__ = ["distinct_texts"]


def distinct_texts(
    columns: Mapping[str, Sequence[str]],
) -> tuple[list[str], dict[str, npt.NDArray[np.int64]]]:
    """Number the distinct texts of columns in the order in which they come.

    Args:
        columns: texts, a row each, by the column's name.

    Returns:
        The D distinct texts, and for each column the number of each row's text.

    Raises:
        DataError: for something that is no text; it names row and column.

    >>> texts, places = distinct_texts({"anchor": ["a", "b"], "positive": ["c", "a"]})
    >>> texts, places["positive"].tolist()
    (['a', 'b', 'c'], [2, 0])
    """
    distinct: dict[str, int] = {}
    places = {}
    for name, texts in columns.items():
        check_texts(texts, column=name)
        numbers = (distinct.setdefault(text, len(distinct)) for text in texts)
        places[name] = np.fromiter(numbers, np.int64, len(texts))
    return list(distinct), places
