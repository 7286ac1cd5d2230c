"""The processes that train together, as torchrun starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist

from tenor.training.batch import TrainingBatch

__all__ = [
    "first_process_first",
    "is_first_process",
    "leave_processes",
    "own_share",
    "this_process",
]


def this_process() -> tuple[int, int]:
    """This process's number, and how many there are, once they have joined; else 0 and 1."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def is_first_process() -> bool:
    """Whether this process is the one that writes and speaks, whether or not they have joined."""
    return int(os.environ.get("RANK", "0")) == 0


def own_share(
    batch: TrainingBatch, process: int, processes: int
) -> tuple[npt.NDArray[np.int64], int]:
    """What a process encodes of a joint batch, and how much of it counts.

    In a last batch of fewer texts than processes some have no text; they encode one all the same,
    because all must take part in adding up the gradients.

    Args:
        batch: of all processes.
        process: number of this one.
        processes: how many there are.

    Returns:
        Positions among the distinct texts, at least one, and how many of them count.
    """
    share = batch.share(process, processes)
    return (share if len(share) else np.zeros(1, dtype=np.int64)), len(share)


@contextmanager
def first_process_first(device: torch.device | str) -> Iterator[None]:
    """Let the first process do something while the others wait, and do it after.

    Args:
        device: that the processes will train on; they join here if they have not yet.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if not dist.is_initialized():
        # gloo for what lies on the CPU, as the wait below, whatever carries the gradients.
        on_cuda = torch.device(device).type == "cuda"
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_cuda else "gloo")
    if not is_first_process():
        dist.all_reduce(torch.zeros(1))
    yield
    if is_first_process():
        dist.all_reduce(torch.zeros(1))


def leave_processes() -> None:
    """End the joint work, if there is any: all together, or gloo aborts."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
