"""The precision that losses compute in: float32 at least, whatever the model's."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["upcast"]


def upcast(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Bring two tensors of any shape to one dtype: the widest among theirs and float32.

    In bf16 cosines near 0.9 are 1/256 apart, too coarse to tell a positive from a hard negative.

    Example:
        >>> left, right = upcast(torch.ones(2, dtype=torch.bfloat16), torch.ones(2))
        >>> left.dtype
        torch.float32
    """
    dtype = torch.promote_types(torch.promote_types(left.dtype, right.dtype), torch.float32)
    return left.to(dtype), right.to(dtype)
