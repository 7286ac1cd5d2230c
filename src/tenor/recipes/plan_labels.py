"""Do labels and texts agree? A sample of the texts is embedded, and what contradicts it is named.

Shape legend: N texts or pairs, D dimensions, C labels.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.data.findings import Example, Finding, shortened
from tenor.data.label_noise import suspicious_labels
from tenor.data.labelled_split import folds_by_label
from tenor.data.prepare import take
from tenor.data.schema import PairTable
from tenor.models.embedder import Embedder
from tenor.recipes.logistic_regression import fit_logistic
from tenor.recipes.plan_encoding import EncodingPace, embed_sample
from tenor.recipes.plan_sources import Source

__all__ = ["LabelCheck", "check_labels"]

FOLDS = 5
REGULARIZATION = 10.0  # C: on embeddings of length 1 the probabilities it gives are about right
MARGIN = 0.5
FEWEST = 40  # rows that say anything
NOTABLE = 0.02  # share of suspects from which it costs quality
REVERSED, UNRELATED = -0.1, 0.6
SHOWN = 5


@dataclass(frozen=True)
class LabelCheck:
    """What became of it.

    Attributes:
        findings: what contradicts itself.
        pace: of the embedding, where enough was embedded to tell.
        fit_seconds: that logistic regression took on one of so many texts, as (seconds, texts);
            `None` where there was none.
    """

    findings: tuple[Finding, ...] = ()
    pace: EncodingPace | None = None
    fit_seconds: tuple[float, int] | None = None


def check_labels(
    source: Source, embedder: Embedder, *, seconds: float = 8.0, seed: int = 0
) -> LabelCheck:
    """Embed a sample of a source and compare what labels and vectors say.

    | rows | what is named |
    |---|---|
    | labelled texts | those that logistic regression on the others is sure are something else |
    | scored pairs | scores that fall while the similarity rises; pairs far from both |
    | labelled pairs | "the same" less similar than "different"; pairs that look like the other |
    | pairs, triplets | positives no nearer to their anchor than a random text |

    Args:
        source: what is trained on.
        embedder: the untouched model.
        seconds: to embed for; the sample is as large as fits.
        seed: decides which rows.
    """
    vectors, chosen, pace = embed_sample(source, embedder, seconds=seconds, seed=seed)
    table = source.table
    if table is None or len(chosen) < FEWEST:
        return LabelCheck((), pace)
    if table.kind == "labelled_texts":
        findings, fit = _labelled_texts(source.path, take(table, chosen), vectors["text"], seed)
        return LabelCheck(findings, pace, fit)
    if table.kind in ("scored", "labelled_pairs"):
        left, right = vectors.values()
        similar = np.einsum("nd,nd->n", left, right)
        check = _scored if table.kind == "scored" else _labelled_pairs
        return LabelCheck(check(source.path, take(table, chosen), similar), pace)
    if table.kind in ("pairs", "triplets"):
        return LabelCheck(_positives(source.path, vectors["anchor"], vectors["positive"]), pace)
    return LabelCheck((), pace)


def _labelled_texts(
    path: str, table: PairTable, vectors_ND: npt.NDArray[np.float32], seed: int
) -> tuple[tuple[Finding, ...], tuple[float, int] | None]:
    assert table.target is not None and table.label_names is not None
    target, classes = np.asarray(table.target), len(table.label_names)
    if len(np.unique(target)) < 2:
        return (), None
    folds = folds_by_label(table, FOLDS, seed)
    logits = np.zeros((len(target), classes))
    start = time.perf_counter()
    for fold in range(FOLDS):
        held = folds == fold
        if not held.any() or held.all():
            continue
        weight, bias = fit_logistic(vectors_ND[~held], target[~held], classes, REGULARIZATION)
        logits[held] = vectors_ND[held] @ weight.T + bias
    took = (time.perf_counter() - start) / FOLDS
    fit = (took, round(len(target) * (1 - 1 / FOLDS)))
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    # With one text of a label, no fold that lacks it can know the label.
    counts = np.bincount(target, minlength=classes)
    suspects = [
        each
        for each in suspicious_labels(probabilities, target, margin=MARGIN)
        if counts[each.given] > 1
    ]
    if not suspects:
        return (), fit
    names = table.label_names
    examples = tuple(
        Example(
            int(table.lines[each.row]),
            shortened(table.columns["text"][each.row]),
            f"labelled {names[each.given]!r}, looks like {names[each.likely]!r}",
        )
        for each in suspects[:SHOWN]
    )
    why = "seem to have a wrong label, by a model that learnt from the others"
    return (_suspicious(path, "label_noise", len(suspects), len(target), examples, why),), fit


def _scored(
    path: str, table: PairTable, similar_N: npt.NDArray[np.floating]
) -> tuple[Finding, ...]:
    from scipy.stats import rankdata, spearmanr

    assert table.target is not None
    score = np.asarray(table.target, dtype=float)
    if np.ptp(score) == 0 or np.ptp(similar_N) == 0:
        return ()
    correlation = float(spearmanr(similar_N, score).statistic)
    if correlation < REVERSED:
        return (_reversed(path, f"their rank correlation is {correlation:+.2f}", correlation),)
    apart = (rankdata(similar_N) - rankdata(score)) / len(score)
    rows = np.flatnonzero(np.abs(apart) > 0.8)
    rows = rows[np.argsort(-np.abs(apart[rows]))]
    if not len(rows):
        return ()
    examples = _pair_examples(
        table, rows, lambda row: f"score {score[row]:.2f} (of 1), cosine {similar_N[row]:.2f}"
    )
    why = "have a score that is far from how similar their texts are"
    return (_suspicious(path, "doubtful_scores", len(rows), len(score), examples, why),)


def _labelled_pairs(
    path: str, table: PairTable, similar_N: npt.NDArray[np.floating]
) -> tuple[Finding, ...]:
    from sklearn.metrics import roc_auc_score

    assert table.target is not None
    same = np.asarray(table.target) == 1
    if same.all() or not same.any():
        return ()
    area = float(roc_auc_score(same, similar_N))
    if area < 0.4:
        said = f"of a same and a different pair the same one is the nearer in {area:.0%} of cases"
        return (_reversed(path, said, area),)
    weight, bias = fit_logistic(similar_N[:, None], same.astype(np.int64), 2, REGULARIZATION)
    logits = similar_N[:, None] @ weight.T + bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    found = suspicious_labels(probabilities, same.astype(np.int64), margin=0.9)
    rows = np.array([each.row for each in found], dtype=np.int64)
    if not len(rows):
        return ()
    examples = _pair_examples(
        table,
        rows,
        lambda row: f"labelled {'same' if same[row] else 'different'}, cosine {similar_N[row]:.2f}",
    )
    why = "have a label that contradicts how similar their texts are"
    return (_suspicious(path, "label_noise", len(rows), len(same), examples, why),)


def _positives(
    path: str, anchors_ND: npt.NDArray[np.float32], positives_ND: npt.NDArray[np.float32]
) -> tuple[Finding, ...]:
    rolled_ND = np.roll(positives_ND, 1, axis=0)
    apart = (positives_ND != rolled_ND).any(axis=1)  # equal positives say nothing
    if apart.sum() < FEWEST:
        return ()
    own = np.einsum("nd,nd->n", anchors_ND, positives_ND)[apart]
    others = np.einsum("nd,nd->n", anchors_ND, rolled_ND)[apart]
    nearer = float((own > others).mean())
    if nearer >= UNRELATED:
        return ()
    return (
        Finding(
            code="unrelated_pairs",
            severity="problem",
            path=path,
            message=(
                f"a positive is nearer to its anchor than a random other one in only {nearer:.0%} "
                "of the pairs looked at, hardly more often than by chance. Are these the right "
                "columns, and their rows in the same order?"
            ),
            figures={"nearer": nearer, "pairs": len(own)},
        ),
    )


def _reversed(path: str, said: str, value: float) -> Finding:
    return Finding(
        code="labels_reversed",
        severity="problem",
        path=path,
        message=(
            f"the higher the score or label, the less similar the texts are: {said}. Is it a "
            "distance, or are the labels flipped? A high score, and label 1, must mean the same."
        ),
        figures={"agreement": value},
    )


def _suspicious(
    path: str, code: str, count: int, looked_at: int, examples: tuple[Example, ...], why: str
) -> Finding:
    share, first = count / looked_at, examples[0]
    return Finding(
        code=code,
        severity="warning" if share >= NOTABLE else "note",
        path=path,
        message=(
            f"{count:,} of {looked_at:,} rows looked at ({share:.1%}) {why}; the first on line "
            f"{first.line}: {first.text!r} ({first.note}). Look at them before training: some will "
            "be wrong, others only hard."
        ),
        figures={"rows": count, "looked_at": looked_at, "share": share},
        examples=examples,
    )


def _pair_examples(table: PairTable, rows: Any, note: Any) -> tuple[Example, ...]:
    left, right = table.columns.values()
    return tuple(
        Example(int(table.lines[row]), shortened(f"{left[row]} ↔ {right[row]}", 90), note(row))
        for row in rows[:SHOWN].tolist()
    )
