"""Dropout with a quarter of the random draws: one 64-bit word decides four elements.

torch draws one number an element, on one core; in a training step on a CPU that can cost as much as
a tenth of all matrix products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["FastDropout", "apply_kept", "draw_kept"]


def draw_kept(shape: torch.Size, p: float) -> Tensor:
    """Which elements dropout keeps: uint8, 1 with probability 1 - p, on the CPU.

    Each is decided by 16 random bits, so p is met to 1.6e-5. The bits come from SFC64, seeded by
    one draw from torch's global generator: its state decides them all.

    >>> _ = torch.manual_seed(0)
    >>> round(draw_kept(torch.Size([1000, 10]), 0.1).float().mean().item(), 2)
    0.9
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    elements = shape.numel()
    words = np.random.SFC64(seed).random_raw((elements + 3) // 4)
    kept = words.view(np.uint16)[:elements] >= min(_threshold(p), 65535)
    return torch.from_numpy(kept.view(np.uint8)).view(shape)


def apply_kept(x: Tensor, kept: Tensor, p: float) -> Tensor:
    """Zero what is not kept and scale the rest by 1 / (1 - p), in the dtype of `x`."""
    return kept.to(x.dtype).mul_(x).mul_(65536.0 / (65536.0 - min(_threshold(p), 65535)))


def _threshold(p: float) -> int:
    return round(p * 65536)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        kept = draw_kept(x.shape, p)
        ctx.save_for_backward(kept)
        ctx.p = p
        return apply_kept(x, kept, p)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return apply_kept(gradients[0], kept, ctx.p), None


class FastDropout(nn.Dropout):
    """`torch.nn.Dropout`, made cheap on the CPU; elsewhere, and in evaluation, the original."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop elements of a tensor of any shape."""
        if not self.training or not 0.0 < self.p < 1.0 or input.device.type != "cpu":
            return super().forward(input)
        result: Tensor = _Dropout.apply(input, self.p)  # type: ignore[no-untyped-call]
        return result
