"""Pairs and triplets for ranking losses, made out of data with labels or scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from tenor.data.overlap import normalise
from tenor.data.roles import NLI_LABELS
from tenor.data.schema import PairTable
from tenor.errors import ConfigError, DataError

__all__ = ["positives_from_scored", "triplets_from_nli"]


@dataclass
class _Premise:
    """Rows of a premise's hypotheses, by their normalised text."""

    entailed: dict[str, int] = field(default_factory=dict)
    contradicting: dict[str, int] = field(default_factory=dict)


def triplets_from_nli(
    table: PairTable, *, seed: int = 0, require_negative: bool = True
) -> PairTable:
    """Triplets (premise, a hypothesis it entails, one it contradicts) out of NLI labels.

    Each entailed hypothesis gives one triplet. Its negative is a contradicting hypothesis of the
    same premise; where there are several, `seed` decides which, and all are used before one is used
    twice. Premises and hypotheses are the same where `normalise` makes them so; repeats count once,
    and a hypothesis labelled both ways for a premise is left out.

    The way NLI data is used with multiple negatives ranking by SimCSE (Gao et al. 2021, section 4,
    https://arxiv.org/abs/2104.08821).

    Args:
        table: of kind `nli`.
        seed: of the choice among several negatives.
        require_negative: `False` returns the others instead: the pairs (premise, entailed
            hypothesis) of the premises that have no contradicting one, as kind `pairs`.

    Returns:
        Kind `triplets` (or `pairs`), in the order of the file, `lines` being those of the
        entailments. `notes`: `premises`, `premises_used`, `entailments`,
        `entailments_without_contradiction`, `labelled_both_ways`.

    Raises:
        DataError: the table is of another kind, or nothing can be made of it.
    """
    if table.kind != "nli":
        raise DataError(f"NLI labels are needed, and this is {table.kind}.", path=table.path)
    assert table.target is not None
    texts, hypotheses = table.columns["sentence1"], table.columns["sentence2"]
    premises: dict[str, _Premise] = {}
    entailment, contradiction = NLI_LABELS.index("entailment"), NLI_LABELS.index("contradiction")
    for row, label in enumerate(table.target.tolist()):
        premise = premises.setdefault(normalise(texts[row]), _Premise())
        if label == entailment:
            premise.entailed.setdefault(normalise(hypotheses[row]), row)
        elif label == contradiction:
            premise.contradicting.setdefault(normalise(hypotheses[row]), row)
    generator = np.random.default_rng(seed)
    triplets: list[tuple[int, int]] = []
    alone: list[int] = []
    used = both_ways = 0
    for premise in premises.values():
        conflicting = premise.entailed.keys() & premise.contradicting.keys()
        both_ways += len(conflicting)
        positives = [row for text, row in premise.entailed.items() if text not in conflicting]
        negatives = [row for text, row in premise.contradicting.items() if text not in conflicting]
        if not negatives:
            alone += positives
            continue
        order = generator.permutation(negatives).tolist()
        triplets += [(row, order[i % len(order)]) for i, row in enumerate(positives)]
        used += bool(positives)
    notes = {
        "premises": len(premises),
        "premises_used": used,
        "entailments": len(triplets) + len(alone),
        "entailments_without_contradiction": len(alone),
        "labelled_both_ways": both_ways,
    }
    triplets.sort()
    rows = [row for row, _ in triplets] if require_negative else sorted(alone)
    if not rows:
        wanted = "both an entailed and a contradicting" if require_negative else "only an entailed"
        raise DataError(f"no premise has {wanted} hypothesis.", path=table.path)
    columns = {
        "anchor": [texts[row] for row in rows],
        "positive": [hypotheses[row] for row in rows],
    }
    if require_negative:
        columns["negative"] = [hypotheses[row] for _, row in triplets]
    return replace(
        table,
        kind="triplets" if require_negative else "pairs",
        columns=columns,
        target=None,
        label_names=None,
        lines=table.lines[rows],
        notes=notes,
    )


def positives_from_scored(table: PairTable, threshold: float = 0.8) -> PairTable:
    """The pairs that mean the same, as kind `pairs`: for multiple negatives ranking.

    Args:
        table: of kind `scored`, or `labelled_pairs`, whose label 1 is above any threshold.
        threshold: lowest score of a positive pair, on the scale 0..1; 0.8 is 4 of 5 in STS-B.

    Returns:
        `notes`: `positives`, `below_threshold`.

    Raises:
        DataError: the table is of another kind, or no score reaches the threshold.
        ConfigError: the threshold is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ConfigError("threshold", threshold, "above 0 and at most 1")
    if table.kind not in ("scored", "labelled_pairs"):
        problem = f"scored or labelled pairs are needed, and this is {table.kind}."
        raise DataError(problem, path=table.path)
    assert table.target is not None
    # A score of 4 of 5 is 0.8 in float32 as well: compare in that type.
    rows = np.flatnonzero(table.target >= np.float32(threshold))
    if len(rows) == 0:
        problem = f"no pair reaches the threshold {threshold:g}; the highest has"
        raise DataError(f"{problem} {table.target.max():g}.", path=table.path)
    first, second = table.columns.values()
    return replace(
        table,
        kind="pairs",
        columns={
            "anchor": [first[row] for row in rows],
            "positive": [second[row] for row in rows],
        },
        target=None,
        label_names=None,
        lines=table.lines[rows],
        score_range=None,
        notes={"positives": len(rows), "below_threshold": len(table) - len(rows)},
    )
