"""AdamW as the trainer uses it: fused, with the clipping of gradients inside its step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from tenor.training.arguments import TrainingArguments
from tenor.training.frozen_model import FrozenModel

__all__ = ["clip_in_step", "make_optimizer", "unwrapped"]


def make_optimizer(
    modules: Iterable[nn.Module],
    arguments: TrainingArguments,
    frozen: FrozenModel | None = None,
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019), fused; biases and norms without weight decay.

    Args:
        modules: what is trained: all their parameters that want a gradient.
        arguments: for the learning rate and the weight decay.
        frozen: which parameters will want one later, and whose learning rate is another than that
            of the settings.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for module in modules:
        for parameter in module.parameters():
            if parameter.requires_grad if frozen is None else frozen.is_trained(parameter):
                rate = 1.0 if frozen is None else frozen.rate(parameter)
                groups.setdefault((rate, parameter.dim() > 1), []).append(parameter)
    # Logs show the rate of the first group: the highest that is not above the settings' own.
    ordered = sorted(groups.items(), key=lambda group: (group[0][0] <= 1, *group[0]), reverse=True)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": arguments.learning_rate * rate,
                "weight_decay": arguments.weight_decay if decays else 0.0,
            }
            for (rate, decays), parameters in ordered
        ],
        lr=arguments.learning_rate,
        fused=ordered[0][1][0].device.type in ("cpu", "cuda"),
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
