"""A layer of TSDAE's decoder: BERT's, with a term for the one vector that it may look at.

Shape legend: T tokens of the row, N texts, H heads, W width, D dimensions of the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

__all__ = ["DecoderLayer", "LayerParts", "new_linear"]

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass
class LayerParts:
    """What a decoder layer takes from a post-norm encoder layer."""

    query: nn.Module
    key: nn.Module
    value: nn.Module
    attention_output: nn.Module
    attention_norm: nn.Module
    up: nn.Module
    activation: Callable[[Tensor], Tensor]
    down: nn.Module
    norm: nn.Module


class DecoderLayer(nn.Module):
    """BERT's layer, post-norm, with a term for the memory between attention and feed-forward.

    x ← norm(x + attention(x)); x ← norm(x + O·(V·memory)); x ← norm(x + down(activation(up(x))))

    Attention dropout is left out where the memory comes in: on a single key it would drop the
    memory itself.

    Args:
        parts: of an encoder's layer; shared, not copied.
        width: width W of tokens.
        memory_width: dimensions D of the memory.
        heads: attention heads H.
        dropout: of each sublayer's output.
        epsilon: of the new layer norm.
    """

    def __init__(
        self,
        parts: LayerParts,
        width: int,
        memory_width: int,
        heads: int,
        dropout: float,
        epsilon: float,
    ) -> None:
        super().__init__()
        self.query, self.key, self.value = parts.query, parts.key, parts.value
        self.attention_output, self.attention_norm = parts.attention_output, parts.attention_norm
        self.up, self.activation, self.down = parts.up, parts.activation, parts.down
        self.norm = parts.norm
        self.cross_value = new_linear(memory_width, width)
        self.cross_output = new_linear(width, width)
        self.cross_norm = nn.LayerNorm(width, eps=epsilon)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads

    def remember(self, memory_ND: Tensor) -> Tensor:
        """What cross-attention to each text's vector comes to: (N, W)."""
        remembered: Tensor = self.cross_output(self.cross_value(memory_ND))
        return remembered

    def forward(self, x_TW: Tensor, remembered_TW: Tensor | None, attend: Attend) -> Tensor:
        """(T, W) → (T, W).

        Args:
            x_TW: the tokens.
            remembered_TW: `remember` of each token's text; `None` for an encoder's layer.
            attend: from queries, keys and values (T, H, W / H) to attended values.
        """
        drop = self.dropout
        shape = (len(x_TW), self.heads, -1)
        q, k, v = (layer(x_TW).view(shape) for layer in (self.query, self.key, self.value))
        x_TW = self.attention_norm(x_TW + drop(self.attention_output(attend(q, k, v).flatten(1))))
        if remembered_TW is not None:
            x_TW = self.cross_norm(x_TW + drop(remembered_TW))
        out: Tensor = self.norm(x_TW + drop(self.down(self.activation(self.up(x_TW)))))
        return out


def new_linear(inputs: int, outputs: int) -> nn.Linear:
    """As BERT begins: normal with deviation 0.02, bias 0."""
    made = nn.Linear(inputs, outputs)
    nn.init.normal_(made.weight, std=0.02)
    nn.init.zeros_(made.bias)
    return made
