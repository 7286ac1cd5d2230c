"""Published experiments as files: what they train, on what, and what figure was published.

`examples/` (in the package) holds a TOML file for each, and measured.json with what was measured
here and where it comes from.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from tenor.errors import ConfigError

__all__ = ["DataSource", "Experiment", "RunStep", "experiment", "experiments", "measured_here"]


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Rows that an experiment needs.

    Attributes:
        file: in a folder of data sets, as `NAME/SPLIT.parquet`.
        hub: data set on the Hugging Face hub with the same columns.
        split: of that.
        columns: to take.
        rows: the first, and the one behind the last; all by default.
        same: labels that mean "the same": the rows become pairs labelled 1 and 0.
        positives: labels whose rows are kept, as pairs: anchor, positive.
        as_text: make one column `text` of the different texts of all columns.
        folder: where the file goes beside others of a local task; by itself by default.
        measured: whether it is measured on, so that `--max-rows` leaves it whole.
    """

    file: str
    hub: str
    split: str = "train"
    columns: list[str]
    rows: list[int] | None = None
    same: list[Any] | None = None
    positives: list[Any] | None = None
    as_text: bool = False
    folder: str | None = None
    measured: bool = False


@dataclass(frozen=True, kw_only=True)
class RunStep:
    """A command of an experiment.

    Attributes:
        command: the words behind `tenor`.
        name: of its folder.
        settings: as on the command line; `data:NAME` is a prepared file or folder, `run:NAME` the
            model of an earlier step.
        figures: where the experiment's figures are in its result: after, test, depths or mteb; ""
            for a step without any.
    """

    command: str
    name: str
    settings: dict[str, Any]
    figures: str = ""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """An experiment that was published.

    Attributes:
        name: of its file.
        title: what it is.
        about: how it is done, and how that differs from what was published.
        model: id on the hub of the model that was published with it.
        on: what the figures are measured on.
        published: the figures, by name; none where none is named.
        data: what it needs, by name.
        runs: its commands, in order.
    """

    name: str
    title: str
    about: str
    model: str
    on: str
    published: dict[str, float] = field(default_factory=dict)
    data: dict[str, DataSource]
    runs: list[RunStep]


def experiments(folder: str | Path | None = None) -> dict[str, Experiment]:
    """All experiments, by name.

    Args:
        folder: with their files; those of the package by default.
    """
    found = {}
    for path in sorted(_folder(folder).iterdir(), key=lambda each: each.name):
        if path.name.endswith(".toml"):
            name = path.name.removesuffix(".toml")
            found[name] = _read(name, tomllib.loads(path.read_text(encoding="utf-8")))
    return found


def experiment(name: str) -> Experiment:
    """One of them.

    Raises:
        ConfigError: there is none of this name.
    """
    known = experiments()
    if name not in known:
        raise ConfigError("experiment", name, f"one of {', '.join(known)}")
    return known[name]


def measured_here(folder: str | Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """What was measured, by the experiment's name: figures, model, how, source and commit."""
    text = (_folder(folder) / "measured.json").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = json.loads(text)
    return found


def _folder(folder: str | Path | None) -> Any:
    return resources.files("tenor") / "examples" if folder is None else Path(folder)


def _read(name: str, given: dict[str, Any]) -> Experiment:
    return Experiment(
        name=name,
        title=given["title"],
        about=given["about"],
        model=given["model"],
        on=given["published"]["on"],
        published=given["published"]["figures"],
        data={key: DataSource(**values) for key, values in given["data"].items()},
        runs=[RunStep(**values) for values in given["run"]],
    )
