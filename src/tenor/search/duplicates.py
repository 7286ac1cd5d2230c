"""All pairs of similar vectors: exact, block by block, the best kept.

A tile of products is taken at low precision where the hardware is quick at it. Its rounding error
is bounded, so every pair that could count is among those above the bound less that error; they
alone are computed again in float64. The result is exact, and does not depend on the tiles.

Shape legend: N vectors, D width, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tenor.errors import ConfigError, DataError
from tenor.models.precision import best_dtype
from tenor.search.clusters import Components

__all__ = ["MOST_PAIRS", "SimilarPairs", "similar_pairs"]

MOST_PAIRS = 5_000_000
TILE = 4_096  # vectors a side
_RECHECK = 65_536  # pairs computed again at a time
_ROOM = 65_536  # pairs that may wait before the best are picked out

Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.floating] | Tensor


@dataclass(frozen=True, eq=False)
class SimilarPairs:
    """Pairs of vectors, best first; equal scores in the order of their rows.

    Args:
        rows1: (P,) the lower row of each pair.
        rows2: (P,) the higher one.
        scores: (P,) float32 cosine similarities.
        complete: whether these are all the pairs at or above the threshold, or, without one, all.
    """

    rows1: Rows
    rows2: Rows
    scores: npt.NDArray[np.float32]
    complete: bool

    def __len__(self) -> int:
        return len(self.scores)


def similar_pairs(
    vectors_ND: Vectors,
    *,
    threshold: float | None = None,
    top: int = MOST_PAIRS,
    components: Components | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    tile: int = TILE,
    advance: Callable[[int], None] | None = None,
) -> SimilarPairs:
    """Find the pairs of vectors with the highest cosine similarity.

    Time grows with N², memory with `top` and the tile only: vectors may be mapped from disk.

    Args:
        vectors_ND: vectors of length 1; one of zeros is similar to nothing.
        threshold: the lowest similarity of a pair, -1 to 1; none by default.
        top: pairs kept at most, the best ones.
        components: joined along every pair at or above the threshold, kept or not.
        device: where the products are taken.
        dtype: of the first, rough products; what suits the device by default.
        tile: vectors a side of one block of products.
        advance: called with how many pairs of vectors were compared since the last call.

    Raises:
        ConfigError: a setting is out of range.
        DataError: the vectors are no matrix.

    >>> pairs = similar_pairs(np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 1]]), threshold=0.5)
    >>> list(zip(pairs.rows1.tolist(), pairs.rows2.tolist()))
    [(1, 3), (1, 2), (2, 3), (0, 2)]
    """
    if threshold is not None and not -1 <= threshold <= 1:
        raise ConfigError("threshold", threshold, "a cosine similarity from -1 to 1")
    for name, value in (("top", top), ("tile", tile)):
        if value < 1:
            raise ConfigError(name, value, "at least 1")
    if components is not None and threshold is None:
        raise ConfigError("threshold", threshold, "a number when components are asked for")
    vectors = torch.as_tensor(vectors_ND)
    if vectors.ndim != 2:
        raise DataError(f"vectors of shape {tuple(vectors.shape)}: (vectors, width) is needed.")
    device = torch.device(device)
    dtype = best_dtype(device) if dtype is None else dtype
    slack = _slack(dtype, vectors.shape[1], device)
    best = _Best(top, threshold, components)
    for first in range(0, len(vectors), tile):
        left = vectors[first : first + tile].to(device=device, dtype=dtype)
        for second in range(first, len(vectors), tile):
            right = left
            if second > first:
                right = vectors[second : second + tile].to(device=device, dtype=dtype)
            rough = left @ right.T
            if second == first:
                rows = torch.arange(len(left), device=device)
                rough.masked_fill_(rows[:, None] >= rows, -torch.inf)
            rows1, rows2 = _candidates(rough, best, slack)
            best.add(*_exact(vectors, rows1 + first, rows2 + second))
            if advance is not None:
                count = len(left) * len(right)
                advance(len(left) * (len(left) - 1) // 2 if second == first else count)
    return best.result(len(vectors) * (len(vectors) - 1) // 2)


def _slack(dtype: torch.dtype, width: int, device: torch.device) -> float:
    """A bound on how far a rough cosine can be from the exact one.

    Rounding two vectors of length 1 moves their product by at most 2u + u² (Cauchy-Schwarz), that
    of the result by u, and of the bound it is compared with by u; sums are taken in float32. CUDA
    may take float32 products in TF32, and round parts of a sum.
    """
    unit = torch.finfo(dtype).eps / 2
    if device.type == "cuda":
        unit = max(unit, 2.0**-11) * 1.5
    return 5 * unit + 2 * width * torch.finfo(torch.float32).eps


def _candidates(rough: Tensor, best: _Best, slack: float) -> tuple[Rows, Rows]:
    """Places (left, right) in a tile of all the pairs that could be among the best."""
    floor = max(best.floor - slack, -2.0)  # below any cosine, above the pairs that are masked
    flat = rough.flatten()
    # With `top` pairs of this tile at `last` or above, none so far below it can be among the best.
    if not np.isfinite(best.floor) and best.top < flat.numel():
        last = float(flat.float().topk(best.top).values[-1])
        floor = max(floor, last - 2 * slack)
    lines = torch.nonzero(rough.amax(dim=1) >= floor)[:, 0]
    if not len(lines):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    rows1, rows2 = torch.nonzero(rough[lines] >= floor, as_tuple=True)
    return lines[rows1].cpu().numpy(), rows2.cpu().numpy()


def _exact(vectors: Tensor, rows1: Rows, rows2: Rows) -> tuple[Rows, Rows, npt.NDArray[np.float32]]:
    """The pairs with their similarities, each summed by itself in float64."""
    scores = np.empty(len(rows1), dtype=np.float32)
    for start in range(0, len(rows1), _RECHECK):
        part = slice(start, start + _RECHECK)
        left = vectors[torch.from_numpy(rows1[part])].double().cpu()
        right = vectors[torch.from_numpy(rows2[part])].double().cpu()
        scores[part] = (left * right).sum(dim=1).clamp_(-1.0, 1.0).float().numpy()
    return rows1, rows2, scores


class _Best:
    """The best pairs so far; the lowest score that still counts rises as they come."""

    def __init__(self, top: int, threshold: float | None, components: Components | None) -> None:
        self.top, self.components = top, components
        self.threshold = -np.inf if threshold is None else float(np.float32(threshold))
        self.lowest = self.threshold
        self.room = max(2 * top, _ROOM)
        self.kept: list[tuple[Rows, Rows, npt.NDArray[np.float32]]] = []
        self.waiting = 0
        self.complete = True

    @property
    def floor(self) -> float:
        """Pairs below it need not be looked at: components need all from the threshold on."""
        return self.lowest if self.components is None else self.threshold

    def add(self, rows1: Rows, rows2: Rows, scores: npt.NDArray[np.float32]) -> None:
        if self.components is not None:
            above = scores >= self.threshold
            self.components.join(rows1[above], rows2[above])
        counts = scores >= self.lowest
        if not counts.any():
            return
        self.kept.append((rows1[counts], rows2[counts], scores[counts]))
        self.waiting += int(counts.sum())
        if self.waiting > self.room or (self.waiting >= self.top and not np.isfinite(self.lowest)):
            self.prune()

    def prune(self) -> None:
        rows1, rows2, scores = (np.concatenate(part) for part in zip(*self.kept, strict=True))
        order = np.lexsort((rows2, rows1, -scores))[: self.top]
        self.complete &= len(order) == len(scores)
        self.kept = [(rows1[order], rows2[order], scores[order])]
        self.waiting = len(order)
        if len(order) == self.top:
            self.lowest = max(self.lowest, float(scores[order[-1]]))

    def result(self, compared: int) -> SimilarPairs:
        if not self.kept:
            none = np.empty(0, dtype=np.int64)
            return SimilarPairs(none, none, np.empty(0, dtype=np.float32), True)
        self.prune()
        rows1, rows2, scores = self.kept[0]
        complete = self.complete
        if not np.isfinite(self.threshold):
            complete = len(scores) == compared
        elif len(scores) == self.top:
            complete = False  # the floor rose; how many lie between is not known
        return SimilarPairs(rows1, rows2, scores, complete)
