"""Findings about classes, scores and pairs: what leaves a method nothing to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from tenor.data.findings import Example, Finding, shortened
from tenor.data.overlap import normalise
from tenor.data.profile import Profile
from tenor.data.schema import PairTable

__all__ = [
    "FEW_TEXTS", "class_findings", "pair_findings", "score_findings", "span_type_findings",
    "usable_negatives",
]  # fmt: skip

FEW_TEXTS = 8  # of a class, below which it can hardly be learnt
FEW_SPANS = 20
UNEVEN = 20.0  # times as many texts as the rarest class has
SHOWN = 8  # names in a message


def class_findings(path: str, profile: Profile, *, several: bool = False) -> list[Finding]:
    """What is the matter with the classes of labelled texts.

    Args:
        path: the file.
        profile: of the texts.
        several: whether a text may have any number of labels.
    """
    counts = profile.classes
    if len(counts) < 2:
        name = next(iter(counts), "no label")
        return [
            Finding(
                code="one_class",
                severity="problem",
                path=path,
                message=(
                    f"all texts have the label {name!r}: there is nothing to tell apart. Add texts "
                    "of other classes, or use the file as raw text."
                ),
                figures={"classes": len(counts)},
            )
        ]
    if not several and 2 * len(counts) > profile.rows:
        return [
            Finding(
                code="label_per_text",
                severity="problem",
                path=path,
                message=(
                    f"{len(counts):,} labels for {profile.rows:,} texts: hardly any label has two "
                    "texts. Is this the column of the labels? Name it by --columns.label COLUMN."
                ),
                figures={"classes": len(counts), "texts": profile.rows},
            )
        ]
    findings = []
    if single := _with_at_most(counts, 1):
        findings.append(
            Finding(
                code="single_example",
                severity="problem",
                path=path,
                message=(
                    f"{_labels(single)} {'has' if len(single) == 1 else 'have'} one text only: it "
                    "cannot be trained on and measured on. Add texts, join the class with another "
                    "one, or leave it out."
                ),
                figures={"classes": single},
            )
        )
    few = {name: count for name, count in _with_at_most(counts, FEW_TEXTS - 1).items() if count > 1}
    if few:
        findings.append(
            Finding(
                code="few_examples",
                severity="warning",
                path=path,
                message=(
                    f"{_labels(few)} {'has' if len(few) == 1 else 'have'} fewer than {FEW_TEXTS} "
                    "texts: expect little of them, and look at macro F1 rather than accuracy."
                ),
                figures={"classes": few},
            )
        )
    most, least = max(counts.values()), max(min(counts.values()), 1)
    if most / least >= UNEVEN:
        largest = next(iter(counts))
        findings.append(
            Finding(
                code="uneven_classes",
                severity="warning",
                path=path,
                message=(
                    f"{largest!r} has {most / least:.0f} times as many texts as the rarest label: "
                    "always saying it would be right for "
                    f"{most / profile.rows:.0%} of the texts. --class-weights balanced makes rare "
                    "labels count as much."
                ),
                figures={"ratio": most / least, "largest": largest, "share": most / profile.rows},
            )
        )
    return findings


def span_type_findings(path: str, profile: Profile) -> list[Finding]:
    """What is the matter with the types of tagged spans."""
    if not profile.classes:
        return [
            Finding(
                code="no_spans",
                severity="problem",
                path=path,
                message="there is not a single span; all tags are O. Is this the column of tags?",
            )
        ]
    few = _with_at_most(profile.classes, FEW_SPANS - 1)
    if not few:
        return []
    single = [name for name, count in few.items() if count == 1]
    return [
        Finding(
            code="single_example" if single else "few_examples",
            severity="warning",
            path=path,
            message=(
                f"{_labels(few)} {'has' if len(few) == 1 else 'have'} fewer than {FEW_SPANS} "
                "spans: expect little of them."
            ),
            figures={"classes": few},
        )
    ]


def score_findings(path: str, profile: Profile) -> list[Finding]:
    """What is the matter with the scores of pairs."""
    scores = profile.scores
    if scores is None or scores["different"] > 1:
        return []
    return [
        Finding(
            code="constant_scores",
            severity="problem",
            path=path,
            message=(
                f"all pairs have the score {scores['mean']:.3g} (on 0 to 1): no order can be "
                "learnt from them. If these pairs all mean the same, name their columns anchor "
                "and positive."
            ),
            figures={"score": scores["mean"]},
        )
    ]


def pair_findings(table: PairTable, batch_size: int) -> list[Finding]:
    """What leaves a batch of pairs without negatives, or its positives without anything to teach.

    Args:
        table: pairs or triplets.
        batch_size: rows of a batch.
    """
    findings = []
    anchors, positives = table.columns["anchor"], table.columns["positive"]
    same = [
        row
        for row, (left, right) in enumerate(zip(anchors, positives, strict=True))
        if normalise(left) == normalise(right)
    ]
    if same:
        line = int(table.lines[same[0]])
        findings.append(
            Finding(
                code="identical_pair",
                severity="warning" if len(same) >= 0.05 * len(table) else "note",
                path=table.path,
                message=(
                    f"{len(same):,} pairs are the same text twice, the first on line {line}: "
                    f"{shortened(anchors[same[0]])!r}. They teach nothing; take them out."
                ),
                figures={"pairs": len(same)},
                examples=(Example(line, shortened(anchors[same[0]])),),
            )
        )
    distinct = Counter(map(normalise, positives))
    usable = usable_negatives(distinct, len(table), batch_size)
    most, count = distinct.most_common(1)[0]
    if len(distinct) < 2 or usable < 0.5 * (min(batch_size, len(table)) - 1):
        findings.append(
            Finding(
                code="no_negatives",
                severity="problem" if len(distinct) < 2 else "warning",
                path=table.path,
                message=(
                    f"{count:,} of {len(table):,} pairs have the same positive, "
                    f"{shortened(most, 40)!r}: in a batch of {batch_size} an anchor has about "
                    f"{usable:.1f} other texts to be told apart from. Ranking losses learn from "
                    "those alone: bring different positives, or negatives of your own."
                ),
                figures={"positives": len(distinct), "negatives_of_an_anchor": usable},
            )
        )
    return findings


def usable_negatives(positives: Mapping[str, int], rows: int, batch_size: int) -> float:
    """How many different texts, that are not its positive, an anchor meets in a random batch.

    For a positive that a share s of the rows has, one of b - 1 other rows has it with probability
    1 - (1 - s)^(b - 1); these add up over all positives but the anchor's own.

    Args:
        positives: rows by positive.
        rows: of the data.
        batch_size: of a batch.

    >>> usable_negatives({"a": 2, "b": 2}, 4, 2)
    0.5
    """
    others = min(batch_size, rows) - 1
    shares = np.array(list(positives.values()), dtype=float) / rows
    met = 1.0 - (1.0 - shares) ** others
    # The anchor's own positive is drawn by its share, and is no negative.
    return float(met.sum() - (shares * met).sum())


def _with_at_most(counts: Mapping[str, int], limit: int) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count <= limit}


def _labels(counts: Mapping[str, int]) -> str:
    names = [f"{name!r} ({count:,})" for name, count in list(counts.items())[:SHOWN]]
    more = f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else ""
    return f"{'label' if len(counts) == 1 else 'labels'} {', '.join(names)}{more}"
