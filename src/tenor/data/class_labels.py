"""Names of labels: as a data set declares them, and matched to those that a model knows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["declared_names", "match_labels"]


def declared_names(source: str | Path, column: str) -> tuple[str, ...] | None:
    """The names that a column of label numbers has, in their order, where the data declares any.

    A `ClassLabel` of the library `datasets`, in a hub data set or in a Parquet file that it wrote.

    Args:
        source: a file or a hub data set.
        column: its column of labels, or of lists of labels.

    Returns:
        The name of label 0, 1, …; `None` where nothing is declared.
    """
    path = Path(source)
    if not path.exists():
        return _names(_hub_features(str(source)).get(column))
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return None
    try:
        stored = (pq.read_schema(path).metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(stored).get("info", {}).get("features", {})
    except (pa.ArrowException, ValueError, AttributeError):
        return None  # what is wrong with the file is said where its rows are read
    return _names(features.get(column))


def match_labels(
    found: Iterable[str], known: Sequence[str], *, by_number: bool = True
) -> dict[str, int]:
    """Which of a model's labels each label of some data is.

    By name, whatever the case; where no name is known and all are numbers, by number, as `datasets`
    and `transformers` count labels.

    Args:
        found: names in the data.
        known: the model's names, in order.
        by_number: whether numbers may stand for labels that have names; `LABEL_0`, `LABEL_1`, …,
            which is how `transformers` calls labels without names, always take numbers.

    Returns:
        From the name to the place among `known`; names that match nothing are left out.

    >>> match_labels(["Positive", "neutral"], ["negative", "positive"])
    {'Positive': 1}
    >>> match_labels(["0", "1"], ["negative", "positive"])
    {'0': 0, '1': 1}
    """
    names = list(found)
    exact = {name: place for place, name in enumerate(known)}
    folded: dict[str, int | None] = {}
    for name, place in exact.items():
        folded[name.casefold()] = None if name.casefold() in folded else place
    matched: dict[str, int] = {}
    for name in names:
        found_at = exact.get(name, folded.get(name.casefold()))
        if found_at is not None:
            matched[name] = found_at
    unnamed = [name.upper() for name in known] == [f"LABEL_{n}" for n in range(len(known))]
    if not matched and (by_number or unnamed) and all(name.isdecimal() for name in names):
        matched = {name: int(name) for name in names if int(name) < len(known)}
    return matched


def _hub_features(name: str) -> dict[str, Any]:
    import datasets

    owner, _, config = name.removeprefix("hf://datasets/").partition(":")
    try:
        features = datasets.load_dataset_builder(owner, config or None).info.features
    except Exception:  # the hub client raises errors of four libraries; the rows were read already
        return {}
    return {} if features is None else dict(features.to_dict())


def _names(feature: Any) -> tuple[str, ...] | None:
    """The names of a declared feature, also inside a list of them."""
    if isinstance(feature, list) and len(feature) == 1:
        return _names(feature[0])
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
        return tuple(map(str, feature["names"]))
    return _names(feature.get("feature"))
