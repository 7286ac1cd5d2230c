"""Whether frozen blocks are run once, and where what they make of the texts is kept."""

from __future__ import annotations

import logging
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tenor.errors import ConfigError
from tenor.models.encoder import Encoder
from tenor.tokens.token_states import TokenStates
from tenor.training.arguments import TrainingArguments
from tenor.training.batch import TrainingData
from tenor.training.freezing import FreezingArguments
from tenor.training.prefix_cache import PrefixCache

__all__ = ["FOLDER", "with_states"]

log = logging.getLogger("tenor")

FOLDER = "prefix-cache"  # in a run's folder
IN_MEMORY = 2 << 30  # bytes; what is larger goes to the disk
PAYS = 1.5  # how often a text must be read for it


def with_states(
    model: nn.Module,
    data: TrainingData,
    depth: int,
    arguments: TrainingArguments,
    folder: str | Path,
    *,
    in_memory: int = IN_MEMORY,
) -> tuple[TrainingData, dict[str, Any] | None]:
    """Give the texts of training data what the frozen blocks make of them, where that pays.

    It pays where a text is read more than once, and always in a folder that is shared.

    Args:
        model: has an `encoder` whose first blocks are frozen.
        data: the training data.
        depth: how many blocks are.
        arguments: say how often each row is read, and where states may go.
        folder: of the run.
        in_memory: bytes above which they go to a file there, where nothing else was asked for.

    Returns:
        The data, and what was done, or `None` where nothing was.

    Raises:
        ConfigError: what should be a folder is a file.
    """
    encoder = getattr(model, "encoder", None)
    if not isinstance(arguments, FreezingArguments) or not isinstance(encoder, Encoder):
        return data, None
    place = arguments.prefix_cache
    readings = arguments.epochs * sum(len(column) for column in data.columns.values())
    pays = place != "auto" or readings >= PAYS * len(data.ids)
    if depth < 1 or place == "off" or not pays:
        return data, None
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        log.info(
            "no prefix cache with several processes: each runs the frozen blocks for its texts"
        )
        return data, None
    # A head that runs its `transformers` class as it is goes past the encoder.
    bypassed = getattr(getattr(model, "head", None), "reads", None) == "nothing"
    if bypassed or not encoder.resumes(depth):
        name = type(encoder.transformer).__name__
        log.info("no prefix cache: %s cannot go on from its block %d", name, depth)
        return data, None
    if not data.reads_ids_as_they_are:
        log.info("no prefix cache: the pairs to rank are put together anew in every epoch")
        return data, None
    started = time.perf_counter()
    ids = data.ids
    if getattr(encoder.transformer.config, "type_vocab_size", None) == 1:
        ids = replace(ids, types=None)  # of a tokenizer that gives types which the model never sees
    cache = PrefixCache(encoder, depth, ids, data.filler_id)
    size = cache.bytes()
    target = Path(place) if place != "auto" else Path(folder) / FOLDER
    on_disk = place != "auto" or size > in_memory
    if on_disk and target.exists() and not target.is_dir():
        raise ConfigError("prefix_cache", place, "auto, off or a folder: this is a file")
    states, start = None, None
    if on_disk:
        states = cache.find(target)
        target.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target).free
        if states is None and size > 0.9 * free:
            log.info(
                "no prefix cache: it would take %.1f GiB, and %s has %.1f GiB left",
                size / 2**30, target, free / 2**30,
            )  # fmt: skip
            return data, None
    found = states is not None
    if states is None:
        start = cache.nearest(target) if on_disk else None
        states = cache.fill(target if on_disk else None, start)
    if not on_disk:
        states = _beside(encoder.device, states, size)
    seconds = time.perf_counter() - started
    facts = {
        "depth": depth,
        "made_from_depth": depth if found else 0 if start is None else start.depth,
        "bytes": size,
        "dtype": str(states.vectors.dtype).removeprefix("torch."),
        "place": str(target) if on_disk else "memory",
        "seconds": seconds,
    }
    how = "found" if found else f"made in {seconds:.1f} s"
    if start is not None:
        how += f" from that of {start.depth}"
    log.info(
        "prefix cache: output of %d frozen blocks for %s texts, %s tokens, in %s: %.1f MiB %s, %s",
        depth,
        f"{len(data.ids):,}",
        f"{cache.tokens:,}",
        facts["dtype"],
        size / 2**20,
        f"in {target}" if on_disk else "in memory",
        how,
    )
    return replace(data, ids=replace(data.ids, states=states)), facts


def _beside(device: torch.device, states: TokenStates, size: int) -> TokenStates:
    """Small states on the device itself, where they need not travel in every step."""
    if device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] // 4:
        return states.to(device)
    return states
