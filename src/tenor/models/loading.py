"""Where a model runs that is loaded from a folder, how, and how long its texts may be."""

from __future__ import annotations

from typing import Any, TypedDict

import torch
from torch import nn

from tenor.errors import ConfigError
from tenor.models.checks import check_positive
from tenor.models.encoder import Encoder
from tenor.models.precision import resolve_dtype
from tenor.models.pretrained import own_limit

__all__ = ["RunOptions", "best_device", "length_limit", "place", "resolve_device"]


class RunOptions(TypedDict, total=False):
    """Keywords of every `load` that say where and how a model runs.

    Attributes:
        device: `"cpu"`, `"cuda"`, `"mps"`; the best there is by default.
        dtype: dtype of the encoder's products: `"auto"` (bf16 where the hardware has it, the
            default), `"bf16"`, `"fp32"`.
        max_seq_length: another limit of tokens a text; the folder's by default.
    """

    device: str | torch.device | None
    dtype: str
    max_seq_length: int | None


def best_device() -> torch.device:
    """CUDA where there is any, else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def resolve_device(device: str | torch.device | None) -> torch.device:
    """The device to run on; the best there is for `None`.

    Raises:
        ConfigError: when there is none of that name here.
    """
    if device is None:
        return best_device()
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:  # unknown, not built in, or not plugged in
        here = dict.fromkeys(("cpu", best_device().type))
        raise ConfigError("device", str(device), f"{' or '.join(here)} on this machine") from error
    return found


def length_limit(asked: int | None, stored: int | None, encoder: Encoder, tokenizer: Any) -> int:
    """Tokens a text may have: what was asked for or stored, within what the encoder can take.

    Args:
        asked: what the caller wants, if anything.
        stored: what the folder says, if anything.
        encoder: for the positions it has.
        tokenizer: of `transformers`; its own limit counts where neither says anything.

    Raises:
        ConfigError: when more was asked for than the encoder can take, or no token at all.
    """
    check_positive("max_seq_length", asked)
    positions = encoder.max_positions
    if asked is not None and positions is not None and asked > positions:
        raise ConfigError("max_seq_length", asked, f"at most {positions} for this encoder")
    limits = [asked or stored, positions]
    if asked is None and stored is None:
        limits.append(own_limit(tokenizer))
    return min(limit for limit in limits if limit is not None)


def place(model: nn.Module, encoder: Encoder, device: str | torch.device | None, dtype: str) -> str:
    """Move a model to a device, and choose the dtype of its products.

    Args:
        model: moved as a whole.
        encoder: the encoder inside it.
        device: `None` for the best there is.
        dtype: `"auto"`, `"bf16"` or `"fp32"`.

    Returns:
        How and where it runs, in words: "bf16 on cpu, packed".

    Raises:
        ConfigError: for a device that is not here, or another dtype.
    """
    target = resolve_device(device)
    model.to(target)
    encoder.set_dtype(resolve_dtype(dtype, target))
    named = {torch.bfloat16: "bf16", torch.float32: "fp32"}[encoder.dtype]
    return f"{named} on {target}, {'packed' if encoder.packed else 'padded'}"
