"""Multiple negatives ranking: the positive against every other text of the batch.

Tensor names end in their shape: B rows of the batch, C candidates, D dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tenor.losses.upcast import upcast

__all__ = ["exclusions", "multiple_negatives_ranking"]

SCORES_AT_ONCE = 1 << 20  # scores that stand in memory together


def multiple_negatives_ranking(
    anchors_BD: Tensor,
    candidates_CD: Tensor,
    positives_B: Tensor,
    *,
    excluded_BC: Tensor | None = None,
    scale: float = 20.0,
    similarity: Literal["cosine", "dot"] = "cosine",
    symmetric: bool = False,
) -> Tensor:
    """Cross-entropy of picking each anchor's positive among all candidates of the batch.

    With s(i, c) = scale · similarity(anchor i, candidate c), p(i) the positive of row i and
    N(i) its negatives (every candidate but p(i) that is not excluded)::

        L = -1/B Σ_i [ s(i, p(i)) - log( exp s(i, p(i)) + Σ_{c in N(i)} exp s(i, c) ) ]

    The candidates are the distinct texts of all positives and hard negatives of the batch (in
    distributed runs of all ranks), so a row may have any number of hard negatives, and a text
    that several rows share is encoded and counted once. ``exclusions`` builds the mask.

    ``symmetric`` averages L with the same loss in the other direction: each row's positive
    against all B anchors. An anchor that shares the row's positive, or that has it excluded, is
    no negative there. It compares with the anchors it is given, so in distributed runs pass the
    anchors of all ranks.

    Scores are computed in float32 (float64 for float64 input), under autocast too.

    Args:
        anchors_BD: embeddings of the anchors, (B, D).
        candidates_CD: embeddings of the distinct candidates, (C, D).
        positives_B: index of each row's positive among the candidates, int64, (B,).
        excluded_BC: True where a candidate must not count as a negative of the row, bool, (B, C).
            A row's own positive is kept whatever the mask says.
        scale: factor on the similarities, the inverse of the temperature.
        similarity: ``"cosine"``, or ``"dot"`` (usually with ``scale=1``).
        symmetric: also rank the anchors for each positive.

    Returns:
        The mean loss, a scalar.

    Raises:
        ValueError: the shapes do not fit together, or the similarity is unknown.

    Papers: Henderson et al. 2017, "Efficient Natural Language Response Suggestion for Smart
    Reply"; van den Oord et al. 2018, "Representation Learning with Contrastive Predictive
    Coding" (InfoNCE).

    Example:
        >>> anchors = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> candidates = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])  # the last is hard
        >>> loss = multiple_negatives_ranking(anchors, candidates, torch.tensor([0, 1]), scale=1)
        >>> round(loss.item(), 4)
        0.7472
        >>> mask = torch.tensor([[False, False, False], [False, False, True]])
        >>> loss = multiple_negatives_ranking(
        ...     anchors, candidates, torch.tensor([0, 1]), excluded_BC=mask, scale=1
        ... )
        >>> round(loss.item(), 4)
        0.5127
    """
    _check_shapes(anchors_BD, candidates_CD, positives_B, excluded_BC)
    anchors_BD, candidates_CD = _to_compare(anchors_BD, candidates_CD, similarity)

    def left_out(rows: slice) -> Tensor | None:
        if excluded_BC is None:
            return None
        return excluded_BC[rows].scatter(1, positives_B[rows, None], False)

    loss = _mean_of_rows(scale * anchors_BD, candidates_CD, positives_B, left_out)
    if not symmetric:
        return loss

    def left_out_anchors(rows: slice) -> Tensor:
        # An anchor that shares the row's positive, or that has it excluded.
        out_bB = positives_B[rows, None] == positives_B[None, :]
        if excluded_BC is not None:
            out_bB |= excluded_BC.index_select(1, positives_B[rows]).T
        return out_bB.scatter_(1, own_B[rows, None], False)

    own_B = torch.arange(len(positives_B), device=positives_B.device)
    chosen_BD = functional.embedding(positives_B, candidates_CD)
    return (loss + _mean_of_rows(scale * chosen_BD, anchors_BD, own_B, left_out_anchors)) / 2


def exclusions(anchor_ids_B: Tensor, candidate_ids_C: Tensor, positives_B: Tensor) -> Tensor:
    """Find the candidates that would be false negatives, from the ids of the texts.

    A candidate is excluded for a row if it is the anchor's own text, or a positive of any row
    with the same anchor text; the row's own positive never is. Texts are compared by id, so a
    second copy of the positive among the candidates is excluded too.

    In distributed runs give the rows of all ranks and keep your own rows of the result.

    Args:
        anchor_ids_B: id of each anchor's text, integers, (B,).
        candidate_ids_C: id of each candidate's text, integers from the same numbering, (C,).
        positives_B: index of each row's positive among the candidates, int64, (B,).

    Returns:
        The mask for ``multiple_negatives_ranking``, bool, (B, C).

    Raises:
        ValueError: the shapes do not fit together.

    Example:
        Text 7 is the anchor of two rows, with positives 1 and 2; text 8 is both the third anchor
        and a candidate:

        >>> exclusions(
        ...     torch.tensor([7, 7, 8]), torch.tensor([1, 2, 3, 8]), torch.tensor([0, 1, 2])
        ... )
        tensor([[False,  True, False, False],
                [ True, False, False, False],
                [False, False, False,  True]])
    """
    if anchor_ids_B.ndim != 1 or anchor_ids_B.shape != positives_B.shape:
        raise ValueError(
            "anchor_ids_B and positives_B must both have the shape (B,), "
            f"not {tuple(anchor_ids_B.shape)} and {tuple(positives_B.shape)}"
        )
    if candidate_ids_C.ndim != 1:
        raise ValueError(
            f"candidate_ids_C must have the shape (C,), not {tuple(candidate_ids_C.shape)}"
        )
    groups, group_B = torch.unique(anchor_ids_B, return_inverse=True)
    texts, text_C = torch.unique(candidate_ids_C, return_inverse=True)
    # One row a distinct anchor, one column a distinct text: linear in the size of the result.
    positive_of = torch.zeros(len(groups), len(texts), dtype=torch.bool, device=group_B.device)
    positive_of[group_B, text_C[positives_B]] = True
    excluded_BC = positive_of[group_B[:, None], text_C[None, :]]
    excluded_BC |= anchor_ids_B[:, None] == candidate_ids_C[None, :]
    return excluded_BC.scatter_(1, positives_B[:, None], False)


def _to_compare(
    anchors_BD: Tensor, candidates_CD: Tensor, similarity: Literal["cosine", "dot"]
) -> tuple[Tensor, Tensor]:
    """Both in the precision that scores are computed in, and of length 1 for cosines."""
    anchors_BD, candidates_CD = upcast(anchors_BD, candidates_CD)
    if similarity == "cosine":
        return functional.normalize(anchors_BD), functional.normalize(candidates_CD)
    if similarity != "dot":
        raise ValueError(f"similarity must be 'cosine' or 'dot', not {similarity!r}")
    return anchors_BD, candidates_CD


def _mean_of_rows(
    queries_BD: Tensor,
    keys_CD: Tensor,
    targets_B: Tensor,
    left_out: Callable[[slice], Tensor | None],
) -> Tensor:
    """Mean cross-entropy of picking each query's target among all keys.

    The scores of a large batch never stand in memory at once: they are computed some rows at a
    time, and again in the backward pass, which costs one small product.

    Args:
        queries_BD: B queries.
        keys_CD: C keys.
        targets_B: index of each query's key.
        left_out: of some rows, which keys do not count.
    """

    def total(queries_bD: Tensor, keys_CD: Tensor, rows: slice) -> Tensor:
        # Autocast would take the product back to bf16.
        with torch.autocast(queries_bD.device.type, enabled=False):
            scores_bC = queries_bD @ keys_CD.T
        out_bC = left_out(rows)
        if out_bC is not None:
            scores_bC = scores_bC.masked_fill_(out_bC, -torch.inf)
        return functional.cross_entropy(scores_bC, targets_B[rows], reduction="sum")

    count = len(queries_BD)
    step = max(1, SCORES_AT_ONCE // len(keys_CD))
    if count <= step:
        return total(queries_BD, keys_CD, slice(0, count)) / count
    parts = [slice(start, min(start + step, count)) for start in range(0, count, step)]
    totals = [
        checkpoint(
            total, queries_BD[rows], keys_CD, rows, use_reentrant=False, preserve_rng_state=False
        )
        for rows in parts
    ]
    return torch.stack(totals).sum() / count


def _check_shapes(
    anchors_BD: Tensor, candidates_CD: Tensor, positives_B: Tensor, excluded_BC: Tensor | None
) -> None:
    anchors, candidates = tuple(anchors_BD.shape), tuple(candidates_CD.shape)
    if len(anchors) != 2 or len(candidates) != 2 or anchors[1] != candidates[1] or anchors[0] == 0:
        raise ValueError(
            "anchors_BD must be (B, D) and candidates_CD (C, D), with the same D and at least one "
            f"row, not {anchors} and {candidates}"
        )
    if positives_B.shape != anchors[:1]:
        raise ValueError(
            f"positives_B must have the shape {anchors[:1]}, one a row, "
            f"not {tuple(positives_B.shape)}"
        )
    if excluded_BC is not None and excluded_BC.shape != (anchors[0], candidates[0]):
        raise ValueError(
            f"excluded_BC must have the shape {(anchors[0], candidates[0])}, (anchors, "
            f"candidates), not {tuple(excluded_BC.shape)}"
        )
