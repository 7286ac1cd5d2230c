"""AdamW as the trainer uses it: fused, with the clipping of gradients inside its step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from tenor.training.arguments import TrainingArguments

__all__ = ["clip_in_step", "make_optimizer", "unwrapped"]


def make_optimizer(
    modules: Iterable[nn.Module], arguments: TrainingArguments
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019), fused; biases and norms without weight decay.

    Args:
        modules: what is trained: all their parameters that want a gradient.
        arguments: for the learning rate and the weight decay.
    """
    decay: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for module in modules:
        for parameter in module.parameters():
            if parameter.requires_grad:
                (decay if parameter.dim() > 1 else rest).append(parameter)
    groups = [
        {"params": decay, "weight_decay": arguments.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    device = (decay or rest)[0].device
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=arguments.learning_rate,
        fused=device.type in ("cpu", "cuda"),
    )


def clip_in_step(optimizer: torch.optim.Optimizer, limit: float) -> Tensor:
    """Let the next step scale all gradients down to a norm, if theirs is larger.

    Scaling them beforehand would be one more pass over every gradient in memory; the fused
    optimiser does it while it reads them anyway.

    Args:
        optimizer: holds the parameters whose gradients are meant.
        limit: the norm of all gradients together that stays allowed.

    Returns:
        The norm before.
    """
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    norm = torch.nn.utils.get_total_norm(gradients)
    excess = ((norm + 1e-6) / limit).clamp(min=1.0)
    if optimizer.defaults.get("fused"):
        optimizer.grad_scale = excess  # type: ignore[attr-defined]
    else:
        torch._foreach_div_(gradients, excess)
    return norm


def unwrapped(optimizer: Any) -> torch.optim.Optimizer:
    """The optimiser inside the one that `accelerate` makes of it."""
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner
