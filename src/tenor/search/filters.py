"""Filters: which documents have some value in a metadata column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tenor.errors import ConfigError
from tenor.search.document_store import DocumentStore

__all__ = ["Where", "matching_documents", "parse_where"]

Where = Mapping[str, Any]
"""Column to a value, or to a list of values of which any will do; every column must match."""


def parse_where(conditions: Sequence[str]) -> dict[str, list[str]]:
    """Read conditions `column=value`; those of one column are alternatives.

    Raises:
        ConfigError: a condition has no `=`.

    >>> parse_where(["year=2020", "year=2021", "lang=en"])
    {'year': ['2020', '2021'], 'lang': ['en']}
    """
    where: dict[str, list[str]] = {}
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not column or not equals:
            raise ConfigError("where", condition, "column=value")
        where.setdefault(column, []).append(value)
    return where


def matching_documents(store: DocumentStore, where: Where) -> npt.NDArray[np.bool_]:
    """Return which documents match, shape (N,).

    A value given as text is read as the column's type: "2020" finds the number 2020. `None` finds
    documents without a value. In a column of lists, a document matches that has the value in its
    list.

    Raises:
        ConfigError: there is no such column, or a value cannot be of the column's type.
    """
    matches = np.ones(len(store), dtype=np.bool_)
    for name, value in where.items():
        if name not in store.metadata_columns:
            known = ", ".join(store.metadata_columns) or "none: only ids and texts were indexed"
            raise ConfigError("where", name, f"a metadata column ({known})")
        several = isinstance(value, list | tuple | set | frozenset)
        matches &= _equals_any(store.column(name), name, list(value) if several else [value])
    return matches


def _equals_any(column: pa.ChunkedArray, name: str, values: list[Any]) -> npt.NDArray[np.bool_]:
    array = column.combine_chunks()
    if not pa.types.is_list(array.type):
        return _is_in(array, name, values)
    found = np.zeros(len(array), dtype=np.bool_)
    inside = _is_in(pc.list_flatten(array), name, values)
    found[pc.list_parent_indices(array).to_numpy()[inside]] = True
    if None in values:
        found |= np.asarray(array.is_null().to_numpy(zero_copy_only=False))
    return found


def _is_in(array: pa.Array, name: str, values: list[Any]) -> npt.NDArray[np.bool_]:
    wanted = pa.array([_typed(value, array.type, name).as_py() for value in values], array.type)
    return np.asarray(pc.is_in(array, value_set=wanted).to_numpy(zero_copy_only=False))


def _typed(value: Any, kind: pa.DataType, name: str) -> pa.Scalar:
    try:
        return pa.scalar(value, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass
    try:
        return pa.scalar(str(value)).cast(kind)
    except pa.ArrowException as error:
        raise ConfigError("where", f"{name}={value}", f"a value of type {kind}") from error
