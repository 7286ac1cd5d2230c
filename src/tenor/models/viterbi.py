"""The most probable sequence of tags that is valid (Viterbi 1967).

Shape legend: W words of all texts, N texts, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from tenor.data.tags import Tag, read_tag

__all__ = ["TagRules", "decode"]

Floats = npt.NDArray[np.float64]
BLOCK_SCORES = 1 << 20  # N · C · C held at a time


@dataclass(frozen=True, eq=False)
class TagRules:
    """Which tag may follow which, as scores to add: 0 where allowed, −∞ where not.

    I- stands behind B- or I- of its type. A model that has no B- of a type (IOB1, or bare names as
    labels) may begin one with I-. Where it has tags for the last word of a span (E- and S-, L- and
    U-), spans must end in them.

    Attributes:
        tags: the labels taken apart; a bare name is an I- of a type without B-.
        first: (C,) of the first word of a text.
        step: (C, C) from each tag to each next one.
        last: (C,) of the last word.
    """

    tags: tuple[Tag, ...]
    first: Floats
    step: Floats
    last: Floats

    @cached_property
    def inside(self) -> npt.NDArray[np.bool_]:
        """(C,) which tags are of a word inside of a span."""
        return np.array([bool(tag.type) for tag in self.tags])

    @classmethod
    def of(cls, labels: Sequence[str]) -> Self:
        """The rules of a model's labels.

        >>> rules = TagRules.of(["O", "B-PER", "I-PER"])
        >>> rules.step[0].tolist(), rules.step[1].tolist()
        ([0.0, 0.0, -inf], [0.0, 0.0, 0.0])
        """
        tags = tuple(map(_tag_of, labels))
        known = set(tags)

        def has(prefixes: str, kind: str) -> bool:
            return any(Tag(prefix, kind) in known for prefix in prefixes)

        def begins(tag: Tag) -> bool:
            return tag.prefix in "OBSU" or not has("B", tag.type)

        def ends(tag: Tag) -> bool:
            if tag.prefix == "B":
                return not has("SU", tag.type)
            return tag.prefix != "I" or not has("EL", tag.type)

        def follows(before: Tag, tag: Tag) -> bool:
            inside = before.prefix in "BI" and before.type == tag.type
            if inside and tag.prefix in "IEL":
                return True
            return begins(tag) and ends(before)

        return cls(
            tags=tags,
            first=_scores([begins(tag) for tag in tags]),
            step=_scores([[follows(before, tag) for tag in tags] for before in tags]),
            last=_scores([ends(tag) for tag in tags]),
        )


def decode(
    scores_WC: npt.NDArray[np.floating], offsets: npt.NDArray[np.int64], rules: TagRules
) -> npt.NDArray[np.int64]:
    """The valid tags of each text with the highest sum of scores.

    Args:
        scores_WC: log-probability of each tag of each word.
        offsets: (N + 1,) words of text i are `offsets[i]` to `offsets[i + 1]`.
        rules: what is valid.

    Returns:
        (W,) number of each word's tag.

    >>> rules = TagRules.of(["O", "B-PER", "I-PER"])
    >>> probable = np.log([[0.5, 0.2, 0.3], [0.1, 0.3, 0.6]])
    >>> decode(probable, np.array([0, 2]), rules).tolist()
    [0, 1]
    """
    lengths = np.diff(offsets)
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    found = np.empty(len(scores_WC), dtype=np.int64)
    block = max(1, BLOCK_SCORES // len(rules.tags) ** 2)
    for first in range(0, len(order), block):
        texts = order[first : first + block]
        _decode_block(scores_WC, offsets[texts], lengths[texts], rules, found)
    return found


def _decode_block(
    scores_WC: npt.NDArray[np.floating],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    rules: TagRules,
    found: npt.NDArray[np.int64],
) -> None:
    """Decode texts, the longest first, into their places in `found`."""
    longest = int(lengths[0])
    alive = [int(np.searchsorted(-lengths, -place)) for place in range(longest)]
    best_NC = scores_WC[starts].astype(np.float64) + rules.first
    back = []
    for place in range(1, longest):
        count = alive[place]
        onward = best_NC[:count, :, None] + rules.step
        back.append(onward.argmax(axis=1).astype(np.int16))
        best_NC[:count] = onward.max(axis=1) + scores_WC[starts[:count] + place]
    tags = (best_NC + rules.last).argmax(axis=1)
    for place in range(longest - 1, -1, -1):
        count = alive[place]
        found[starts[:count] + place] = tags[:count]
        if place:
            tags[:count] = back[place - 1][np.arange(count), tags[:count]]


def _tag_of(label: str) -> Tag:
    try:
        return read_tag(label)
    except ValueError:
        return Tag("I", label)


def _scores(allowed: object) -> Floats:
    return np.where(np.array(allowed), 0.0, -np.inf)
