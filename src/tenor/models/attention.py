"""Attention over texts packed in one row, registered with `transformers` as an implementation.

Shape legend: T tokens of the row, H heads, K key/value heads, D width of a head, N texts of a
group, L its padded length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tenor.errors import ModelError
from tenor.models.dropout import apply_kept, draw_kept
from tenor.tokens.packed import Group, Layout

__all__ = [
    "LAYOUT",
    "PACKED",
    "attend_within_texts",
    "causal_attention",
    "grouped_attention",
    "packed_attention",
    "register",
]

PACKED = "tenor_packed"
SCORES_AT_ONCE = 2 << 20  # attention scores of the texts that are taken together, on the CPU
LAYOUT = "tenor_layout"  # keyword of `forward` that carries the layout down to this function


def register() -> None:
    """Tell `transformers` of the implementation; doing it again changes nothing."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(PACKED, packed_attention)
    AttentionMaskInterface.register(PACKED, _no_mask)


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """The layout says where texts end; no mask over the row is ever built."""


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention (Vaswani et al. 2017) of each text of the row to itself.

    Args:
        module: the attention layer (unused but for `is_causal`).
        query: (1, H, T, D).
        key: (1, K, T, D), where K divides H.
        value: (1, K, T, D).
        attention_mask: must be `None`.
        scaling: factor of the scores, D ** -0.5 by default.
        dropout: probability of dropping an attention weight.
        sliding_window: attend only to tokens nearer than this; everything by default.
        **kwargs: the rest of the layer's keywords; holds the layout.

    Returns:
        (1, T, H, D) and `None` for the weights.

    Raises:
        ModelError: when the architecture does not pass the layout down, or brings a mask.
    """
    layout: Layout | None = kwargs.get(LAYOUT)
    if layout is None or attention_mask is not None or kwargs.get("position_bias") is not None:
        raise ModelError("this architecture does not route packed texts to its attention")
    if key.shape[1] != query.shape[1]:
        repeats = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(repeats, dim=1) for x in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    q_THD, k_THD, v_THD = (x[0].transpose(0, 1) for x in (query, key, value))
    if getattr(module, "is_causal", False):
        raise ModelError("decoders are not supported as encoders")
    out_THD = attend_within_texts(
        q_THD, k_THD, v_THD, layout, scale=scale, dropout=dropout, sliding_window=sliding_window
    )
    return out_THD[None], None


def attend_within_texts(
    q_THD: Tensor,
    k_THD: Tensor,
    v_THD: Tensor,
    layout: Layout,
    *,
    scale: float,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    causal: bool = False,
) -> Tensor:
    """Attention of each text of the row to itself: (T, H, D).

    Args:
        q_THD: queries.
        k_THD: keys.
        v_THD: values.
        layout: where the texts are.
        scale: factor of the scores.
        dropout: probability of dropping an attention weight.
        sliding_window: attend only to tokens nearer than this; everything by default.
        causal: attend only to a token itself and those before it.
    """
    if q_THD.device.type != "cpu":
        return grouped_attention(
            q_THD, k_THD, v_THD, layout, scale, dropout, sliding_window, causal
        )
    attended: Tensor = _PackedAttention.apply(  # type: ignore[no-untyped-call]
        q_THD, k_THD, v_THD, layout, scale, dropout, sliding_window, causal
    )
    return attended


def causal_attention(
    q_THD: Tensor, k_THD: Tensor, v_THD: Tensor, layout: Layout, dropout: float = 0.0
) -> Tensor:
    """Attention of each token to itself and those before it in its text: (T, H, D)."""
    scale = q_THD.shape[2] ** -0.5
    return attend_within_texts(
        q_THD, k_THD, v_THD, layout, scale=scale, dropout=dropout, causal=True
    )


def _unseen(
    group: Group, sliding_window: int | None, causal: bool, device: torch.device
) -> Tensor | None:
    """(L, L) bool, `True` where a position may not see another; `None` where all see all."""
    if causal:  # no encoder has both
        return torch.ones(group.length, group.length, dtype=torch.bool, device=device).triu_(1)
    if sliding_window is None or group.length <= sliding_window:
        return None
    place = torch.arange(group.length, device=device)
    return (place[:, None] - place[None, :]).abs() >= sliding_window


def grouped_attention(
    q_THD: Tensor,
    k_THD: Tensor,
    v_THD: Tensor,
    layout: Layout,
    scale: float,
    dropout: float,
    sliding_window: int | None,
    causal: bool,
) -> Tensor:
    """What `attend_within_texts` gives, group by group through torch's own attention kernels."""
    parts = []
    for group in layout.groups:
        rows = slice(group.start, group.stop)
        q, k, v = (group.pad(x[rows]).transpose(1, 2) for x in (q_THD, k_THD, v_THD))
        mask = None if group.padding is None else ~group.padding[:, None, None, :]
        unseen = _unseen(group, sliding_window, causal, q.device)
        if unseen is not None:
            mask = ~unseen if mask is None else mask & ~unseen
            if group.padding is not None:  # an empty row must attend to something, or it is NaN
                mask = mask | group.padding[:, None, :, None]
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale
        )
        parts.append(group.unpad(out.transpose(1, 2)))
    return torch.cat(parts)


class _PackedAttention(torch.autograd.Function):
    """Batched products a few texts at a time, which on CPUs beat torch's fused kernels.

    So many texts are taken at once that their scores stay in the cache; the softmax sums in fp32
    whatever the products' dtype (torch's kernel does so), and the backward pass writes each
    gradient once: rearranging tokens needs no scatter-add.
    """

    @staticmethod
    def forward(
        ctx: Any,
        q_THD: Tensor,
        k_THD: Tensor,
        v_THD: Tensor,
        layout: Layout,
        scale: float,
        dropout: float,
        sliding_window: int | None,
        causal: bool,
    ) -> Tensor:
        out_THD = torch.empty_like(q_THD, memory_format=torch.contiguous_format)
        keep = any(ctx.needs_input_grad)
        saved: list[Tensor | None] = []
        heads = q_THD.shape[1]
        for group in layout.groups:
            rows = slice(group.start, group.stop)
            qkv = _heads_first([x[rows] for x in (q_THD, k_THD, v_THD)], group)
            q, k, v = qkv.unbind()
            unseen = _unseen(group, sliding_window, causal, q.device)
            out = torch.empty_like(v)
            square = torch.Size((len(q), group.length, group.length))
            kept = draw_kept(square, dropout) if dropout else None
            weights = q.new_empty(square if keep else (0, *square[1:]))
            for texts, part in _parts(group, heads):
                scores = weights[part] if keep else q.new_empty(len(q[part]), *weights.shape[1:])
                torch.baddbmm(
                    scores, q[part], k[part].transpose(1, 2), beta=0, alpha=scale, out=scores
                )
                _mask(scores, group, texts, unseen)
                torch.softmax(scores, dim=-1, out=scores)
                if kept is not None:
                    scores = apply_kept(scores, kept[part], dropout)
                torch.bmm(scores, v[part], out=out[part])
            _write_tokens([out_THD[rows]], out[None], group)
            if keep:
                saved += [qkv, weights, kept]
        ctx.save_for_backward(*saved)
        ctx.layout, ctx.scale, ctx.dropout = layout, scale, dropout
        return out_THD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        grad_THD = gradients[0]
        heads = grad_THD.shape[1]
        saved = ctx.saved_tensors
        grads_THD = [torch.empty_like(grad_THD) for _ in range(3)]
        for number, group in enumerate(ctx.layout.groups):
            qkv, weights, kept = saved[3 * number : 3 * number + 3]
            q, k, v = qkv.unbind()
            rows = slice(group.start, group.stop)
            grad = _heads_first([grad_THD[rows]], group)[0]
            blocks = torch.empty_like(qkv)
            grad_q, grad_k, grad_v = blocks.unbind()
            for _, part in _parts(group, heads):
                p, dropped = weights[part], weights[part]
                grad_weights = torch.bmm(grad[part], v[part].transpose(1, 2))
                if kept is not None:
                    dropped = apply_kept(dropped, kept[part], ctx.dropout)
                    grad_weights = apply_kept(grad_weights, kept[part], ctx.dropout)
                torch.bmm(dropped.transpose(1, 2), grad[part], out=grad_v[part])
                # Softmax: dS = P · (dP − Σ dP·P), in fp32 inside the kernel.
                ds = torch.ops.aten._softmax_backward_data(grad_weights, p, -1, p.dtype)
                for out, left, right in (
                    (grad_q[part], ds, k[part]),
                    (grad_k[part], ds.transpose(1, 2), q[part]),
                ):
                    torch.baddbmm(out, left, right, beta=0, alpha=ctx.scale, out=out)
            _write_tokens([gradient[rows] for gradient in grads_THD], blocks, group)
        return (*grads_THD, None, None, None, None, None)


def _parts(group: Group, heads: int) -> Iterator[tuple[slice, slice]]:
    """Slices of a group's texts, and of their N · H matrices, that fit the cache together."""
    step = max(1, SCORES_AT_ONCE // (heads * group.length**2))
    for start in range(0, group.texts, step):
        stop = min(start + step, group.texts)
        yield slice(start, stop), slice(start * heads, stop * heads)


def _heads_first(tensors: Sequence[Tensor], group: Group) -> Tensor:
    """The tokens (t, H, D) of a group in each of B tensors → (B, N · H, L, D), zeros where empty.

    All of them at once: on short texts an operation costs more than what it moves.
    """
    heads, width = tensors[0].shape[1:]
    places = group.texts * group.length
    if group.slots is None:
        block = torch.stack(tuple(tensors))
    else:
        block = tensors[0].new_zeros(len(tensors), places, heads, width)
        for part, tokens in zip(block, tensors, strict=True):
            part.index_copy_(0, group.slots, tokens)
    block = block.view(len(tensors), group.texts, group.length, heads, width).transpose(2, 3)
    return block.reshape(len(tensors), group.texts * heads, group.length, width)


def _write_tokens(targets: Sequence[Tensor], blocks: Tensor, group: Group) -> None:
    """Write blocks (B, N · H, L, D) to B contiguous targets (t, H, D): back from heads first."""
    heads, width = targets[0].shape[1:]
    by_head = blocks.view(len(blocks), group.texts, heads, group.length, width)
    flat = by_head.transpose(2, 3).reshape(len(blocks), -1, heads, width)
    for target, block in zip(targets, flat, strict=True):
        if group.slots is None:
            target.copy_(block)
        else:
            torch.index_select(block, 0, group.slots, out=target)


def _mask(scores: Tensor, group: Group, texts: slice, unseen: Tensor | None) -> None:
    """Give places without a token, and places out of sight, the lowest score."""
    lowest = torch.finfo(scores.dtype).min
    if group.padding is not None:
        padding = group.padding[texts]
        by_text = scores.view(len(padding), -1, *scores.shape[1:])
        by_text.masked_fill_(padding[:, None, None, :], lowest)
    if unseen is not None:
        scores.masked_fill_(unseen, lowest)
