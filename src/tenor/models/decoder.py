"""TSDAE's decoder: rebuilds a text from one vector, token by token.

Wang et al. 2021, https://arxiv.org/abs/2104.06979. Its memory is a single vector, and a softmax
over one key is 1; so cross-attention is exactly a linear map of the memory, the same for all tokens
of a text, and neither queries, keys nor weights of it are ever computed.

The file is long because it also knows how BERT's family, DistilBERT and ALBERT name the parts that
a decoder can share with its encoder.

Shape legend: T tokens of the row, N texts, L padded length of a group, H heads, W width, E width of
word embeddings, D dimensions of the memory, V tokens of the vocabulary.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenor.models.attention import attend_within_texts
from tenor.models.encoder import Encoder
from tenor.models.masked_lm import LanguageHead
from tenor.models.precision import set_precision
from tenor.tokens.packed import Layout, PackedBatch
from tenor.tokens.token_ids import TokenIds

__all__ = ["Decoder", "DecoderLayer", "causal_attention"]

log = logging.getLogger("tenor")

TOLERANCE = 1e-4  # of the probe, relative to the largest activation
NEW_LAYERS = 6  # at most, where the encoder's own layers cannot serve
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def causal_attention(
    q_THD: Tensor, k_THD: Tensor, v_THD: Tensor, layout: Layout, dropout: float = 0.0
) -> Tensor:
    """Attention of each token to itself and those before it in its text: (T, H, D)."""
    scale = q_THD.shape[2] ** -0.5
    return attend_within_texts(
        q_THD, k_THD, v_THD, layout, scale=scale, dropout=dropout, causal=True
    )


@dataclass
class _LayerParts:
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


@dataclass
class _Parts:
    """What a decoder takes from an encoder."""

    words: nn.Embedding
    positions: nn.Embedding
    types: nn.Embedding | None
    norm: nn.Module
    project: nn.Module | None
    layers: list[_LayerParts]


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
        parts: _LayerParts,
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
        self.cross_value = _linear(memory_width, width)
        self.cross_output = _linear(width, width)
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


class Decoder(nn.Module):
    """A causal transformer over packed texts whose only memory is one vector a text.

    Make one with `Decoder.of`.

    Args:
        parts: embeddings and layers.
        head: what stands before the output embeddings, which are the input embeddings.
        config: of the encoder's transformer: heads, dropout, epsilon.
        memory_width: dimensions D of the memory.
        tied: what is shared with the encoder, in words.
    """

    def __init__(
        self, parts: _Parts, head: LanguageHead, config: Any, memory_width: int, tied: str
    ) -> None:
        super().__init__()
        self.words, self.positions, self.types = parts.words, parts.positions, parts.types
        self.norm, self.project, self.head = parts.norm, parts.project, head
        hidden, attention = _dropouts(config)
        width, epsilon = int(config.hidden_size), _epsilon(config)
        heads = int(config.num_attention_heads)
        self.layers = nn.ModuleList(
            DecoderLayer(layer, width, memory_width, heads, hidden, epsilon)
            for layer in parts.layers
        )
        self.dropout, self.attention_dropout = nn.Dropout(hidden), attention
        self.tied = tied
        padding = self.positions.padding_idx  # RoBERTa's family counts positions from there
        self.position_offset = 0 if padding is None else padding + 1

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        memory_width: int,
        *,
        tie: bool = True,
        head: LanguageHead | None = None,
    ) -> Decoder:
        """A decoder for an encoder; what is new is random, from torch's generator.

        Where the encoder's layers are post-norm ones as BERT's (found out by trying), the decoder
        has as many, the same or copies of them. For any other architecture it has up to six new
        ones, over the encoder's word embeddings.

        Args:
            encoder: the encoder.
            memory_width: dimensions D of the vectors to decode.
            tie: share embeddings and layers with the encoder; else start from copies of them.
            head: of a masked language model, to start from; new by default.
        """
        transformer, config = encoder.transformer, encoder.transformer.config
        parts = _reusable(encoder)
        name = type(transformer).__name__
        if parts is None:
            parts, tied = _new_parts(encoder), "embeddings"
            log.info("%s: its layers cannot serve a decoder, which gets new ones", name)
        else:
            tied = "embeddings and layers"
        if not tie:
            parts, tied = copy.deepcopy(parts), "nothing"
        width, embedding_width = encoder.width, parts.words.embedding_dim
        if head is None:
            head = LanguageHead.new(
                width, embedding_width, parts.words.num_embeddings, _epsilon(config)
            )
        decoder = cls(parts, head, config, memory_width, tied).to(encoder.device)
        set_precision(decoder, encoder.dtype)
        return decoder.train(encoder.training)

    def forward(self, batch: PackedBatch, memory_ND: Tensor) -> Tensor:
        """What predicts the token behind each token, to be multiplied with the embeddings: (T, E).

        Args:
            batch: N texts.
            memory_ND: the vector of each.
        """
        layout, dropout = batch.layout, self.attention_dropout if self.training else 0.0
        texts = torch.arange(len(batch.lengths)).clamp_(max=batch.texts - 1)  # the filler: any
        counts = torch.from_numpy(batch.lengths)
        text_T = torch.repeat_interleave(texts, counts).to(batch.device)

        def attend(q_THD: Tensor, k_THD: Tensor, v_THD: Tensor) -> Tensor:
            return causal_attention(q_THD, k_THD, v_THD, layout, dropout)

        x_TW = self.embed(batch)
        for layer in self.layers:
            # As a lookup: its backward pass adds up rows faster than that of indexing.
            remembered_TW = F.embedding(text_T, layer.remember(memory_ND))  # type: ignore[operator]
            x_TW = layer(x_TW, remembered_TW, attend)
        predicted: Tensor = self.head(x_TW)
        return predicted

    def embed(self, batch: PackedBatch) -> Tensor:
        """Words, positions and type 0 of each token: (T, W)."""
        x = self.words(batch.token_ids)
        x = x + self.positions(batch.position_ids + self.position_offset)
        if self.types is not None:
            x = x + self.types.weight[0]
        x_TW: Tensor = self.dropout(self.norm(x))
        return x_TW if self.project is None else self.project(x_TW)


def _reusable(encoder: Encoder) -> _Parts | None:
    """The encoder's parts, if put together as a decoder's they compute what the encoder does."""
    for find in (_bert_parts, _distilbert_parts, _albert_parts):
        try:
            parts = find(encoder.transformer)
        except (AttributeError, TypeError, IndexError):
            continue
        if _same(parts, encoder):
            return parts
    return None


def _same(parts: _Parts, encoder: Encoder) -> bool:
    """Whether the parts, without memory and seeing all tokens, give the encoder's own output."""

    def attend(*qkv_THD: Tensor) -> Tensor:
        q, k, v = (x.transpose(0, 1)[None] for x in qkv_THD)
        return F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1)

    config, dtype, training = encoder.transformer.config, encoder.dtype, encoder.training
    head = LanguageHead(None, nn.Identity(), None, None)
    state = torch.get_rng_state()
    probe = Decoder(parts, head, config, encoder.width, "").to(encoder.device).eval()
    torch.set_rng_state(state)
    encoder.eval()
    encoder.set_dtype("fp32")
    ids = TokenIds.of([[(i * 5 + 3) % config.vocab_size for i in range(7, 16)]])
    batch = PackedBatch.of(ids, rounded=False).to(encoder.device)
    try:
        with torch.no_grad():
            expected = encoder(batch)
            found = probe.embed(batch)
            for layer in probe.layers:
                found = layer(found, None, attend)
    except (RuntimeError, TypeError, IndexError):
        return False
    finally:
        encoder.set_dtype(dtype)
        encoder.train(training)
    error = (found - expected).abs().max() if found.shape == expected.shape else torch.inf
    return bool(error <= TOLERANCE * expected.abs().max())


def _bert_parts(transformer: Any) -> _Parts:
    layers = [
        _LayerParts(
            layer.attention.self.query, layer.attention.self.key, layer.attention.self.value,
            layer.attention.output.dense, layer.attention.output.LayerNorm,
            layer.intermediate.dense, layer.intermediate.intermediate_act_fn,
            layer.output.dense, layer.output.LayerNorm,
        )
        for layer in transformer.encoder.layer
    ]  # fmt: skip
    return _embedding_parts(transformer, getattr(transformer, "embeddings_project", None), layers)


def _distilbert_parts(transformer: Any) -> _Parts:
    layers = [
        _LayerParts(
            layer.attention.q_lin, layer.attention.k_lin, layer.attention.v_lin,
            layer.attention.out_lin, layer.sa_layer_norm,
            layer.ffn.lin1, layer.ffn.activation, layer.ffn.lin2, layer.output_layer_norm,
        )
        for layer in transformer.transformer.layer
    ]  # fmt: skip
    return _embedding_parts(transformer, None, layers)


def _albert_parts(transformer: Any) -> _Parts:
    stack, config = transformer.encoder, transformer.config
    layers = []
    for number in range(config.num_hidden_layers):
        group = number * config.num_hidden_groups // config.num_hidden_layers
        for layer in stack.albert_layer_groups[group].albert_layers:
            attention = layer.attention
            layers.append(
                _LayerParts(
                    attention.query, attention.key, attention.value, attention.dense,
                    attention.LayerNorm, layer.ffn, layer.activation, layer.ffn_output,
                    layer.full_layer_layer_norm,
                )
            )  # fmt: skip
    return _embedding_parts(transformer, stack.embedding_hidden_mapping_in, layers)


def _embedding_parts(
    transformer: Any, project: nn.Module | None, layers: list[_LayerParts]
) -> _Parts:
    own = transformer.embeddings
    types = getattr(own, "token_type_embeddings", None)
    return _Parts(
        own.word_embeddings, own.position_embeddings, types, own.LayerNorm, project, layers
    )


def _new_parts(encoder: Encoder) -> _Parts:
    """New layers as BERT's, over the encoder's word embeddings."""
    config, width = encoder.transformer.config, encoder.width
    words = encoder.transformer.get_input_embeddings()
    inner = getattr(config, "intermediate_size", None) or 4 * width
    positions = nn.Embedding(encoder.max_positions or 1024, words.embedding_dim)
    nn.init.normal_(positions.weight, std=0.02)

    def norm(size: int = width) -> nn.LayerNorm:
        return nn.LayerNorm(size, eps=_epsilon(config))

    def layer() -> _LayerParts:
        query, key, value, out = (_linear(width, width) for _ in range(4))
        up, down = _linear(width, inner), _linear(inner, width)
        return _LayerParts(query, key, value, out, norm(), up, nn.GELU(), down, norm())

    depth = min(int(getattr(config, "num_hidden_layers", NEW_LAYERS)), NEW_LAYERS)
    same = words.embedding_dim == width
    project = None if same else _linear(words.embedding_dim, width)
    layers = [layer() for _ in range(depth)]
    return _Parts(words, positions, None, norm(words.embedding_dim), project, layers)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """As BERT begins: normal with deviation 0.02, bias 0."""
    made = nn.Linear(inputs, outputs)
    nn.init.normal_(made.weight, std=0.02)
    nn.init.zeros_(made.bias)
    return made


def _first(config: Any, names: tuple[str, ...], default: float) -> float:
    values: Iterator[Any] = (getattr(config, name, None) for name in names)
    return float(next((value for value in values if value is not None), default))


def _dropouts(config: Any) -> tuple[float, float]:
    """Of a sublayer's output, and of attention weights."""
    hidden = _first(config, ("hidden_dropout_prob", "dropout", "mlp_dropout"), 0.1)
    attention = _first(config, ("attention_probs_dropout_prob", "attention_dropout"), hidden)
    return hidden, attention


def _epsilon(config: Any) -> float:
    return _first(config, ("layer_norm_eps", "norm_eps"), 1e-12)
