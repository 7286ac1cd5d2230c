"""A published experiment, run again: its data, its commands, its figures beside those published."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tenor.errors import ConfigError, ModelError
from tenor.formats.atomic import write_text
from tenor.recipes.settings import DEVICES, DTYPES, check_choices, check_least, check_seeds

__all__ = ["ReproduceConfig", "reproduce"]

log = logging.getLogger("tenor")

ASKED, RESULT = "asked.json", "reproduce.json"
TWELFTHS = "twelfths:"


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig:
    """Settings of running a published experiment.

    Attributes:
        experiment: its name.
        out: folder for its data, its runs and reproduce.json; runs/reproduce/NAME by default.
            Started again it goes on, with the same model, data, steps and rows.
        model: to start from instead of the published one: a name, folder or hub id.
        data: folder with the data sets as NAME/SPLIT.parquet; those of the hub by default.
        max_steps: of each training loop, for a try.
        max_rows: of each file to train on, for a try.
        device: auto, cpu, cuda or mps.
        dtype: of the products: auto, bf16 or fp32.
        seed: decides the batches, the dropout and new layers.
    """

    experiment: str
    out: str | None = None
    model: str | None = None
    data: str | None = None
    max_steps: int | None = None
    max_rows: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_least(self, 1, "max_steps", "max_rows")
        check_choices(self, device=DEVICES, dtype=DTYPES)
        check_seeds(self)
        if self.data is not None and not Path(self.data).is_dir():
            raise ConfigError("data", self.data, "a folder that holds the data sets")


def reproduce(config: ReproduceConfig) -> dict[str, Any]:
    """Run a published experiment.

    Args:
        config: the settings.

    Returns:
        What reproduce.json holds: `figures` and `published` by name, `complete`: whether it was run
        as it stands, `model`, `data`, the result of each run, and what it ran on.

    Raises:
        ConfigError: there is no such experiment, or `out` holds the data of other settings.
        DataError: the data cannot be had.
        ModelError: the model cannot be had.
        TenorError: as its recipes raise; started again, it goes on.
    """
    from tenor.formats.locate import locate
    from tenor.recipes.experiments import experiment
    from tenor.recipes.reproduce_data import prepare_data
    from tenor.training.run import machine, versions

    start = time.perf_counter()
    found = experiment(config.experiment)
    model = config.model or found.model
    for step in found.runs:
        _runner(step.command)  # an extra that is missing shows before any work
    try:
        locate(model)
    except ModelError as error:
        hint = " Or start from another with --model, such as all-MiniLM-L6-v2."
        raise ModelError(f"{error}{hint}") from error
    out = Path(config.out or f"runs/reproduce/{found.name}")
    folder = None if config.data is None else Path(config.data).resolve()
    asked = {"model": model, "max_steps": config.max_steps, "max_rows": config.max_rows}
    _keep_apart(out, {"experiment": found.name, **asked, "data": str(folder or "hub")})
    files = prepare_data(found, folder, out / "data", config.max_rows)
    figures: dict[str, float] = {}
    results: dict[str, Any] = {}
    for step in found.runs:
        log.info("%s: tenor %s", step.name, step.command)
        settings = {
            name: _resolved(value, files, out, model) for name, value in step.settings.items()
        }
        settings.setdefault("model", model)
        result = _runner(step.command)(settings, config, out / step.name)
        results[step.name] = str(out / step.name)
        if step.figures:
            figures |= _FIGURES[step.figures](result)
    said = {
        "experiment": found.name,
        "title": found.title,
        **asked,
        "published_model": found.model,
        "complete": _same_model(model, found.model)
        and config.max_steps is None
        and config.max_rows is None,
        "on": found.on,
        "figures": figures,
        "published": found.published,
        "data": config.data or "hub",
        "seed": config.seed,
        "runs": results,
        "versions": versions(),
        "machine": machine(),
        "seconds": time.perf_counter() - start,
    }
    write_text(out / RESULT, json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    return said


def _keep_apart(out: Path, asked: Mapping[str, Any]) -> None:
    """Note what a folder's data and figures will be of; refuse others beside them.

    Nothing holds before the first data file: who could not get the data may name other data.
    """
    note = out / ASKED
    if not (out / "data").exists():
        write_text(note, json.dumps(asked, indent=2, ensure_ascii=False) + "\n")
        return
    if not note.exists():
        raise ConfigError("out", str(out), "another folder: nothing says what data this one holds")
    earlier = json.loads(note.read_text(encoding="utf-8"))
    other = {name: value for name, value in earlier.items() if asked.get(name) != value}
    if other:
        words = ", ".join(f"{n} {'not given' if v is None else v}" for n, v in other.items())
        allowed = f"another folder: this one holds data of other settings ({words})"
        raise ConfigError("out", str(out), allowed)


def _same_model(model: str, published: str) -> bool:
    """Whether two names mean one model: the packaged one goes without its owner."""
    return published in (model, f"sentence-transformers/{model}")


Runner = Callable[[dict[str, Any], ReproduceConfig, Path], dict[str, Any]]


def _runner(command: str) -> Runner:
    """What runs a command with settings as they stand in an experiment."""
    if command == "evaluate mteb":
        from tenor.evaluation.mteb_tasks import mteb_library

        mteb_library()
        return _mteb
    from tenor.recipes.augmented import AugmentedConfig, train_augmented
    from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive
    from tenor.recipes.sweep import FreezeSweepConfig, sweep_freeze
    from tenor.recipes.tagger import TaggerConfig, train_tagger
    from tenor.recipes.tsdae import TsdaeConfig, train_tsdae

    recipes: dict[str, tuple[Any, Callable[[Any], dict[str, Any]]]] = {
        kind.command: (kind, recipe)
        for kind, recipe in (
            (AugmentedConfig, train_augmented),
            (ContrastiveConfig, train_contrastive),
            (FreezeSweepConfig, sweep_freeze),
            (TaggerConfig, train_tagger),
            (TsdaeConfig, train_tsdae),
        )
    }
    if command not in recipes:
        raise ConfigError("command", command, f"one of {', '.join(recipes)}, evaluate mteb")
    kind, recipe = recipes[command]

    def run(settings: dict[str, Any], config: ReproduceConfig, out: Path) -> dict[str, Any]:
        known = {each.name for each in fields(kind)}
        common = {
            "max_steps": config.max_steps,
            "labeller_max_steps": config.max_steps,
            "device": config.device,
            "dtype": config.dtype,
            "seed": config.seed,
        }
        common = {name: value for name, value in common.items() if name in known}
        return recipe(kind(**settings, **common, out=str(out), resume=True))

    return run


def _mteb(settings: dict[str, Any], config: ReproduceConfig, out: Path) -> dict[str, Any]:
    from tenor.evaluation.mteb import evaluate_mteb
    from tenor.models.embedder import Embedder
    from tenor.recipes.settings import device_of

    model = Embedder.load(settings["model"], device=device_of(config), dtype=config.dtype)
    return evaluate_mteb(model, (), data=settings["data"], out=out)


def _resolved(value: Any, files: Mapping[str, str], out: Path, model: str) -> Any:
    """A setting with the names of an experiment replaced by what they stand for."""
    if not isinstance(value, str):
        return value
    if value.startswith("data:"):
        return files[value.removeprefix("data:")]
    if value.startswith("run:"):
        return str(out / value.removeprefix("run:") / "model")
    if value.startswith(TWELFTHS):
        return _depths(value.removeprefix(TWELFTHS), model)
    return value


def _depths(twelfths: str, model: str) -> str:
    """Numbers of frozen blocks, given as those of an encoder of twelve."""
    from transformers import AutoConfig

    from tenor.formats.locate import locate
    from tenor.formats.sentence_transformers import read_layout

    folder = read_layout(locate(model)).transformer
    settings = AutoConfig.from_pretrained(
        str(folder), trust_remote_code=False, local_files_only=True
    )
    blocks = int(settings.num_hidden_layers)
    return ",".join(str(round(int(depth) * blocks / 12)) for depth in twelfths.split(","))


def _after(result: Mapping[str, Any]) -> dict[str, float]:
    return dict(result["after"]["metrics"])


def _test(result: Mapping[str, Any]) -> dict[str, float]:
    return dict(result["test"]["results"][result["kept"]]["metrics"])


def _of_depths(result: Mapping[str, Any]) -> dict[str, float]:
    """F1 of each depth, named by its share of twelve blocks."""
    return {
        f"f1, {round(12 * row['depth'] / result['blocks'])} of 12 frozen": row["test"]["metrics"][
            "f1"
        ]
        for row in result["rows"]
    }


def _of_mteb(result: Mapping[str, Any]) -> dict[str, float]:
    [row] = result["tasks"]
    [scores] = [one for subsets in row["figures"].values() for one in subsets.values()]
    return {name: float(scores[name]) for name in ("accuracy", "f1")}


_FIGURES: dict[str, Callable[[Mapping[str, Any]], dict[str, float]]] = {
    "after": _after,
    "test": _test,
    "depths": _of_depths,
    "mteb": _of_mteb,
}
