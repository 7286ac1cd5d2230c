"""TSDAE's decoder: rebuilds a text from one vector, token by token.

Wang et al. 2021, https://arxiv.org/abs/2104.06979. Its memory is a single vector, and a softmax
over one key is 1; so cross-attention is exactly a linear map of the memory, the same for all tokens
of a text, and neither queries, keys nor weights of it are ever computed.

Shape legend: T tokens of the row, N texts, H heads, W width, E width of word embeddings, D
dimensions of the memory.
"""

from __future__ import annotations

import copy
import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenor.models.attention import causal_attention
from tenor.models.decoder_layer import DecoderLayer
from tenor.models.decoder_parts import DecoderParts, dropouts, epsilon_of, named_parts, new_parts
from tenor.models.encoder import Encoder
from tenor.models.language_head import LanguageHead
from tenor.models.precision import set_precision
from tenor.models.probe import is_close, unlike_texts
from tenor.tokens.packed import PackedBatch

__all__ = ["Decoder"]

log = logging.getLogger("tenor")

TOLERANCE = 1e-4  # of the probe, relative to the largest activation


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
        self, parts: DecoderParts, head: LanguageHead, config: Any, memory_width: int, tied: str
    ) -> None:
        super().__init__()
        self.words, self.positions, self.types = parts.words, parts.positions, parts.types
        self.norm, self.project, self.head = parts.norm, parts.project, head
        hidden, attention = dropouts(config)
        width, epsilon = int(config.hidden_size), epsilon_of(config)
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
            parts, tied = new_parts(encoder), "embeddings"
            log.info("%s: its layers cannot serve a decoder, which gets new ones", name)
        else:
            tied = "embeddings and layers"
        if not tie:
            parts, tied = copy.deepcopy(parts), "nothing"
        width, embedding_width = encoder.width, parts.words.embedding_dim
        if head is None:
            head = LanguageHead.new(
                width, embedding_width, parts.words.num_embeddings, epsilon_of(config)
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


def _reusable(encoder: Encoder) -> DecoderParts | None:
    """The encoder's parts, if put together as a decoder's they compute what the encoder does."""
    found = named_parts(encoder.transformer)
    return next((parts for parts in found if _same(parts, encoder)), None)


def _same(parts: DecoderParts, encoder: Encoder) -> bool:
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
    batch = PackedBatch.of(unlike_texts((9,), config), rounded=False).to(encoder.device)
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
    return is_close(found, expected, TOLERANCE, least=0.0)
