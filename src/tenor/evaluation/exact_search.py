"""Exact nearest neighbours by dot product, in blocks, with ties in a fixed order.

Shapes: Q queries, N documents, D width, K documents kept a query.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from tenor.errors import ConfigError, DataError

__all__ = ["search_exact"]

Embeddings = npt.NDArray[np.floating] | torch.Tensor


def search_exact(
    queries_QD: Embeddings,
    documents_ND: Embeddings,
    k: int,
    *,
    query_block: int = 256,
    document_block: int = 16_384,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return the k documents with the highest dot product for each query, best first.

    Equal scores are ordered by document index, lower first. Memory beyond the inputs stays at a
    few arrays of query_block × document_block. For cosine similarity normalise the vectors first.

    Args:
        queries_QD: query vectors; products are taken in float32 on the device of a tensor.
        documents_ND: document vectors.
        k: documents a query; fewer come back when there are fewer.
        query_block: queries scored at once.
        document_block: documents scored at once.

    Returns:
        Scores and document indices, each of shape (Q, min(k, N)).

    Raises:
        ConfigError: k or a block is below 1.
        DataError: the widths differ.

    >>> scores, indices = search_exact(np.eye(2), np.array([[0, 1], [2, 0], [0, 1]]), 2)
    >>> indices.tolist()
    [[1, 0], [0, 2]]
    """
    for name, value in (("k", k), ("query_block", query_block), ("document_block", document_block)):
        if value < 1:
            raise ConfigError(name, value, "at least 1")
    queries, documents = torch.as_tensor(queries_QD), torch.as_tensor(documents_ND)
    if queries.ndim != 2 or documents.ndim != 2 or queries.shape[1] != documents.shape[1]:
        raise DataError(
            f"query vectors of shape {tuple(queries.shape)} cannot be searched in document "
            f"vectors of shape {tuple(documents.shape)}; both must be (texts, width)."
        )
    k = min(k, len(documents))
    best_scores = np.empty((len(queries), k), dtype=np.float32)
    best_indices = np.empty((len(queries), k), dtype=np.int64)
    for first in range(0, len(queries), query_block):
        block = queries[first : first + query_block].float()
        keys_QK = torch.empty((len(block), 0), dtype=torch.int64, device=block.device)
        for offset in range(0, len(documents), document_block):
            part = documents[offset : offset + document_block].float()
            found = torch.cat([keys_QK, _best_keys(torch.mm(block, part.T), offset, k)], dim=1)
            keys_QK = found.topk(min(k, found.shape[1]), dim=1).values
        scores, indices = _unsortable(keys_QK)
        best_scores[first : first + query_block] = scores.cpu().numpy()
        best_indices[first : first + query_block] = indices.cpu().numpy()
    return best_scores, best_indices


def _best_keys(scores_QN: torch.Tensor, offset: int, k: int) -> torch.Tensor:
    """Return the keys, in no order, of the k best documents of a block that starts at offset."""
    k = min(k, scores_QN.shape[1])
    best_QK, places_QK = scores_QN.topk(k, dim=1, sorted=False)
    keys_QK = _sortable(best_QK, places_QK + offset)
    # Of documents that tie at the last place topk takes any; there the lower index has to win.
    tied_Q = (scores_QN >= best_QK.amin(dim=1, keepdim=True)).sum(dim=1) > k
    if tied_Q.any():
        places_N = torch.arange(scores_QN.shape[1], device=scores_QN.device)
        keys_QK[tied_Q] = _sortable(scores_QN[tied_Q], places_N + offset).topk(k, dim=1).values
    return keys_QK


def _sortable(scores: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Pack score and document index in one integer: higher scores first, then lower indices.

    The bits of a positive float order like an integer; those of a negative one run backwards.
    """
    # Adding zero makes a negative zero positive.
    bits = (scores + 0.0).view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.to(torch.int64) << 32) | (0xFFFFFFFF - indices)


def _unsortable(keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    ordered = (keys >> 32).to(torch.int32)
    bits = ordered ^ ((ordered >> 31) & 0x7FFFFFFF)
    return bits.view(torch.float32), 0xFFFFFFFF - (keys & 0xFFFFFFFF)
