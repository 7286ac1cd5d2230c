"""Cross-entropy over a whole vocabulary, without ever holding the logits of all tokens.

Tensor names end in their shape: T tokens, C of them a chunk, W width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["vocabulary_cross_entropy", "vocabulary_losses"]

LOGITS_AT_ONCE = 1 << 23  # logits of a chunk: 32 MiB in fp32


def vocabulary_cross_entropy(
    hidden_TW: Tensor,
    weight_VW: Tensor,
    bias_V: Tensor | None,
    targets_T: Tensor,
    *,
    divisor: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Σ −log softmax(W · h_t + b)[target_t] / divisor, projection and cross-entropy in one.

    The gradients are computed along with the loss, a chunk of tokens at a time, so of the (T, V)
    logits only a chunk ever stands in memory, and they are multiplied out once. Products are of
    `dtype`, the softmax and all sums are of fp32. `backward` can run once.

    Args:
        hidden_TW: what is projected on the vocabulary.
        weight_VW: the output embeddings, of any floating dtype.
        bias_V: added to the logits.
        targets_T: the right tokens; below 0 for places that do not count.
        divisor: of the sum; by default the number of places that count, which gives the mean.
        dtype: of the matrix products.

    Returns:
        A scalar in fp32; 0 where no place counts.

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        >>> hidden, weight = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [1.0]])
        >>> loss = vocabulary_cross_entropy(hidden, weight, None, torch.tensor([1, -1]))
        >>> round(loss.item(), 4)
        0.3133
    """
    _check(hidden_TW, weight_VW, bias_V, targets_T)
    if divisor is None:
        divisor = max(int((targets_T >= 0).sum()), 1)
    loss: Tensor = _VocabularyCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden_TW, weight_VW, bias_V, targets_T, float(divisor), dtype, torch.is_grad_enabled()
    )
    return loss


@torch.no_grad()
def vocabulary_losses(
    hidden_TW: Tensor,
    weight_VW: Tensor,
    bias_V: Tensor | None,
    targets_T: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """−log softmax(W · h_t + b)[target_t] of each token, without gradients: for evaluation.

    Args:
        hidden_TW: what is projected on the vocabulary.
        weight_VW: the output embeddings.
        bias_V: added to the logits.
        targets_T: the right tokens; below 0 for places that do not count.
        dtype: of the matrix products.

    Returns:
        (T,) fp32, 0 for places that do not count.
    """
    _check(hidden_TW, weight_VW, bias_V, targets_T)
    low_VW = weight_VW.to(dtype)
    losses_T = torch.zeros(len(targets_T), device=hidden_TW.device)
    for chunk in _chunks(len(hidden_TW), len(weight_VW)):
        log_p_CV = _log_softmax(hidden_TW[chunk].to(dtype), low_VW, bias_V)
        losses_T[chunk] = _picked(log_p_CV, targets_T[chunk]).neg_()
    return losses_T


class _VocabularyCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_TW: Tensor,
        weight_VW: Tensor,
        bias_V: Tensor | None,
        targets_T: Tensor,
        divisor: float,
        dtype: torch.dtype,
        train: bool,
    ) -> Tensor:
        need_hidden, need_weight, need_bias = (train and need for need in ctx.needs_input_grad[:3])
        low_VW = weight_VW.to(dtype)
        total = torch.zeros((), device=hidden_TW.device)
        grad_hidden = torch.empty_like(hidden_TW) if need_hidden else None
        grad_weight = grad_bias = None
        for chunk in _chunks(len(hidden_TW), len(weight_VW)):
            x_CW, targets_C = hidden_TW[chunk].to(dtype), targets_T[chunk]
            p_CV = _log_softmax(x_CW, low_VW, bias_V)
            total -= _picked(p_CV, targets_C).sum()
            if not (need_hidden or need_weight or need_bias):
                continue
            # d loss / d logits = (p − onehot) / divisor; the factor goes to the narrow operands.
            factor_C = (targets_C >= 0).to(torch.float32) / divisor
            p_CV.exp_()
            places_C1 = targets_C.clamp(min=0)[:, None]
            p_CV.scatter_add_(1, places_C1, p_CV.new_full(places_C1.shape, -1.0))
            if need_bias:
                part_V = factor_C @ p_CV
                grad_bias = part_V if grad_bias is None else grad_bias.add_(part_V)
            low_CV = p_CV.to(dtype)
            del p_CV
            if grad_hidden is not None:
                grad_hidden[chunk] = (low_CV @ low_VW) * factor_C[:, None]
            if need_weight:
                scaled_CW = (x_CW * factor_C[:, None]).to(dtype)
                if grad_weight is None:
                    grad_weight = (low_CV.t() @ scaled_CW).to(weight_VW.dtype)
                elif dtype == grad_weight.dtype:
                    grad_weight.addmm_(low_CV.t(), scaled_CW)
                else:
                    grad_weight.add_(low_CV.t() @ scaled_CW)
        ctx.gradients = grad_hidden, grad_weight, grad_bias
        return total.div_(divisor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        # Let go of them here, so that autograd may add further gradients of a tied weight in place.
        held, ctx.gradients = ctx.gradients, None
        if held is None:
            raise RuntimeError("the gradients of this loss were computed once and are used up")
        upstream = gradients[0]
        if upstream.device.type != "cpu" or float(upstream) != 1.0:
            for gradient in held:
                if gradient is not None:
                    gradient.mul_(upstream.to(gradient.dtype))
        return (*held, None, None, None, None)


def _log_softmax(x_CW: Tensor, low_VW: Tensor, bias_V: Tensor | None) -> Tensor:
    """(C, V) fp32 logarithms of the probabilities."""
    logits_CV = F.linear(x_CW, low_VW, None if bias_V is None else bias_V.to(x_CW.dtype)).float()
    return torch.log_softmax(logits_CV, dim=-1, out=logits_CV)


def _picked(log_p_CV: Tensor, targets_C: Tensor) -> Tensor:
    """(C,) the target's; 0 where there is none."""
    picked_C = log_p_CV.gather(1, targets_C.clamp(min=0)[:, None])[:, 0]
    return picked_C.masked_fill_(targets_C < 0, 0.0)


def _chunks(tokens: int, vocabulary: int) -> Iterator[slice]:
    """Slices of about equal length whose logits fit `LOGITS_AT_ONCE`.

    A multiple of 64 tokens, since every new shape costs a kernel on CPUs.
    """
    most = max(64, LOGITS_AT_ONCE // vocabulary // 64 * 64)
    for start in range(0, tokens, most):
        yield slice(start, min(start + most, tokens))


def _check(hidden_TW: Tensor, weight_VW: Tensor, bias_V: Tensor | None, targets_T: Tensor) -> None:
    width, vocabulary = weight_VW.shape[1], weight_VW.shape[0]
    if hidden_TW.ndim != 2 or hidden_TW.shape[1] != width:
        shape = tuple(hidden_TW.shape)
        raise ValueError(f"hidden_TW must have the shape (T, {width}), not {shape}")
    if targets_T.shape != hidden_TW.shape[:1]:
        raise ValueError(
            f"targets_T must have the shape ({len(hidden_TW)},), not {tuple(targets_T.shape)}"
        )
    if bias_V is not None and bias_V.shape != (vocabulary,):
        raise ValueError(f"bias_V must have the shape ({vocabulary},), not {tuple(bias_V.shape)}")
