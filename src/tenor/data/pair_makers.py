"""How a document makes pairs of itself: one function a way.

Each takes a document and says which spans of it belong together; what is too short, too common or
one too many is left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from tenor.data.documents import Document
from tenor.data.pair_making import PairMaking
from tenor.data.sentences import join_sentences, split_sentences
from tenor.data.spans import count_words, crop, cut_words, passages

__all__ = ["MAKERS", "Making", "anchor_texts", "title_and_body"]

Pair = tuple[str, str]
T = TypeVar("T")
_MARKS = ".!?:–—"
LONGEST_TITLE = 30  # words; a longer first line is a paragraph
KEPT_IN_PASSAGE = 0.1  # how often a cloze query stays in its passage (Lee et al. 2019)


@dataclass(frozen=True)
class Making:
    """What a maker goes by.

    Attributes:
        settings: how pairs are made.
        most_words: of a span.
        is_common: whether a text stands in so many documents that it tells none of them apart.
        counts: of what was left out, and why.
    """

    settings: PairMaking
    most_words: int
    is_common: Callable[[str], bool]
    counts: Counter[str] = field(default_factory=Counter)

    def long_enough(self, text: str) -> bool:
        """Whether a span has words enough; counts those that do not."""
        enough = count_words(text) >= self.settings.least_words
        self.counts["too_short"] += not enough
        return enough

    def uncommon(self, text: str) -> bool:
        """Whether a text is not boilerplate; counts what is."""
        common = self.is_common(text)
        self.counts["boilerplate"] += common
        return not common

    def draw(
        self, items: Sequence[T], generator: np.random.Generator, *, beside: int = 0
    ) -> list[T]:
        """As many of the items as a document may give, beside others, in their order."""
        most = self.settings.pairs_per_document - beside
        if len(items) <= most:
            return list(items)
        self.counts["beyond_per_document"] += len(items) - most
        chosen = generator.choice(len(items), most, replace=False)
        return [items[number] for number in np.sort(chosen)]


def simcse(document: Document, making: Making, generator: np.random.Generator) -> list[Pair]:
    """A text and itself: what makes the two differ is dropout.

    Gao et al. 2021, https://arxiv.org/abs/2104.08821.
    """
    return [(document.text, document.text)] if making.long_enough(document.text) else []


def headed(document: Document, making: Making, generator: np.random.Generator) -> list[Pair]:
    """A title or summary, and passages of the text: its beginning, and others drawn at random."""
    head, body = title_and_body(document)
    if not making.uncommon(head):
        return []
    head = cut_words(head, making.most_words)
    if making.settings.how == "summary" and not making.long_enough(head):
        return []
    found = [text for text in _passages(split_sentences(body), making) if making.long_enough(text)]
    drawn = making.draw(range(1, len(found)), generator, beside=1)
    return [(head, found[number]) for number in (0, *drawn) if found]


def consecutive(document: Document, making: Making, generator: np.random.Generator) -> list[Pair]:
    """Two spans of sentences that follow one another, in either order."""
    sentences = list(filter(making.uncommon, split_sentences(document.text)))
    size = making.settings.sentences_in_span
    spans = [
        cut_words(join_sentences(sentences[start : start + size]), making.most_words)
        for start in range(0, len(sentences), size)
    ]
    enough = [making.long_enough(span) for span in spans]
    places = [n for n in range(len(spans) - 1) if enough[n] and enough[n + 1]]
    return [_either_way(spans[n], spans[n + 1], generator) for n in making.draw(places, generator)]


def cloze(document: Document, making: Making, generator: np.random.Generator) -> list[Pair]:
    """The inverse cloze task: a sentence, and its passage, mostly without it.

    Lee, Chang & Toutanova 2019, https://arxiv.org/abs/1906.00300. The sentence stays in the passage
    with probability 0.1, so that matching words count for something, too.
    """
    sentences = split_sentences(document.text)
    places = [
        (number, passage)
        for passage in passages(sentences, making.most_words)
        if len(passage) > 1
        for number in passage
        if making.uncommon(sentences[number]) and making.long_enough(sentences[number])
    ]
    made = []
    for number, passage in making.draw(places, generator):
        stays = generator.random() < KEPT_IN_PASSAGE
        rest = [sentences[other] for other in passage if stays or other != number]
        text = cut_words(join_sentences(rest), making.most_words)
        if making.long_enough(text):
            made.append((cut_words(sentences[number], making.most_words), text))
    return made


def cropped(document: Document, making: Making, generator: np.random.Generator) -> list[Pair]:
    """Two random spans of words of one passage.

    Izacard et al. 2022, https://arxiv.org/abs/2112.09118.
    """
    least = making.settings.least_words
    sentences = list(filter(making.uncommon, split_sentences(document.text)))
    found = [text for text in _passages(sentences, making) if making.long_enough(text)]
    # Of a passage no more pairs than it has room for: crops of a short one are all the same.
    rooms = [text for text in found for _ in range(max(1, count_words(text) // (2 * least)))]
    made = []
    for text in making.draw(rooms, generator):
        one, other = (crop(text, generator, least=least) for _ in range(2))
        if one is None or other is None:
            making.counts["too_short"] += 1
        else:
            made.append((one, other))
    return made


MAKERS: dict[str, Callable[[Document, Making, np.random.Generator], list[Pair]]] = {
    "simcse": simcse,
    "title": headed,
    "consecutive": consecutive,
    "summary": headed,
    "cloze": cloze,
    "crop": cropped,
}


def title_and_body(document: Document) -> tuple[str, str]:
    """A document's head and the rest; its first line, or else first sentence, where it has none.

    >>> title_and_body(Document(1, "Foxes. They hunt mice.", "Foxes"))
    ('Foxes', 'They hunt mice.')
    >>> title_and_body(Document(1, "Foxes\\nThey hunt mice. And voles."))
    ('Foxes', 'They hunt mice. And voles.')
    >>> title_and_body(Document(1, "Foxes hunt mice. And voles."))
    ('Foxes hunt mice.', 'And voles.')
    """
    text = document.text
    if document.head is not None:
        return " ".join(document.head.split()), _without_head(text, document.head)
    line, _, rest = (part.strip() for part in text.partition("\n"))
    # A line that goes on in lower case was only wrapped there.
    if rest and not rest[0].islower() and count_words(line) <= LONGEST_TITLE:
        return " ".join(line.split()), rest
    first, *others = split_sentences(text)
    return first, join_sentences(others)


def anchor_texts(document: Document, how: str) -> list[str]:
    """The texts of a document that are looked at for boilerplate."""
    if how == "simcse":
        return []
    if how in ("title", "summary"):
        return [title_and_body(document)[0]]
    return split_sentences(document.text)


def _without_head(text: str, head: str) -> str:
    """A text that does not repeat its head first: by that alone it would be found."""
    after = text[len(head) :]
    if text[: len(head)].lower() != head.lower():
        return text
    ends = head[-1] in _MARKS or after.lstrip(" \t")[:1] in ("", "\n", *_MARKS)
    # A short title may well begin the first sentence: "Foxes" and "Foxes hunt mice."
    if not ends and (count_words(head) <= 3 or not after[0].isspace()):
        return text
    return after.lstrip(f" \t\n{_MARKS}")


def _passages(sentences: Sequence[str], making: Making) -> list[str]:
    """A document in passages of whole sentences, none of more words than a span may have."""
    return [
        cut_words(join_sentences([sentences[n] for n in part]), making.most_words)
        for part in passages(sentences, making.most_words)
    ]


def _either_way(one: str, other: str, generator: np.random.Generator) -> Pair:
    """Two spans of one kind: which of them is the anchor is left to chance."""
    return (one, other) if generator.random() < 0.5 else (other, one)
