"""How texts fit a model: what of them it reads, what it cuts off, what it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tenor.data.findings import Example, Finding, shortened
from tenor.data.profile import Spread
from tenor.models.embedder import Embedder
from tenor.recipes.plan_sources import Source

__all__ = ["TextFacts", "cut_texts", "text_facts", "unknown_words"]

SAMPLE = 20_000  # different texts of a column that are tokenised
UNBOUNDED = 1 << 24  # tokens: longer than any text
NOTABLE_CUT = 0.01  # share of the texts
POOR_PIECES = 2.2  # tokens of a word, where words are parted by spaces
POOR_UNKNOWN = 0.01  # share of the tokens


@dataclass(frozen=True)
class TextFacts:
    """The texts of one column, by a model's tokenizer.

    Attributes:
        column: its role.
        texts: different ones.
        sampled: how many of them were tokenised.
        tokens: of a text, special tokens included, before anything is cut.
        read: tokens of a text that the model reads, in the mean.
        cut: share of the texts that are longer than it reads.
        lost: share of all tokens that it does not read.
        unknown: share of the tokens that stand for something its vocabulary does not have.
        pieces: tokens of a word, in the mean.
        limit: tokens of a text that the model reads.
    """

    column: str
    texts: int
    sampled: int
    tokens: Spread
    read: float
    cut: float
    lost: float
    unknown: float
    pieces: float
    limit: int

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def text_facts(source: Source, embedder: Embedder) -> dict[str, TextFacts]:
    """The facts of every column of a source, by its role."""
    return {column: _of_column(column, texts, embedder) for column, texts in source.columns.items()}


def cut_texts(source: Source, facts: dict[str, TextFacts], embedder: Embedder) -> Finding | None:
    """Texts that are longer than the model reads."""
    worst = max(facts.values(), key=lambda each: each.cut)
    if not worst.cut:
        return None
    positions = embedder.encoder.max_positions
    serious = worst.cut >= NOTABLE_CUT and source.shape != "tagged"
    what = {"text": "texts", "query": "queries"}.get(worst.column, f"texts of {worst.column!r}")
    if source.shape == "tagged":
        advice = "A tagger reads them in windows that overlap, so that nothing is lost."
    elif positions is not None and positions > worst.limit:
        advice = (
            f"--max-seq-length {positions} reads more of them and takes longer; or cut documents "
            "into passages."
        )
    else:
        advice = "Cut documents into passages, or take a model that reads more."
    texts = source.columns[worst.column]
    longest = max(range(len(texts)), key=lambda row: len(texts[row]))
    return Finding(
        code="cut_texts",
        severity="warning" if serious else "note",
        path=source.path,
        message=(
            f"{worst.cut:.1%} of the {what} are longer than the {worst.limit} tokens that the "
            f"model reads, and {worst.lost:.1%} of all tokens are cut off (median "
            f"{worst.tokens.median}, 95 % up to {worst.tokens.high}, longest "
            f"{worst.tokens.longest:,}). {advice}"
        ),
        figures={name: each.to_json() for name, each in facts.items()},
        examples=(
            Example(
                source.line(longest),
                shortened(texts[longest]),
                f"{len(texts[longest]):,} characters",
            ),
        ),
    )


def unknown_words(source: Source, facts: dict[str, TextFacts]) -> Finding | None:
    """Texts whose words the model's vocabulary hardly has."""
    worst = max(facts.values(), key=lambda each: (each.unknown >= POOR_UNKNOWN, each.pieces))
    spaced = source.profile.scripts.get("Latin", 0.0) >= 0.5
    if worst.unknown < POOR_UNKNOWN and not (spaced and worst.pieces > POOR_PIECES):
        return None
    said = f"a word becomes {worst.pieces:.1f} tokens in the mean"
    if worst.unknown >= POOR_UNKNOWN:
        said = f"{worst.unknown:.1%} of the tokens stand for something it does not know"
    return Finding(
        code="unknown_words",
        severity="warning",
        path=source.path,
        message=(
            f"the model's vocabulary hardly fits these texts: {said}. Is it made for this "
            "language? Name another by --model; for names, formulas or code expect less of it."
        ),
        figures={"unknown": worst.unknown, "tokens_of_a_word": worst.pieces},
    )


def _of_column(column: str, texts: Sequence[str], embedder: Embedder) -> TextFacts:
    distinct = list(dict.fromkeys(texts))
    count = len(distinct)
    if count > SAMPLE:
        chosen = np.random.default_rng(0).choice(count, SAMPLE, replace=False)
        distinct = [distinct[place] for place in chosen.tolist()]
    tokenizer, limit = embedder.tokenizer, embedder.max_seq_length
    ids = tokenizer(distinct, max_length=UNBOUNDED)
    lengths = np.asarray(ids.lengths)
    read = np.minimum(lengths, limit)
    words = sum(len(text.split()) for text in distinct)
    special = len(tokenizer([""], max_length=UNBOUNDED)[0])
    real = max(int(lengths.sum()) - special * len(distinct), 1)
    unknown_id = getattr(tokenizer.tokenizer, "unk_token_id", None)
    unknown = 0 if unknown_id is None else int((np.asarray(ids.ids) == unknown_id).sum())
    return TextFacts(
        column=column,
        texts=count,
        sampled=len(distinct),
        tokens=Spread.of(lengths),
        read=float(read.mean()),
        cut=float((lengths > limit).mean()),
        lost=float((lengths - read).sum() / lengths.sum()),
        unknown=unknown / real,
        pieces=real / max(words, 1),
        limit=limit,
    )
