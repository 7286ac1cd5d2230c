"""Checks of the numbers that figures are computed from: finite, of the same items, not constant.

Shapes: N items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tenor.errors import DataError

__all__ = ["Floats", "Values", "finite", "require_same_length", "require_variation"]

Floats = npt.NDArray[np.float64]
Values = Sequence[float] | npt.NDArray[np.floating | np.integer | np.bool_]


def finite(name: str, values: Values) -> Floats:
    """Return the values as float64, shape (N,).

    Raises:
        DataError: there is no value, more than one an item, or one that is not finite.
    """
    values_N = np.asarray(values, dtype=np.float64)
    if values_N.ndim != 1 or not len(values_N):
        raise DataError(
            f"the {name} have the shape {values_N.shape}; it takes one value an item, and at "
            "least one item."
        )
    bad = np.flatnonzero(~np.isfinite(values_N))
    if len(bad):
        raise DataError(
            f"the {name} hold {values_N[bad[0]]}; only finite numbers can be compared.",
            line=int(bad[0]) + 1,
        )
    return values_N


def require_same_length(name_x: str, x: Floats, name_y: str, y: Floats) -> None:
    """Refuse two columns that cannot be of the same items.

    Raises:
        DataError: the lengths differ.
    """
    if len(x) != len(y):
        raise DataError(
            f"there are {len(x)} {name_x} and {len(y)} {name_y}; they must be of the same items."
        )


def require_variation(name: str, values_N: npt.NDArray[np.floating]) -> None:
    """Refuse values whose correlation with anything is undefined.

    Raises:
        DataError: all the values are equal.
    """
    spread = float(np.ptp(values_N)) if len(values_N) else 0.0
    # Below this, what differs is the rounding of a float64 sum.
    if spread <= 1e-13 * float(np.abs(values_N).max(initial=0.0)):
        constant = f" ({float(values_N[0]):g} for all {len(values_N)})" if len(values_N) else ""
        raise DataError(
            f"the {name} are constant{constant}, so no correlation is defined; "
            "it takes at least two items with different values."
        )
