"""The names of tags that a file has as numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenor.errors import DataError

__all__ = ["read_tag_names", "stored_tag_names"]


def read_tag_names(path: str | Path) -> tuple[str, ...]:
    """Read the names of tags 0, 1, … from a file.

    Args:
        path: a name a line; or JSON: a list, an object from number to name, or the config.json of
            a model with `id2label`.

    Raises:
        DataError: it is neither.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the names of the tags cannot be read: {error}", path=path) from error
    if not text.lstrip().startswith(("[", "{")):
        names: Any = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        try:
            names = json.loads(text)
        except ValueError as error:
            raise DataError(f"not valid JSON ({error}).", path=path) from error
    if isinstance(names, dict):
        names = names.get("id2label", names)
        try:
            names = [names[key] for key in sorted(names, key=int)]
        except (TypeError, ValueError) as error:
            raise DataError("the names must stand by their numbers: 0, 1, …", path=path) from error
    if not names or not all(isinstance(name, str) for name in names):
        raise DataError("it must hold the names of the tags, one a line.", path=path)
    return tuple(names)


def stored_tag_names(source: str | Path, column: str, split: str | None) -> tuple[str, ...] | None:
    """The names that a Parquet file or a hub data set keeps for a column of numbers, if any.

    Args:
        source: file or name of a hub data set.
        column: which column.
        split: of a hub data set; "train" by default.
    """
    path = Path(source)
    if path.is_file():
        if path.suffix.lower() != ".parquet":
            return None
        try:
            metadata = pq.read_schema(path).metadata or {}
            info = json.loads(metadata.get(b"huggingface", b"{}"))
        except (ValueError, OSError, pa.ArrowException):
            return None
        return _names_in(info.get("info", {}).get("features", {}).get(column))
    import datasets

    name, _, configuration = str(source).removeprefix("hf://datasets/").partition(":")
    try:  # read a moment ago: this comes from the cache
        loaded = datasets.load_dataset(name, configuration or None, split=split or "train")
    except Exception:  # the hub client raises errors of four libraries
        return None
    return _names_in(loaded.features.to_dict().get(column))


def _names_in(feature: Any) -> tuple[str, ...] | None:
    """Names inside the description of a feature, whatever lists it is wrapped in."""
    while feature is not None:
        if isinstance(feature, list):
            feature = feature[0] if feature else None
        elif not isinstance(feature, dict):
            return None
        elif isinstance(feature.get("names"), list):
            return tuple(map(str, feature["names"]))
        else:
            feature = feature.get("feature")
    return None
