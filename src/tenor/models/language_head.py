"""The head of a masked language model, found by trying, and run on the masked tokens only.

Shape legend: W width of the encoder, E width of word embeddings, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenor.models.pretrained import quiet
from tenor.models.probe import is_close

__all__ = ["LanguageHead", "language_head"]

TOLERANCE = 1e-4  # of the head's logits, relative to the largest


class LanguageHead(nn.Module):
    """norm(activation(W · h + b)), to be multiplied with the output embeddings.

    Args:
        dense: W and b, or `None` for a head that only projects.
        activation: between them.
        norm: a layer norm, or `None`.
        bias: (V,) parameter added to the logits, or `None`.
    """

    def __init__(
        self,
        dense: nn.Module | None,
        activation: Callable[[Tensor], Tensor],
        norm: nn.Module | None,
        bias: nn.Parameter | None,
    ) -> None:
        super().__init__()
        self.dense, self.norm, self.bias = dense, norm, bias
        self.activation = activation

    @classmethod
    def new(cls, width: int, embedding_width: int, vocabulary: int, epsilon: float) -> LanguageHead:
        """A fresh head as BERT's: weights normal with deviation 0.02, biases 0."""
        dense = nn.Linear(width, embedding_width)
        nn.init.normal_(dense.weight, std=0.02)
        nn.init.zeros_(dense.bias)
        norm = nn.LayerNorm(embedding_width, eps=epsilon)
        return cls(dense, nn.GELU(), norm, nn.Parameter(torch.zeros(vocabulary)))

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, W) → (…, E)."""
        if self.dense is not None:
            hidden = self.activation(self.dense(hidden))
        return hidden if self.norm is None else self.norm(hidden)


def language_head(whole: Any) -> LanguageHead | None:
    """The head of a `…ForMaskedLM`, sharing its parameters; `None` if it is built otherwise.

    Its parts are what lies outside of the encoder; whether they are put together right is tried on
    the model's own logits.
    """
    output = whole.get_output_embeddings()
    inside = {id(module) for module in whole.base_model.modules()}
    outside = [m for m in whole.modules() if id(m) not in inside and m is not output]
    dense = [module for module in outside if isinstance(module, nn.Linear)]
    norms = [m for m in outside if type(m).__name__.endswith("Norm")]
    if not isinstance(output, nn.Linear) or len(dense) > 1 or len(norms) > 1:
        return None
    ids = torch.arange(7, 12, device=output.weight.device)[None] % whole.config.vocab_size
    with quiet(), torch.no_grad():
        expected = whole(input_ids=ids).logits[0]
        hidden = whole.base_model(input_ids=ids).last_hidden_state[0]
        for activation in _activations(whole.config):
            head = LanguageHead(
                dense[0] if dense else None, activation, norms[0] if norms else None, output.bias
            )
            try:
                found = F.linear(head(hidden), output.weight, output.bias)
            except RuntimeError:  # widths that do not fit
                return None
            if is_close(found, expected, TOLERANCE, least=0.0):
                return head
    return None


def _activations(config: Any) -> Iterator[Callable[[Tensor], Tensor]]:
    from transformers.activations import ACT2FN

    for key in ("classifier_activation", "hidden_act", "activation", "hidden_activation"):
        name = getattr(config, key, None)
        if isinstance(name, str) and name in ACT2FN:
            yield ACT2FN[name]
    yield nn.GELU()
