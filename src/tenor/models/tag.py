"""Bulk tagging: distinct texts once, windows sorted by length, valid tags, spans of characters.

Shape legend: N texts, W words of all texts, C labels.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from tenor.data.tag_rows import joined_words
from tenor.data.tags import TagSpan, span_tags, tag_spans
from tenor.errors import DataError, ModelError
from tenor.models.bulk import TOKENS_PER_BATCH, evaluating, progress_bar
from tenor.models.viterbi import TagRules, decode
from tenor.tokens.packed import PackedBatch
from tenor.tokens.plan import batches_by_length
from tenor.tokens.text_check import check_text
from tenor.tokens.windows import Windows, cut_windows
from tenor.tokens.word_tokens import WordTokens

if TYPE_CHECKING:
    from rich.progress import Progress

    from tenor.models.tagger import Tagger

__all__ = ["Span", "TagOptions", "TaggedText", "tag_blocks"]

BLOCK = 8_192  # texts that stand in memory at a time
UNSEEN = 1e-3  # by which a word that gave no token prefers to be outside of a span


class Span(NamedTuple):
    """What a tagger found.

    Attributes:
        start: first character.
        end: the character behind the last.
        label: what it is.
        score: mean probability of its words' tags, 0 to 1.
        text: the characters themselves.
        words: its first word and the one behind its last: of the given words, or of those that the
            tokenizer found.
    """

    start: int
    end: int
    label: str
    score: float
    text: str
    words: tuple[int, int]


@dataclass(frozen=True)
class TaggedText:
    """One text, tagged.

    Attributes:
        spans: in order.
        words: (words, 2) first character of each word, and the one behind its last: of the given
            words, or of those that the tokenizer found.
        windows: how many it was cut into; 1 for a text that is not too long.
    """

    spans: list[Span]
    words: npt.NDArray[np.int64]
    windows: int

    @property
    def tags(self) -> list[str]:
        """The BIO tag of each word."""
        own = (TagSpan(*span.words, span.label) for span in self.spans)
        return span_tags(own, len(self.words))


@dataclass(frozen=True, kw_only=True)
class TagOptions:
    """How to tag; see `Tagger.predict`."""

    overlap: int = 64
    tokens_per_batch: int | None = None
    progress: bool | None = None


def tag_blocks(
    model: Tagger,
    blocks: Iterable[Sequence[Any]],
    options: TagOptions,
    *,
    total: int | None = None,
) -> Iterator[list[TaggedText]]:
    """Tag block after block; only one block's texts stand in memory.

    Raises:
        DataError: for something that is neither a text nor a list of words; it names its row.
        ModelError: the model gives values that are not finite.
    """
    done = 0
    with (
        evaluating(model, model.encoder),
        progress_bar(options.progress, total, "tagging") as bar,
    ):
        for block in blocks:
            yield _tag_block(model, block, done, options, bar)
            done += len(block)


def _tag_block(
    model: Tagger, items: Sequence[Any], number: int, options: TagOptions, bar: Progress | None
) -> list[TaggedText]:
    distinct: dict[str | tuple[str, ...], int] = {}
    places = [
        distinct.setdefault(_key(item, number + row + 1), len(distinct))
        for row, item in enumerate(items)
    ]
    joined = [(key, None) if isinstance(key, str) else joined_words(list(key)) for key in distinct]
    texts = [text for text, _ in joined]
    tokens = model.words(texts, [words for _, words in joined])
    windows = cut_windows(
        tokens, model.words.frame(), model.max_seq_length, overlap=options.overlap
    )
    scores_WC, seen_W = _score(model, tokens, windows, options, bar, np.bincount(places))
    rules = model.rules
    tags_W = decode(scores_WC, tokens.offsets, rules)
    sure_W = np.exp(scores_WC[np.arange(len(tags_W)), tags_W]).tolist()
    seen = seen_W.tolist()
    counts = np.maximum(np.bincount(windows.text, minlength=len(texts)), 1).tolist()
    places_W2 = np.stack([tokens.starts, tokens.ends], axis=1)
    cuts = tokens.offsets.tolist()
    found = [
        TaggedText(
            _spans(text, tokens, row, rules, tags_W, sure_W, seen),
            places_W2[cuts[row] : cuts[row + 1]],
            counts[row],
        )
        for row, text in enumerate(texts)
    ]
    return [found[place] for place in places]


def _key(item: Any, row: int) -> str | tuple[str, ...]:
    if isinstance(item, str):
        check_text(item, row)
        return item
    if isinstance(item, list | tuple) and all(isinstance(w, str) and w.strip() for w in item):
        check_text(" ".join(item), row)
        return tuple(item)
    problem = "is neither a text nor a list of words that are not empty."
    raise DataError(f"{reprlib.repr(item)} {problem}", line=row)


def _score(
    model: Tagger,
    tokens: WordTokens,
    windows: Windows,
    options: TagOptions,
    bar: Progress | None,
    repeats: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """(W, C) log-probabilities of each word's first token, and (W,) whether it has a token."""
    unseen_C = np.where(model.rules.inside, -UNSEEN, 0.0).astype(np.float32)
    scores_WC = np.tile(unseen_C, (tokens.words, 1))
    seen_W = np.zeros(tokens.words, dtype=np.bool_)
    lengths, offsets = windows.ids.lengths, windows.ids.offsets
    last_of_text = np.diff(windows.text, append=-1) != 0
    budget = options.tokens_per_batch or TOKENS_PER_BATCH.get(model.device.type, 8_192)
    for rows in batches_by_length(lengths, budget):
        batch = PackedBatch.of(windows.ids, rows, filler_id=model.tokenizer.filler_id)
        source = np.concatenate([np.arange(offsets[row], offsets[row + 1]) for row in rows])
        places = np.flatnonzero(windows.first[source])
        with torch.inference_mode():
            logits = model(batch.to(model.device), torch.from_numpy(places).to(model.device))
            found = torch.log_softmax(logits, dim=-1).cpu().numpy()
        if not np.isfinite(found).all():
            raise ModelError("the model gives NaN or infinite values: its weights are damaged.")
        words = windows.word[source[places]]
        scores_WC[words] = found
        seen_W[words] = True
        if bar is not None:
            done = windows.text[rows[last_of_text[rows]]]
            bar.advance(bar.task_ids[0], int(repeats[done].sum()))
    return scores_WC, seen_W


def _spans(
    text: str,
    tokens: WordTokens,
    row: int,
    rules: TagRules,
    tags_W: npt.NDArray[np.int64],
    sure_W: list[float],
    seen_W: list[bool],
) -> list[Span]:
    first, behind = int(tokens.offsets[row]), int(tokens.offsets[row + 1])
    own = tags_W[first:behind]
    if not rules.inside[own].any():
        return []
    spans = []
    for found in tag_spans([rules.tags[number] for number in own.tolist()]):
        start = int(tokens.starts[first + found.start])
        end = int(tokens.ends[first + found.end - 1])
        words = range(first + found.start, first + found.end)
        sure = [sure_W[word] for word in words if seen_W[word]]
        score = sum(sure) / len(sure) if sure else 0.0
        spans.append(Span(start, end, found.type, score, text[start:end], (found.start, found.end)))
    return spans
