"""Checkpoints: complete, atomic, and without a pickle in them.

A checkpoint holds everything that decides the rest of a run: parameters (of the model and of the
objective), the optimiser's moments, and the trainer's state. Batches and dropout come from the seed
and the step, so no random state is stored.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tenor.errors import TrainingError
from tenor.formats.atomic import sync

__all__ = [
    "latest",
    "load_modules",
    "load_optimizer",
    "load_scheduler",
    "prune",
    "save_checkpoint",
    "save_modules",
    "scheduler_state",
]

MODULES = "modules.safetensors"
OPTIMIZER = "optimizer.safetensors"
OPTIMIZER_GROUPS = "optimizer.json"
SCHEDULER = "scheduler.json"


def save_modules(folder: Path, modules: dict[str, nn.Module]) -> None:
    """Write the parameters and buffers of some modules into `folder`, whole or not at all."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    seen: dict[int, str] = {}
    for prefix, module in modules.items():
        for name, value in module.state_dict().items():
            if value.data_ptr() in seen and value.numel():
                continue  # tied weights are stored once; loading fills both
            seen[value.data_ptr()] = name
            tensors[f"{prefix}.{name}"] = value.detach().contiguous()
    part = folder / f".{MODULES}.part"
    save_file(tensors, part)
    sync(part)
    part.replace(folder / MODULES)


def load_modules(folder: Path, modules: dict[str, nn.Module]) -> None:
    """Read back what `save_modules` wrote.

    Raises:
        TrainingError: when the folder belongs to another model.
    """
    from safetensors.torch import load_file

    stored = load_file(folder / MODULES)
    for prefix, module in modules.items():
        own = {n[len(prefix) + 1 :]: v for n, v in stored.items() if n.startswith(prefix + ".")}
        try:
            missing, unexpected = module.load_state_dict(own, strict=False)
        except RuntimeError as error:  # another shape
            raise TrainingError(f"{folder} belongs to another model: {error}") from error
        pointers = {value.data_ptr() for name, value in module.state_dict().items() if name in own}
        state = module.state_dict()
        absent = [name for name in missing if state[name].data_ptr() not in pointers]
        if absent or unexpected:
            raise TrainingError(
                f"{folder} belongs to another model: {len(absent)} tensors are missing and "
                f"{len(unexpected)} are unknown (such as {[*absent, *unexpected][0]})."
            )


def save_checkpoint(
    folder: Path,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
) -> None:
    """Write a checkpoint: it appears under its name only when it is complete.

    Args:
        folder: its name, which must end in the step's number.
        modules: what has parameters, by a prefix for their names.
        optimizer: its moments are kept.
        state: the trainer's and the scheduler's state, as JSON values.
    """
    from safetensors.torch import save_file

    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder.parent))
    try:
        save_modules(scratch, modules)
        packed = optimizer.state_dict()
        tensors, scalars = {}, {}
        for index, entry in packed["state"].items():
            for name, value in entry.items():
                if isinstance(value, Tensor):
                    tensors[f"{index}.{name}"] = value.contiguous()
                else:
                    scalars[f"{index}.{name}"] = value
        save_file(tensors, scratch / OPTIMIZER)
        groups = {"param_groups": packed["param_groups"], "scalars": scalars}
        (scratch / OPTIMIZER_GROUPS).write_text(json.dumps(groups))
        for name, value in state.items():
            (scratch / f"{name}.json").write_text(json.dumps(value, indent=1))
        for path in scratch.iterdir():
            sync(path)
        if folder.exists():
            shutil.rmtree(folder)
        scratch.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def load_optimizer(folder: Path, optimizer: torch.optim.Optimizer) -> None:
    """Give an optimiser back the moments of a checkpoint."""
    from safetensors.torch import load_file

    groups = json.loads((folder / OPTIMIZER_GROUPS).read_text())
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*load_file(folder / OPTIMIZER).items(), *groups["scalars"].items()]:
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    for group in groups["param_groups"]:
        if "betas" in group:
            group["betas"] = tuple(group["betas"])
    optimizer.load_state_dict({"state": state, "param_groups": groups["param_groups"]})


def scheduler_state(scheduler: Any) -> dict[str, Any]:
    """What of a learning-rate scheduler's state JSON can hold: all that its steps change."""
    return {
        key: value
        for key, value in scheduler.state_dict().items()
        if isinstance(value, int | float | list)
        and not (isinstance(value, list) and any(isinstance(v, dict) for v in value))
    }


def load_scheduler(folder: Path, scheduler: Any) -> None:
    """Give a learning-rate scheduler back what `scheduler_state` kept of it in a checkpoint."""
    stored = json.loads((folder / SCHEDULER).read_text())
    scheduler.load_state_dict({**scheduler.state_dict(), **stored})


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint of a run, by its step."""
    found = [path for path in folder.glob("checkpoint-*") if (path / OPTIMIZER_GROUPS).is_file()]
    return max(found, key=_step, default=None)


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest checkpoints, and what interrupted saves left behind."""
    found = sorted(folder.glob("checkpoint-*"), key=_step)
    for path in [*found[:-keep], *folder.glob(".saving-*")]:
        shutil.rmtree(path, ignore_errors=True)


def _step(path: Path) -> int:
    digits = path.name.rsplit("-", 1)[-1]
    return int(digits) if digits.isdigit() else -1
