"""Running a model over many texts: sorted by length, in batches of so many tokens, with a bar.

Shape legend: U distinct texts (or pairs), W width of the model's output.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tenor.tokens.packed import PackedBatch
from tenor.tokens.plan import batches_by_length
from tenor.tokens.token_ids import TokenIds

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = [
    "BLOCK",
    "KERNELS",
    "TOKENS_PER_BATCH",
    "TRAINING_KERNELS",
    "BulkOptions",
    "cut_in_blocks",
    "duration",
    "evaluating",
    "give_back_freed_memory",
    "keep_few_kernels",
    "progress_bar",
    "run_by_length",
    "run_distinct",
]

KERNELS = 32  # compiled matrix products that bulk work keeps at a time
TRAINING_KERNELS = 64  # the same of training, of which one step needs a few dozen
BLOCK = 65_536  # texts of an iterator that are sorted and run together
TOKENS_PER_BATCH = {"cpu": 3_072, "mps": 8_192, "cuda": 32_768}
LONG_WORK = 2_000  # texts from which a terminal gets a progress bar


class BulkOptions(TypedDict, total=False):
    """Keywords of everything that runs a model over many texts.

    Attributes:
        tokens_per_batch: tokens run at a time; chosen for the device by default.
        progress: show a progress bar on stderr; by default for long work on a terminal.
    """

    tokens_per_batch: int | None
    progress: bool | None


Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


def run_by_length(
    forward: Callable[[PackedBatch], Tensor],
    ids: TokenIds,
    *,
    width: int,
    device: torch.device,
    filler_id: int,
    repeats: npt.NDArray[np.int64],
    tokens_per_batch: int | None = None,
    bar: Progress | None = None,
) -> npt.NDArray[np.float32]:
    """Run a model over tokenised texts, without gradients.

    Args:
        forward: from a packed batch to (N, W).
        ids: the U texts.
        width: W.
        device: where the model is.
        filler_id: token to fill a row of tokens up with.
        repeats: (U,) how often each text stands in what the bar counts.
        tokens_per_batch: tokens run at a time; chosen for the device by default.
        bar: advanced batch by batch.

    Returns:
        (U, W) float32, in the order of the texts.
    """
    budget = tokens_per_batch or TOKENS_PER_BATCH.get(device.type, 8_192)
    found = np.empty((len(ids), width), dtype=np.float32)
    for rows in batches_by_length(ids.lengths, budget):
        batch = PackedBatch.of(ids, rows, filler_id=filler_id).to(device)
        with torch.inference_mode():
            found[rows] = forward(batch).cpu().numpy()
        if bar is not None:
            bar.advance(bar.task_ids[0], int(repeats[rows].sum()))
    return found


def run_distinct(
    forward: Callable[[PackedBatch], Tensor],
    items: Sequence[Key],
    tokenise: Callable[[list[Key]], TokenIds],
    *,
    width: int,
    device: torch.device,
    filler_id: int,
    tokens_per_batch: int | None = None,
    bar: Progress | None = None,
) -> tuple[npt.NDArray[np.float32], int]:
    """Run a model over texts or pairs, each distinct one once.

    Args:
        forward: from a packed batch to (n, W).
        items: N texts or pairs, with repeats as they come.
        tokenise: from the U distinct ones to their tokens.
        width: W.
        device: where the model is.
        filler_id: token to fill a row of tokens up with.
        tokens_per_batch: tokens run at a time; chosen for the device by default.
        bar: advanced batch by batch.

    Returns:
        (N, W) float32 in the order of the items, and how many of them were cut.
    """
    distinct: dict[Key, int] = {}
    places = np.fromiter(
        (distinct.setdefault(item, len(distinct)) for item in items), np.int64, len(items)
    )
    ids = tokenise(list(distinct))
    repeats = np.bincount(places, minlength=len(distinct))
    found = run_by_length(
        forward,
        ids,
        width=width,
        device=device,
        filler_id=filler_id,
        repeats=repeats,
        tokens_per_batch=tokens_per_batch,
        bar=bar,
    )
    truncated = 0 if ids.cut is None else int(repeats[ids.cut].sum())
    return (found if len(distinct) == len(items) else found[places]), truncated


def keep_few_kernels(kernels: int = KERNELS) -> None:
    """Let oneDNN keep few of the kernels it compiles, so that memory stays flat.

    It compiles one for every new shape of a product and keeps 1,024, hundreds of megabytes, which
    long streams of texts fill up bit by bit. Call it before the model is loaded: oneDNN reads it
    once. Where the user has set ONEDNN_PRIMITIVE_CACHE_CAPACITY, that counts.

    Args:
        kernels: how many to keep.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(kernels))


def give_back_freed_memory() -> None:
    """Give the system what the allocator holds in pieces, between blocks of a long stream.

    Batches of ever new sizes leave gaps that the next ones do not fit in. Takes milliseconds; does
    nothing where there is no glibc.
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def cut_in_blocks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut an iterable into lists of at most `size` items."""
    remaining = iter(items)
    while block := list(islice(remaining, size)):
        yield block


@contextmanager
def evaluating(model: nn.Module, encoder: Any, dtype: torch.dtype | None = None) -> Iterator[None]:
    """The model in evaluation mode, its encoder in another dtype where one is given."""
    training, before = model.training, encoder.dtype
    model.eval()
    if dtype is not None:
        encoder.set_dtype(dtype)
    try:
        yield
    finally:
        if dtype is not None:
            encoder.set_dtype(before)
        model.train(training)


@contextmanager
def progress_bar(wanted: bool | None, total: int | None, doing: str) -> Iterator[Progress | None]:
    """A progress bar on stderr, if wanted; by default for long work on a terminal."""
    if wanted is None:
        wanted = sys.stderr.isatty() and (total is None or total >= LONG_WORK)
    if not wanted:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        bar.add_task(doing, total=total)
        yield bar


def duration(seconds: float) -> str:
    """A time still to come, as exactly as it can be known.

    >>> duration(12.3), duration(600), duration(9_000)
    ('12 s', '10.0 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
