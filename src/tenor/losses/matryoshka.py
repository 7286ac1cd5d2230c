"""Matryoshka: the same loss at several truncated dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

__all__ = ["matryoshka"]


def matryoshka(
    loss: Callable[..., Tensor],
    dimensions: Sequence[int],
    weights: Sequence[float] | None = None,
) -> Callable[..., Tensor]:
    """Wrap a loss so that the first m dimensions of its embeddings work alone, for several m.

    ::

        L = Σ_m weight_m · loss(first m dimensions of every embedding)

    The function returned takes the arguments of ``loss``. Its embeddings are the floating-point
    tensors with two dimensions among the positional arguments; the first gives the full width D,
    and those of that width are truncated. All else (labels, indices, masks, keywords) is passed
    on as it is. The truncated vectors are not normalised here: losses on cosines do that
    themselves. A loss with parameters of a fixed width (``softmax``) cannot be wrapped.

    Args:
        loss: a function of embeddings, such as ``multiple_negatives_ranking`` or ``cosent``.
        dimensions: the dimensions m, each from 1 to D; include D to train the full vector.
        weights: one for each dimension; 1 if left out.

    Returns:
        A function with the arguments of ``loss`` that returns the weighted sum, a scalar. It
        raises ValueError if a dimension is above D, or an embedding is passed by keyword.

    Raises:
        ValueError: there is no dimension, one is below 1, or there are not as many weights.

    Paper: Kusupati et al. 2022, "Matryoshka Representation Learning".

    Example:
        >>> import torch
        >>> from tenor.losses.cosine_similarity import cosine_similarity
        >>> left = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 2.0]])
        >>> right = torch.tensor([[0.6, 0.8, 0.0], [1.0, 0.0, 2.0]])
        >>> loss = matryoshka(cosine_similarity, [3, 1], weights=[1.0, 0.5])
        >>> loss(left, right, torch.tensor([0.6, 0.0]))  # 1 · 0.5 + 0.5 · (0.16 + 1) / 2
        tensor(0.7900)
    """
    if not dimensions or min(dimensions) < 1:
        raise ValueError(f"dimensions must hold at least one, each above 0, not {dimensions!r}")
    if weights is not None and len(weights) != len(dimensions):
        raise ValueError(
            f"weights must hold one number for each of the {len(dimensions)} dimensions, "
            f"not {len(weights)}"
        )
    if weights is None:
        weights = [1.0] * len(dimensions)
    weighted = list(zip(dimensions, weights, strict=True))

    def at_every_dimension(*arguments: Any, **options: Any) -> Tensor:
        width = next((item.shape[1] for item in arguments if _is_matrix(item)), None)
        if width is None:
            raise ValueError("no positional argument is an embedding tensor of shape (rows, D)")
        if max(dimensions) > width:
            raise ValueError(
                f"dimension {max(dimensions)} is above the {width} that the embeddings have"
            )
        for name, value in options.items():
            if _is_matrix(value) and value.shape[1] == width:
                raise ValueError(f"{name} looks like embeddings: pass it by position, not by name")

        def truncated(item: Any, dimension: int) -> Any:
            full = _is_matrix(item) and item.shape[1] == width
            return item[:, :dimension] if full else item

        losses = [
            weight * loss(*(truncated(item, dimension) for item in arguments), **options)
            for dimension, weight in weighted
        ]
        return sum(losses[1:], start=losses[0])

    return at_every_dimension


def _is_matrix(item: Any) -> bool:
    return isinstance(item, Tensor) and item.ndim == 2 and item.is_floating_point()
