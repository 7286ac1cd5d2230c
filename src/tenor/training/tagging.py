"""Training data and step of a tagger: windows of texts, and the tag of each of their tokens.

Shape legend: T tokens of all windows, P tokens of a batch that have a tag, C labels.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tenor.data.problems import BadRow, RowProblems
from tenor.data.span_rows import CharSpan, shown
from tenor.data.tagging import TaggedTexts
from tenor.data.tags import TagSpan, read_tag, span_tags
from tenor.errors import ConfigError
from tenor.losses.cross_entropy import cross_entropy
from tenor.models.tagger import Tagger
from tenor.tokens.packed import round_up
from tenor.tokens.windows import cut_windows
from tenor.tokens.word_tokens import WordTokens
from tenor.training.batch import TrainingBatch, TrainingData
from tenor.training.processes import own_share, this_process

__all__ = ["Tagging", "TaggingBatch", "TaggingData", "balanced_weights"]

log = logging.getLogger("tenor")

NO_TAG = -1
PLACES_STEP = 32  # oneDNN builds a kernel for every new number of places


@dataclass(frozen=True, eq=False)
class TaggingBatch(TrainingBatch):
    """Some windows, and the tags of their tokens.

    Attributes:
        tags: (T,) of all windows' tokens; -1 for one without a tag.
    """

    tags: npt.NDArray[np.int64] = field(kw_only=True, repr=False)

    def packed_tags(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The tags of the tokens of some windows, end to end as `packed` lays them out."""
        rows = self.texts[positions].tolist()
        offsets = self.ids.offsets
        return np.concatenate([self.tags[offsets[row] : offsets[row + 1]] for row in rows])


@dataclass(frozen=True, eq=False)
class TaggingData(TrainingData):
    """Texts cut in windows, one a row, and the tags of their tokens.

    Attributes:
        tags: (T,) number of each token's label; -1 for one that is not trained on.
        lost: words, and spans, that no window shows: beyond the limit, or without a token.
        split: texts that were cut in several windows.
        skipped: rows left out because a span cuts a word.
        expanded: spans that were grown to whole words.
    """

    tags: npt.NDArray[np.int64] = field(kw_only=True)
    lost: Mapping[str, int] = field(kw_only=True)
    split: int = field(kw_only=True)
    skipped: Sequence[BadRow] = field(kw_only=True)
    expanded: int = field(kw_only=True)

    @classmethod
    def of_texts(
        cls,
        table: TaggedTexts,
        model: Tagger,
        *,
        label_pieces: str = "first",
        split_long: bool = True,
        overlap: int = 64,
        misaligned: str = "error",
    ) -> Self:
        """Tokenise texts, cut them in windows and align their spans to tokens.

        Args:
            table: the texts.
            model: its tokenizer and labels count.
            label_pieces: which tokens of a word have its tag: its first, or all; of B- the others
                have I-.
            split_long: cut long texts in windows; else what is beyond the limit is lost, and
                counted.
            overlap: tokens that two windows share.
            misaligned: what happens to a span that begins or ends within a word: "error" makes its
                row a bad one, "expand" grows it to whole words.

        Raises:
            DataError: a span cuts a word, or no row is left.
        """
        tokens = _tokens(table, model)
        spans, kept, expanded, skipped = _aligned(table, tokens, misaligned)
        if len(kept) < len(table):
            tokens = _tokens(table.take(kept), model)
        windows = cut_windows(
            tokens, model.words.frame(), model.max_seq_length, overlap=overlap, split=split_long
        )
        number = {label: place for place, label in enumerate(model.labels)}
        counts = np.diff(tokens.offsets).tolist()
        tag_of_word = np.array(
            [
                number[tag]
                for own, count in zip(spans, counts, strict=True)
                for tag in span_tags(own, count)
            ],
            dtype=np.int64,
        )
        has_word = windows.word >= 0
        tags = np.full(len(windows.word), NO_TAG, dtype=np.int64)
        tags[windows.first] = tag_of_word[windows.word[windows.first]]
        if label_pieces == "all":
            inside = _inside(model.labels)
            rest = has_word & ~windows.first
            tags[rest] = inside[tag_of_word[windows.word[rest]]]
        return cls(
            ids=windows.ids,
            columns={"text": np.arange(len(windows.ids))},
            target=None,
            filler_id=model.tokenizer.filler_id,
            tags=tags,
            lost=_lost(tokens, windows.word[windows.first], spans),
            split=windows.split,
            skipped=skipped,
            expanded=expanded,
        )

    def batch(self, rows: npt.NDArray[np.int64]) -> TaggingBatch:
        """Make the batch of some windows."""
        plain = super().batch(rows)
        shared: dict[str, Any] = {one.name: getattr(plain, one.name) for one in fields(plain)}
        return TaggingBatch(**shared, tags=self.tags)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tagging:
    """One step: `step(model, batch) -> loss`, the cross-entropy of the tokens that have a tag.

    The mean is over the tagged tokens of the batch, whatever text they are in; over several
    processes, over those of the joint batch.

    Attributes:
        weights: (C,) weight of each label, or `None`; the mean is weighted, too.
    """

    weights: Tensor | None = None

    def __call__(self, model: nn.Module, batch: TaggingBatch) -> Tensor:
        """The loss of a batch; of several processes each takes its share of the windows."""
        process, processes = this_process()
        positions, own = own_share(batch, process, processes)
        tags = batch.packed_tags(positions)
        places = np.flatnonzero(tags != NO_TAG) if own else np.zeros(0, dtype=np.int64)
        count = len(places)
        device = next(model.parameters()).device
        padded = np.pad(places, (0, round_up(max(count, 1), PLACES_STEP) - count))
        logits = model(batch.packed(positions).to(device), torch.from_numpy(padded).to(device))
        if not count:  # take part, but count for nothing
            zero: Tensor = logits.sum() * 0.0
            return zero
        target = torch.from_numpy(tags[places]).to(device)
        loss = cross_entropy(logits[:count], target, weights_C=self.weights)
        if processes == 1:
            return loss
        # Gradients are averaged over the processes, and this one's share of the mean is this.
        joint = batch.packed_tags(np.arange(len(batch.texts)))
        return loss * (processes * self._total(tags[places]) / self._total(joint[joint != NO_TAG]))

    def _total(self, tags: npt.NDArray[np.int64]) -> float:
        if self.weights is None:
            return float(len(tags))
        return float(self.weights.cpu().numpy()[tags].sum())


def balanced_weights(tags: npt.NDArray[np.int64], labels: int) -> Tensor:
    """(C,) weights that give all labels the same sum: n / (C · count), 1 for one never seen.

    Args:
        tags: of the training data; -1 does not count.
        labels: C, how many there are.

    >>> balanced_weights(np.array([0, 0, 0, 1, -1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    counts = np.bincount(tags[tags != NO_TAG], minlength=labels)
    seen = counts > 0
    weights = np.ones(labels, dtype=np.float32)
    weights[seen] = counts.sum() / (seen.sum() * counts[seen])
    return torch.from_numpy(weights)


def _tokens(table: TaggedTexts, model: Tagger) -> WordTokens:
    return model.words(table.texts, table.words or [None] * len(table))


def _aligned(
    table: TaggedTexts, tokens: WordTokens, misaligned: str
) -> tuple[list[list[TagSpan]], list[int], int, list[BadRow]]:
    """The words of each text's spans; the rows that could be aligned; spans grown; bad rows."""
    if misaligned not in ("error", "expand", "skip"):
        raise ConfigError("misaligned", misaligned, "error, expand or skip")
    problems = RowProblems(table.path, "skip" if misaligned == "skip" else "error")
    starts, ends = tokens.starts.tolist(), tokens.ends.tolist()
    offsets = tokens.offsets.tolist()
    found: list[list[TagSpan]] = []
    kept: list[int] = []
    grown = 0
    for row, spans in enumerate(table.spans):
        own_starts = starts[offsets[row] : offsets[row + 1]]
        own_ends = ends[offsets[row] : offsets[row + 1]]
        aligned = [_words_of(span, own_starts, own_ends) for span in spans]
        off = [span for span, (_, exact) in zip(spans, aligned, strict=True) if not exact]
        if off and misaligned != "expand":
            line = int(table.lines[row])
            problems.report(line, _misaligned(table.texts[row], off[0], own_starts, own_ends))
            continue
        words: list[TagSpan] = []
        for place, _ in aligned:
            if place is not None and (not words or words[-1].end <= place.start):
                words.append(place)
            else:  # nothing of it is left beside its neighbour, or it has no word at all
                line = int(table.lines[row])
                problems.report(line, _misaligned(table.texts[row], off[0], own_starts, own_ends))
                break
        else:
            grown += len(off)
            found.append(words)
            kept.append(row)
    for bad in problems.skipped:
        log.warning("%s:%d: left out: %s", table.path, bad.line, bad.reason)
    problems.require_rows(len(kept))
    return found, kept, grown, problems.skipped


def _words_of(span: CharSpan, starts: list[int], ends: list[int]) -> tuple[TagSpan | None, bool]:
    """The words that a span touches, if any, and whether it holds exactly these."""
    first = bisect_left(ends, span.start + 1)
    behind = bisect_left(starts, span.end)
    if first >= behind:
        return None, False
    exact = starts[first] == span.start and ends[behind - 1] == span.end
    return TagSpan(first, behind, span.label), exact


def _misaligned(text: str, span: CharSpan, starts: list[int], ends: list[int]) -> str:
    place, _ = _words_of(span, starts, ends)
    if place is None:
        return f"the span {shown(text, span)} holds no word that the tokenizer sees."
    whole = text[starts[place.start] : ends[place.end - 1]]
    return (
        f"the span {shown(text, span)} begins or ends within a word (the whole words are "
        f"{whole!r}). Correct its offsets, or grow such spans to whole words with misaligned = "
        "expand, or leave such rows out with misaligned = skip."
    )


def _inside(labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """(C,) the label that the other tokens of a word have, by that of its first."""
    number = {label: place for place, label in enumerate(labels)}
    tags = [read_tag(label) for label in labels]
    same = [
        number.get("I" if label == "B" else f"I-{tag.type}", place) if tag.prefix == "B" else place
        for place, (label, tag) in enumerate(zip(labels, tags, strict=True))
    ]
    return np.array(same, dtype=np.int64)


def _lost(
    tokens: WordTokens, shown_words: npt.NDArray[np.int64], spans: Sequence[Sequence[TagSpan]]
) -> dict[str, int]:
    """Words that no window shows, and spans that such a word is a part of."""
    gone = np.ones(tokens.words, dtype=np.bool_)
    gone[shown_words] = False
    if not gone.any():
        return {"words": 0, "spans": 0}
    before = np.concatenate([[0], np.cumsum(gone)])
    pieces = [
        (first + span.start, first + span.end)
        for first, own in zip(tokens.offsets[:-1].tolist(), spans, strict=True)
        for span in own
    ]
    if not pieces:
        return {"words": int(gone.sum()), "spans": 0}
    start, end = np.array(pieces).T
    return {"words": int(gone.sum()), "spans": int((before[end] > before[start]).sum())}
