"""A run's folder: what was asked, what happened, what came out.

config.toml   the settings, complete
command.txt   what to type to get the same
data.json     SHA-256 of the training data, by its path
log.jsonl     a line for every logged step and evaluation
result.json   the figures, when the run is done
predictions.parquet   what the model gave to each item of the evaluation, where it has items
map.parquet   vectors of some of its texts, of an embedder
report.html   all of it to look at, with the extra `report`
model/        the trained model
checkpoints/  what `--resume` goes on from
"""

from __future__ import annotations

import dataclasses
import json
import platform
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from tenor.errors import ConfigError, DataError, TrainingError
from tenor.formats.atomic import write_text
from tenor.training.command import command_line

__all__ = ["Run", "machine", "versions"]

CONFIG, DATA, LOG, RESULT = "config.toml", "data.json", "log.jsonl", "result.json"
COMMAND = "command.txt"


class Run:
    """The folder of one run.

    Args:
        folder: made if it does not exist.
        config: the recipe's settings, a dataclass.
        resume: go on with an earlier run of the same settings.
        main: whether this process makes and checks the folder; of several, only one does.

    Raises:
        ConfigError: when the folder holds a run and `resume` is not set, or holds other things, or
            when a setting differs from the run that is resumed.
    """

    def __init__(
        self, folder: str | Path, config: Any, *, resume: bool = False, main: bool = True
    ) -> None:
        self.folder, self.main = Path(folder), main
        self.resumed = False
        self._hashes: dict[str, str] = {}
        if not main:
            return
        settings = _plain(config)
        stored = self.folder / CONFIG
        if self.folder.is_file():
            raise ConfigError("out", str(folder), "a folder for the run: this one is a file")
        if stored.exists() and self._begun():
            if not resume:
                raise ConfigError(
                    "out",
                    str(folder),
                    "another folder: this one already holds a run. Go on with that by --resume, or "
                    "name a new folder with --out",
                )
            self.resumed = True
            earlier = _stored(tomllib.loads(stored.read_text(encoding="utf-8")))
            for name in sorted(settings.keys() | earlier.keys()):
                if settings.get(name) != earlier.get(name):
                    raise ConfigError(
                        name,
                        settings.get(name),
                        f"as in the run that is resumed ({earlier.get(name)!r}); "
                        "start a new run to change it",
                    )
        elif not stored.exists() and self.folder.is_dir() and any(self.folder.iterdir()):
            raise ConfigError(
                "out", str(folder), "a new or an empty folder: this one holds other files"
            )
        import tomli_w

        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(stored, tomli_w.dumps(settings))
        command = command_line(config)
        if command:
            write_text(self.folder / COMMAND, command + "\n")

    @staticmethod
    def settings(folder: str | Path) -> dict[str, Any]:
        """The settings of an earlier run.

        Raises:
            TrainingError: when there is none in the folder.
        """
        try:
            return tomllib.loads((Path(folder) / CONFIG).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TrainingError(f"there is no run to resume in {folder}.") from None

    def check_data(self, hashes: Mapping[str, str]) -> None:
        """Note what the run trains on; a run that is resumed must train on the same.

        May be called again for further files.

        Args:
            hashes: SHA-256 of the training data, by its path.

        Raises:
            DataError: when a file is not what it was; nothing of the run is changed.
        """
        if not self.main:
            return
        path = self.folder / DATA
        known = self._hashes
        if not known and self.resumed and path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
        for name, sha256 in hashes.items():
            if known.get(name, sha256) != sha256:
                raise DataError(
                    f"is not what the run in {self.folder} was trained on: its SHA-256 was "
                    f"{known[name][:12]}…, and now it is {sha256[:12]}…. Put back what was there, "
                    "or start a new run with another --out.",
                    path=name,
                )
        self._hashes = {**known, **hashes}
        write_text(path, json.dumps(self._hashes, indent=2, ensure_ascii=False) + "\n")

    def _begun(self) -> bool:
        """Whether there is anything to lose: not when a run failed over its data or its model."""
        made = (LOG, RESULT, "model")
        return any((self.folder / name).exists() for name in made) or any(
            self.folder.glob("checkpoints/checkpoint-*")
        )

    @property
    def model(self) -> Path:
        """Where the trained model goes."""
        return self.folder / "model"

    @property
    def log_path(self) -> Path:
        """The log."""
        return self.folder / LOG

    @property
    def finished(self) -> dict[str, Any] | None:
        """The result, if the run is done."""
        path = self.folder / RESULT
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def card_facts(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """What every model card is told of a run: its name, its settings and what came out.

        Args:
            result: what result.json holds.

        Returns:
            name, training and evaluation, as the models' `card` takes them.
        """
        return {
            "name": self.folder.name,
            "training": {
                **result,
                "arguments": {**self.settings(self.folder), **result.get("chosen", {})},
            },
            "evaluation": [result["after"]] if result["after"] else [],
        }

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write result.json, whole."""
        write_text(self.folder / RESULT, json.dumps(result, indent=2, ensure_ascii=False) + "\n")


def _plain(config: Any) -> dict[str, Any]:
    """A dataclass as TOML can hold it: `None` left out, tuples as lists."""
    values = dataclasses.asdict(config)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in _stored(values).items()
    }


def _stored(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that say what a run is, rather than where, or for how long it may go on."""
    return {
        name: value
        for name, value in settings.items()
        if value is not None
        and name not in ("resume", "out", "max_minutes")
        and (name, value) != ("seeds", 1)
    }


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    names = ("tenor", "torch", "transformers", "tokenizers", "numpy", "scipy")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What the run ran on."""
    import os

    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    found: dict[str, Any] = {
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found
