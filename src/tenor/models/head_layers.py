"""The layers that a `…ForSequenceClassification` has on top of its encoder, and how to renew them.

What transformers' class does with the encoder's output differs by architecture, and a saved folder
must load there: so no pooling of our own is put in between. BERT, ALBERT and FNet read the first
token through the pooler (a linear layer and a tanh); RoBERTa, ELECTRA, DistilBERT, MPNet and
DeBERTa read it through a hidden layer of their own; ModernBERT reads the first token or the mean of
all, as `classifier_pooling` in its config.json says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import nn

from tenor.errors import ModelError

__all__ = ["HeadLayers", "head_layers", "renew"]


class HeadLayers(NamedTuple):
    """The linear layers of a head.

    Attributes:
        output: the one that gives the logits.
        hidden: those before it, the encoder's pooler among them; none where the encoder's output
            goes to the output layer as it is.
        pooler: those of `hidden` that are the encoder's pooler.
    """

    output: nn.Linear
    hidden: tuple[nn.Linear, ...]
    pooler: tuple[nn.Linear, ...]


def head_layers(classifier: Any) -> HeadLayers:
    """Find the layers of a head.

    Args:
        classifier: a `…ForSequenceClassification` of `transformers`.

    Raises:
        ModelError: when none of its layers gives as many logits as there are labels.
    """
    prefix = classifier.base_model_prefix
    own, pooler = [], []
    for name, module in classifier.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        parts = name.split(".")
        if parts[0] != prefix:
            own.append(module)
        elif "pooler" in parts:
            pooler.append(module)
    outputs = [layer for layer in own if layer.out_features == classifier.config.num_labels]
    if not outputs:
        raise ModelError(
            f"{type(classifier).__name__} has no linear layer that gives its "
            f"{classifier.config.num_labels} logits; it cannot be trained on other labels."
        )
    output = outputs[-1]
    hidden = [*pooler, *(layer for layer in own if layer is not output)]
    return HeadLayers(output, tuple(hidden), tuple(pooler))


def renew(layers: Iterable[nn.Linear], spread: float, seed: int) -> None:
    """Give layers new weights, as `transformers` initialises them: normal, biases zero.

    Args:
        layers: changed in place.
        spread: standard deviation of the weights.
        seed: decides them.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in layers:
            layer.weight.normal_(0.0, spread, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
