"""How well does a tagger find the spans of texts?

Shape legend: N texts, K types.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tenor.data.span_rows import CharSpan
from tenor.data.tagging import TaggedTexts
from tenor.evaluation.result import EvaluationResult
from tenor.evaluation.span_errors import KINDS, SpanError, count_errors, span_errors
from tenor.evaluation.span_scores import PARTS, Floats, count_spans, span_intervals, span_metrics

__all__ = ["SpanEvaluation", "SpanReport", "TaggingResult", "TagsTexts"]

BLOCK = 8_192  # texts tagged at a time


class TagsTexts(Protocol):
    """Anything that finds spans in texts: a `Tagger`, a stub."""

    def tag_blocks(
        self, blocks: Iterable[Sequence[Any]], /, *, total: int | None = None
    ) -> Iterator[Sequence[Any]]:
        """For each block of texts (or lists of words), what was found in each of them.

        That has `spans`, each with `start`, `end` and `label`; `words`, (words, 2) first character
        of each word and the one behind its last; and `windows`, how many the text was read in.
        """


@dataclass(frozen=True, kw_only=True)
class TaggingResult(EvaluationResult):
    """Figures of a tagger, with a table of its types.

    Args:
        per_type: for each type its name, `precision`, `recall` and `f1`, the interval of each
            (`f1_interval`), `spans` there are and how many were `found`.
        found: the spans that were found in each text; they are not part of the JSON.
    """

    per_type: list[dict[str, Any]] = field(default_factory=list)
    found: list[list[CharSpan]] = field(default_factory=list, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return super().to_json() | {"per_type": self.per_type}


@dataclass(frozen=True)
class SpanReport:
    """Figures, and the errors behind them.

    Attributes:
        result: the figures; its notes count the errors of each kind.
        errors: those of each text.
        texts: the texts.
        lines: (N,) where they stand in their file.
    """

    result: TaggingResult
    errors: list[list[SpanError]]
    texts: list[str]
    lines: Any

    def examples(self, most: int = 3) -> dict[str, list[dict[str, Any]]]:
        """The first errors of each kind, in plain values: line, text, gold and found."""
        shown: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for line, text, errors in zip(self.lines.tolist(), self.texts, self.errors, strict=True):
            for error in errors:
                if len(shown[error.kind]) < most:
                    shown[error.kind].append(
                        {
                            "line": line,
                            "text": text,
                            "gold": _plain(text, error.gold),
                            "found": _plain(text, error.found),
                        }
                    )
        return {kind: found for kind, found in shown.items() if found}


class SpanEvaluation:
    """Precision, recall and F1 of spans, of each type and on average, and the kinds of errors.

    A span is right if its first and its last character and its type are. Long texts are read whole,
    window by window.

    Args:
        table: texts with the right spans.
        data: path and hash, for the result.
    """

    def __init__(self, table: TaggedTexts, *, data: dict[str, Any] | None = None) -> None:
        self.table = table
        self.inputs = table.inputs
        self.data = data or {"path": table.path, "sha256": table.sha256}

    def __call__(self, model: TagsTexts) -> TaggingResult:
        """The figures of a model; `per_item` holds `f1`, the share of each text in it.

        F1 is no mean over texts. The shares are those of its linear part, the influence of each
        text: F1 + (2 · right − F1 · (found + gold)) / mean(found + gold). Their mean is F1 itself,
        and resampling them gives its interval to first order, so that two models can be compared
        text by text.
        """
        return self.report(model).result

    def report(self, model: TagsTexts) -> SpanReport:
        """The figures of a model, and its errors."""
        start = time.perf_counter()
        blocks = (self.inputs[row : row + BLOCK] for row in range(0, len(self.inputs), BLOCK))
        tagged = [
            one for block in model.tag_blocks(blocks, total=len(self.inputs)) for one in block
        ]
        found = [[CharSpan(s.start, s.end, s.label) for s in one.spans] for one in tagged]
        gold = self.table.spans
        types = sorted({span.label for side in (gold, found) for own in side for span in own})
        counts = count_spans(gold, found, types)
        errors = [span_errors(right, given) for right, given in zip(gold, found, strict=True)]
        notes: dict[str, int | str] = dict(count_errors(errors))
        notes["spans"] = int(counts[..., 2].sum())
        notes["spans_found"] = int(counts[..., 1].sum())
        split = sum(one.windows > 1 for one in tagged)
        if split:
            notes["texts_read_in_windows"] = split
        unreachable = sum(
            span.start not in one.words[:, 0] or span.end not in one.words[:, 1]
            for one, own in zip(tagged, gold, strict=True)
            for span in own
        )
        if unreachable:  # the tokenizer cuts the text into other words
            notes["spans_that_begin_or_end_within_a_word_and_cannot_be_found"] = unreachable
        metrics = span_metrics(counts.sum(axis=0), types)
        intervals = span_intervals(counts, types)
        per_type = [
            {
                "type": name,
                **{part: metrics.pop(f"{part}_{name}") for part in PARTS},
                **{f"{part}_interval": list(intervals.pop(f"{part}_{name}")) for part in PARTS},
                "spans": int(of_type[2]),
                "found": int(of_type[1]),
            }
            for name, of_type in zip(types, counts.sum(axis=0), strict=True)
        ]
        result = TaggingResult(
            metrics=metrics,
            intervals=intervals,
            per_type=per_type,
            n=len(gold),
            truncated=0,
            seconds=time.perf_counter() - start,
            model={"name": type(model).__name__},
            data=self.data,
            notes=notes,
            per_item={"f1": _influence(counts)},
            found=found,
        )
        return SpanReport(result, errors, self.table.texts, self.table.lines)


def _influence(counts_NK3: Floats) -> Floats:
    right_N, found_N, gold_N = counts_NK3.sum(axis=1).T
    size_N = found_N + gold_N
    if not size_N.sum():
        return np.zeros(len(size_N))
    f1 = 2.0 * right_N.sum() / size_N.sum()
    shares: Floats = f1 + (2.0 * right_N - f1 * size_N) / size_N.mean()
    return shares


def _plain(text: str, span: CharSpan | None) -> dict[str, Any] | None:
    if span is None:
        return None
    return {**span._asdict(), "text": text[span.start : span.end]}
