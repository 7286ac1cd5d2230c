"""Tags of words, and the spans they mean: BIO, its elder forms and its extensions.

| scheme | a span of three words | of one word |
|---|---|---|
| BIO (IOB2) | B I I | B |
| IOB1 | I I I; B I I right behind a span of the same type | I |
| BIOES, BILOU | B I E (L) | S (U) |

BIO is what data becomes here; the others are read and converted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = [
    "OUTSIDE",
    "Scheme",
    "Tag",
    "TagSpan",
    "bio_labels",
    "is_valid_bio",
    "read_tag",
    "recognise_scheme",
    "span_tags",
    "tag_spans",
]

OUTSIDE = "O"
UNTYPED = "_"  # the type of a tag that is a bare B or I
_TAG = re.compile(r"(?P<prefix>[BIESLU])(?:-(?P<type>\S.*))?")
_LAST = frozenset("ELSU")  # behind these a span is over, whatever follows


class Tag(NamedTuple):
    """A tag taken apart: `prefix` is one of O B I E S L U, `type` is empty for O."""

    prefix: str
    type: str


class TagSpan(NamedTuple):
    """Words `start` to `end` (the one behind the last) that are a `type` together."""

    start: int
    end: int
    type: str


class Scheme(NamedTuple):
    """What the tags of a data set are.

    Attributes:
        name: BIO, IOB1, or BIOES for it and BILOU.
        repaired: tags I- that begin a span where BIO wants B-; they are read as B-.
    """

    name: str
    repaired: int


def read_tag(tag: str) -> Tag:
    """Take a tag apart.

    Raises:
        ValueError: it is none.

    >>> read_tag("B-PER"), read_tag("O")
    (Tag(prefix='B', type='PER'), Tag(prefix='O', type=''))
    """
    if tag == OUTSIDE:
        return Tag(OUTSIDE, "")
    found = _TAG.fullmatch(tag)
    if found is None:
        raise ValueError(
            f"{tag!r} is no tag: it must be O, or B- or I- with a type, such as B-PER."
        )
    return Tag(found["prefix"], found["type"] or UNTYPED)


def tag_spans(tags: Sequence[Tag], *, strict: bool = False) -> list[TagSpan]:
    """The spans that tags mean.

    A span begins at B, and also at I where nothing of its type goes before: what `conlleval` and
    seqeval by default read. In the strict reading only B begins a span, as BIO says.

    Args:
        tags: of the words of one text.
        strict: leave out what is not BIO.

    >>> tags = [read_tag(tag) for tag in ("I-PER", "I-PER", "O", "B-LOC", "I-ORG")]
    >>> [(span.start, span.end, span.type) for span in tag_spans(tags)]
    [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'ORG')]
    >>> [(span.start, span.end, span.type) for span in tag_spans(tags, strict=True)]
    [(3, 4, 'LOC')]
    """
    spans: list[TagSpan] = []
    start: int | None = None
    before = Tag(OUTSIDE, "")
    for place, tag in enumerate((*tags, Tag(OUTSIDE, ""))):
        goes_on = _goes_on(before, tag)
        if start is not None and not goes_on:
            spans.append(TagSpan(start, place, before.type))
            start = None
        if not goes_on and tag.prefix != OUTSIDE and (not strict or tag.prefix == "B"):
            start = place
        before = tag
    return spans


def _goes_on(before: Tag, tag: Tag) -> bool:
    """Whether a tag continues the span of the one before it."""
    return (
        tag.prefix in ("I", "E", "L")
        and before.prefix != OUTSIDE
        and before.prefix not in _LAST
        and before.type == tag.type
    )


def span_tags(spans: Iterable[TagSpan], words: int) -> list[str]:
    """The BIO tags of so many words.

    >>> span_tags([TagSpan(1, 3, "PER")], 4)
    ['O', 'B-PER', 'I-PER', 'O']
    """
    tags = [OUTSIDE] * words
    for span in spans:
        first, inside = _pair(span.type)
        tags[span.start] = first
        tags[span.start + 1 : span.end] = [inside] * (span.end - span.start - 1)
    return tags


def bio_labels(types: Iterable[str]) -> tuple[str, ...]:
    """All tags of some types: O, then B and I of each.

    >>> bio_labels(["LOC", "PER"])
    ('O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER')
    """
    return (OUTSIDE, *(tag for name in types for tag in _pair(name)))


def is_valid_bio(tags: Sequence[str]) -> bool:
    """Whether every I- stands behind B- or I- of its type.

    >>> is_valid_bio(["B-PER", "I-PER"]), is_valid_bio(["O", "I-PER"])
    (True, False)
    """
    read = [read_tag(tag) for tag in (OUTSIDE, *tags)]
    if any(tag.prefix not in ("O", "B", "I") for tag in read):
        return False
    return all(tag.prefix != "I" or _goes_on(before, tag) for before, tag in pairwise(read))


def recognise_scheme(texts: Iterable[Sequence[Tag]]) -> Scheme:
    """What scheme the tags of all texts follow.

    I- begins spans in IOB1, and B- only those right behind a span of the same type; in BIO an I-
    that begins a span is a fault.

    >>> recognise_scheme([[read_tag(tag) for tag in ("I-PER", "B-PER", "O")]])
    Scheme(name='IOB1', repaired=1)
    """
    inside_first = plain_first = longer = 0
    for before, tag in _neighbours(texts):
        if tag.prefix in _LAST:
            longer += 1
        elif tag.prefix == "I" and not _goes_on(before, tag):
            inside_first += 1
        elif tag.prefix == "B" and before.type != tag.type:
            plain_first += 1
    if longer:
        return Scheme("BIOES", inside_first)
    return Scheme("IOB1" if inside_first and not plain_first else "BIO", inside_first)


def _neighbours(texts: Iterable[Sequence[Tag]]) -> Iterator[tuple[Tag, Tag]]:
    for tags in texts:
        yield from pairwise((Tag(OUTSIDE, ""), *tags))


def _pair(name: str) -> tuple[str, str]:
    return ("B", "I") if name == UNTYPED else (f"B-{name}", f"I-{name}")
