"""One step's forward pass: plain, or with cached gradients; alone, or over several processes.

Shape legend: U distinct texts of the joint batch, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from tenor.models.bulk import give_back_freed_memory
from tenor.training.batch import TrainingBatch
from tenor.training.processes import own_share, this_process

__all__ = ["GradCache", "Plain", "Step", "make_step"]

CHUNKS_A_TRIM = 8  # chunks of ever new shapes, after which the allocator's gaps are given back

Loss = Callable[[Tensor, TrainingBatch], Tensor]
Step = Callable[[nn.Module, TrainingBatch], Tensor]


def make_step(objective: Loss, chunk_tokens: int = 0) -> Step:
    """The step of a loss: with cached gradients where tokens of a chunk are named.

    A loss with an attribute `normalize` is given embeddings that are scaled to length 1, or not,
    as that says.
    """
    normalize: bool | None = getattr(objective, "normalize", None)
    if chunk_tokens:
        return GradCache(objective, chunk_tokens, normalize)
    return Plain(objective, normalize)


class Plain:
    """objective(model, batch) -> loss: encode the distinct texts once and compare them.

    With several processes each encodes its share of the joint batch's texts; all gather all
    embeddings and compute the same joint loss, so that every text of every process is a negative,
    and the averaged gradients are those of one process with the joint batch.

    Args:
        loss: from the embeddings of the distinct texts, and the batch, to a scalar.
        normalize: scale embeddings to length 1; as the model does by default.
    """

    def __init__(self, loss: Loss, normalize: bool | None = None) -> None:
        self.loss, self.asked = loss, _asked(normalize)

    def __call__(self, model: nn.Module, batch: TrainingBatch) -> Tensor:
        """The loss of a batch, ready for `backward`."""
        process, processes = this_process()
        if processes == 1:
            return self.loss(model(batch.packed().to(_device(model)), **self.asked), batch)
        positions, own = own_share(batch, process, processes)
        mine = model(batch.packed(positions).to(_device(model)), **self.asked)[:own]
        return self.loss(_gather(mine, len(batch.texts)), batch)


class GradCache:
    """Gradient caching (Gao et al. 2021): the memory of a chunk, the negatives of the whole batch.

    The texts are encoded in chunks without a graph; the loss gives the gradient of each embedding;
    `backward` encodes each chunk once more, with a graph, and hands its gradient down. The same
    random numbers are drawn both times, so the gradients are those of the plain step.

    Args:
        loss: like `Plain`'s.
        chunk_tokens: tokens encoded at a time.
        normalize: like `Plain`'s.
    """

    def __init__(self, loss: Loss, chunk_tokens: int, normalize: bool | None = None) -> None:
        self.loss, self.chunk_tokens, self.asked = loss, chunk_tokens, _asked(normalize)

    def __call__(self, model: nn.Module, batch: TrainingBatch) -> Tensor:
        """The loss of a batch, whose `backward` encodes the chunks again."""
        process, processes = this_process()
        share, own = own_share(batch, process, processes)
        device = _device(model)
        chunks = list(batch.chunks(self.chunk_tokens, share))
        distributed: Any = model if hasattr(model, "no_sync") else None
        plain = model if distributed is None else distributed.module
        states = []
        parts: list[Tensor] = []
        with torch.no_grad():
            for positions in chunks:
                states.append(_random_state(device))
                _trim_before(len(parts))
                parts.append(plain(batch.packed(positions).to(device), **self.asked))
        # Chunks are cut in the order of length; the loss wants the order of the batch.
        place = torch.from_numpy(np.argsort(np.concatenate(chunks)))
        leaf = torch.cat(parts).requires_grad_()

        @torch.enable_grad()  # a backward pass, where this runs, switches graphs off
        def replay(leaf: Tensor) -> None:
            assert leaf.grad is not None
            after = _random_state(device)
            start = 0
            for number, positions in enumerate(chunks):
                gradient = leaf.grad[start : start + len(positions)]
                start += len(positions)
                _trim_before(number)
                _set_random_state(device, states[number])
                # The processes add their gradients up once, with the last chunk.
                early = distributed is not None and number < len(chunks) - 1
                with distributed.no_sync() if early else nullcontext():
                    embeddings = model(batch.packed(positions).to(device), **self.asked)
                    embeddings.backward(gradient)
            _set_random_state(device, after)

        leaf.register_post_accumulate_grad_hook(replay)  # type: ignore[no-untyped-call]
        mine = leaf[place.to(device)][:own]
        joint = mine if processes == 1 else _gather(mine, len(batch.texts))
        return self.loss(joint, batch)


class _Gather(torch.autograd.Function):
    """All processes' embeddings, interleaved; the gradient of a process's own comes back to it.

    Every process computes the same joint loss, so nothing needs adding up; the factor undoes the
    averaging of gradients over processes.
    """

    @staticmethod
    def forward(ctx: Any, mine: Tensor, texts: int) -> Tensor:
        process, processes = this_process()
        largest = -(-texts // processes)
        padded = mine.new_zeros(largest, mine.shape[1])
        padded[: len(mine)] = mine
        parts = [torch.empty_like(padded) for _ in range(processes)]
        dist.all_gather(parts, padded)
        ctx.process, ctx.processes = process, processes
        return torch.stack(parts, dim=1).flatten(0, 1)[:texts]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0][ctx.process :: ctx.processes] * ctx.processes, None


def _gather(mine: Tensor, texts: int) -> Tensor:
    joint: Tensor = _Gather.apply(mine, texts)  # type: ignore[no-untyped-call]
    return joint


def _asked(normalize: bool | None) -> dict[str, bool]:
    """What a model is asked besides a batch; not every one knows of lengths."""
    return {} if normalize is None else {"normalize": normalize}


def _trim_before(chunk: int) -> None:
    """The loss, and chunks of ever new shapes, leave gaps that the next chunk does not fit in."""
    if chunk % CHUNKS_A_TRIM == 0:
        give_back_freed_memory()


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), cuda


def _set_random_state(device: torch.device, state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
