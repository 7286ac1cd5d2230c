"""What a decoder can take from an encoder, and new parts where it cannot.

How BERT's family, DistilBERT and ALBERT name their embeddings and layers stands here, and nowhere
else; whether an encoder with such names also computes what they stand for is tried in `decoder`.

Shape legend: V tokens of the vocabulary, E width of word embeddings, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from tenor.models.decoder_layer import LayerParts, new_linear
from tenor.models.encoder import Encoder

__all__ = ["DecoderParts", "dropouts", "epsilon_of", "named_parts", "new_parts"]

NEW_LAYERS = 6  # at most, where the encoder's own layers cannot serve


@dataclass
class DecoderParts:
    """What a decoder takes from an encoder.

    Attributes:
        words: (V, E) word embeddings.
        positions: position embeddings.
        types: embeddings of token types, of which the first is added to each token.
        norm: of the sum of these.
        project: from E to W where they differ.
        layers: one after another.
    """

    words: nn.Embedding
    positions: nn.Embedding
    types: nn.Embedding | None
    norm: nn.Module
    project: nn.Module | None
    layers: list[LayerParts]


def named_parts(transformer: Any) -> Iterator[DecoderParts]:
    """The parts of an encoder by the names that each of the known families gives them."""
    for find in (_bert_parts, _distilbert_parts, _albert_parts):
        try:
            yield find(transformer)
        except (AttributeError, TypeError, IndexError):
            continue


def _bert_parts(transformer: Any) -> DecoderParts:
    layers = [
        LayerParts(
            layer.attention.self.query, layer.attention.self.key, layer.attention.self.value,
            layer.attention.output.dense, layer.attention.output.LayerNorm,
            layer.intermediate.dense, layer.intermediate.intermediate_act_fn,
            layer.output.dense, layer.output.LayerNorm,
        )
        for layer in transformer.encoder.layer
    ]  # fmt: skip
    return _embedding_parts(transformer, getattr(transformer, "embeddings_project", None), layers)


def _distilbert_parts(transformer: Any) -> DecoderParts:
    layers = [
        LayerParts(
            layer.attention.q_lin, layer.attention.k_lin, layer.attention.v_lin,
            layer.attention.out_lin, layer.sa_layer_norm,
            layer.ffn.lin1, layer.ffn.activation, layer.ffn.lin2, layer.output_layer_norm,
        )
        for layer in transformer.transformer.layer
    ]  # fmt: skip
    return _embedding_parts(transformer, None, layers)


def _albert_parts(transformer: Any) -> DecoderParts:
    stack, config = transformer.encoder, transformer.config
    layers = []
    for number in range(config.num_hidden_layers):
        group = number * config.num_hidden_groups // config.num_hidden_layers
        for layer in stack.albert_layer_groups[group].albert_layers:
            attention = layer.attention
            layers.append(
                LayerParts(
                    attention.query, attention.key, attention.value, attention.dense,
                    attention.LayerNorm, layer.ffn, layer.activation, layer.ffn_output,
                    layer.full_layer_layer_norm,
                )
            )  # fmt: skip
    return _embedding_parts(transformer, stack.embedding_hidden_mapping_in, layers)


def _embedding_parts(
    transformer: Any, project: nn.Module | None, layers: list[LayerParts]
) -> DecoderParts:
    own = transformer.embeddings
    types = getattr(own, "token_type_embeddings", None)
    return DecoderParts(
        own.word_embeddings, own.position_embeddings, types, own.LayerNorm, project, layers
    )


def new_parts(encoder: Encoder) -> DecoderParts:
    """New layers as BERT's, over the encoder's word embeddings."""
    config, width = encoder.transformer.config, encoder.width
    words = encoder.transformer.get_input_embeddings()
    inner = getattr(config, "intermediate_size", None) or 4 * width
    positions = nn.Embedding(encoder.max_positions or 1024, words.embedding_dim)
    nn.init.normal_(positions.weight, std=0.02)

    def norm(size: int = width) -> nn.LayerNorm:
        return nn.LayerNorm(size, eps=epsilon_of(config))

    def layer() -> LayerParts:
        query, key, value, out = (new_linear(width, width) for _ in range(4))
        up, down = new_linear(width, inner), new_linear(inner, width)
        return LayerParts(query, key, value, out, norm(), up, nn.GELU(), down, norm())

    depth = min(int(getattr(config, "num_hidden_layers", NEW_LAYERS)), NEW_LAYERS)
    same = words.embedding_dim == width
    project = None if same else new_linear(words.embedding_dim, width)
    layers = [layer() for _ in range(depth)]
    return DecoderParts(words, positions, None, norm(words.embedding_dim), project, layers)


def _first(config: Any, names: tuple[str, ...], default: float) -> float:
    values: Iterator[Any] = (getattr(config, name, None) for name in names)
    return float(next((value for value in values if value is not None), default))


def dropouts(config: Any) -> tuple[float, float]:
    """Rates of dropout that a configuration gives: of a sublayer's output, of attention weights."""
    hidden = _first(config, ("hidden_dropout_prob", "dropout", "mlp_dropout"), 0.1)
    attention = _first(config, ("attention_probs_dropout_prob", "attention_dropout"), hidden)
    return hidden, attention


def epsilon_of(config: Any) -> float:
    """What layer norms add to the variance."""
    return _first(config, ("layer_norm_eps", "norm_eps"), 1e-12)
