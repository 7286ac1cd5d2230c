"""Two models on the same items: the difference in a figure, and whether it is real."""

from __future__ import annotations

from typing import Any

from tenor.evaluation.classification_figures import paired_f_score
from tenor.evaluation.intervals import paired_bootstrap, paired_bootstrap_spearman
from tenor.evaluation.result import EvaluationResult
from tenor.evaluation.validation import paired_average_precision

__all__ = ["difference"]


def difference(
    before: EvaluationResult | None, after: EvaluationResult | None, metric: str | None
) -> dict[str, Any] | None:
    """After minus before in the deciding figure, paired over the items, in words too."""
    if before is None or after is None or metric is None:
        return None
    scores = "score" if "score" in after.per_item else "cosine"
    if metric in ("spearman", "spearman_cosine"):
        gold = after.per_item["gold"]
        found = paired_bootstrap_spearman(after.per_item[scores], before.per_item[scores], gold)
    elif metric == "average_precision":
        found = paired_average_precision(after, before)
    elif metric not in after.per_item and {"label", "gold"} <= after.per_item.keys():
        found = paired_f_score(after, before, metric)
    else:
        found = paired_bootstrap(after.per_item[metric], before.per_item[metric])
    verdict = "no clear difference"
    if found.low > 0 or found.high < 0:
        verdict = "better" if found.low > 0 else "worse"
    return {
        "value": found.difference,
        "low": found.low,
        "high": found.high,
        "p": float(found.p),
        "verdict": verdict,
    }
