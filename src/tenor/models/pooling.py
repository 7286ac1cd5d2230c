"""From one vector a token to one vector a text.

Shape legend: T tokens of the row, N texts, L padded length of a group, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tenor.errors import ConfigError
from tenor.tokens.packed import Group, PackedBatch

__all__ = ["POOLING_MODES", "Pooling"]

POOLING_MODES = ("cls", "mean", "max", "mean_sqrt_len", "last", "weighted_mean")


class Pooling(nn.Module):
    """Pool the tokens of each text, in fp32; several modes are concatenated.

    Modes (Reimers & Gurevych 2019; `weighted_mean` Muennighoff 2022), for tokens h_1 … h_L:

    - `cls`: h_1 (behind a prompt that is left out: the first token); `last`: h_L; `max`: the
      maximum of each component.
    - `mean`: Σ h_i / L; `mean_sqrt_len`: Σ h_i / √L; `weighted_mean`: Σ i·h_i / Σ i.

    A text without a token (some tokenizers add no special ones) gets zeros in every mode.

    Args:
        modes: one or several modes.
        width: width W of the tokens' vectors.

    Raises:
        ConfigError: for a mode that does not exist, or none.
    """

    def __init__(self, modes: tuple[str, ...], width: int) -> None:
        super().__init__()
        unknown = [mode for mode in modes if mode not in POOLING_MODES]
        if unknown or not modes:
            raise ConfigError("pooling", unknown or modes, f"of {', '.join(POOLING_MODES)}")
        self.modes = modes
        self.out_features = width * len(modes)

    def forward(self, hidden_TW: Tensor, batch: PackedBatch, skip: int = 0) -> Tensor:
        """Pool a packed batch.

        Args:
            hidden_TW: the encoder's output.
            batch: the batch it came from.
            skip: tokens of a prompt at the beginning of each text that the pooling leaves out.

        Returns:
            (N, W · modes) fp32, a row for each text (not the filler), in the order of the row.
        """
        parts = [self._pool(group, hidden_TW, batch, skip) for group in batch.layout.groups]
        return torch.cat(parts)[: batch.texts]

    def _pool(self, group: Group, hidden_TW: Tensor, batch: PackedBatch, skip: int) -> Tensor:
        if not group.length:
            return hidden_TW.new_zeros(group.texts, self.out_features, dtype=torch.float32)
        pooled = _pool(group, hidden_TW[group.start : group.stop], self.modes, skip)
        empty = batch.lengths[group.first : group.first + group.texts] == 0
        if empty.any():
            rows = torch.from_numpy(empty).to(pooled.device)
            pooled = pooled.masked_fill(rows[:, None], 0.0)
        return pooled


def _pool(group: Group, hidden_TW: Tensor, modes: tuple[str, ...], skip: int) -> Tensor:
    """Pool the tokens of a group; what a text without tokens gets is finite, and means nothing."""
    block_NLW = group.pad(hidden_TW)
    outside = group.padding
    n, length = block_NLW.shape[:2]
    if outside is None:
        counts = torch.full((n, 1), float(length), device=block_NLW.device)
    else:
        counts = (~outside).sum(1, keepdim=True).float()
    tokens = counts[:, 0].long()
    last = (tokens - 1).clamp(min=0)
    if skip:
        places = torch.arange(length, device=block_NLW.device)
        # A text that the length limit cut down to its prompt keeps its last token.
        prompt = (places < skip) & (places < last[:, None])
        outside = prompt if outside is None else outside | prompt
        block_NLW = block_NLW.masked_fill(prompt[..., None], 0.0)
        counts = (~outside).sum(1, keepdim=True).float()
    pooled = []
    for mode in modes:
        if mode == "cls":
            first = torch.cumsum(tokens, 0) - tokens + last.clamp(max=skip)
            pooled.append(hidden_TW[first.clamp(max=len(hidden_TW) - 1)].float())
        elif mode == "last":
            pooled.append(block_NLW[torch.arange(n, device=last.device), last].float())
        elif mode == "max":
            lowest = torch.finfo(block_NLW.dtype).min
            filled = block_NLW
            if outside is not None:
                filled = block_NLW.masked_fill(outside[..., None], lowest)
            pooled.append(filled.amax(1).float())
        elif mode == "weighted_mean":
            weights = torch.arange(1.0, length + 1, device=block_NLW.device).expand(n, length)
            if outside is not None:
                weights = weights.masked_fill(outside, 0.0)
            total = weights.sum(1, keepdim=True).clamp(min=1.0)
            pooled.append(torch.einsum("nlw,nl->nw", block_NLW.float(), weights) / total)
        else:  # the block holds zeros where there is no token
            divisor = counts.clamp(min=1.0)
            divisor = divisor if mode == "mean" else divisor.sqrt()
            pooled.append(block_NLW.sum(1, dtype=torch.float32) / divisor)
    return torch.cat(pooled, dim=1)
