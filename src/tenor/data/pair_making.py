"""How pairs are made of documents: every setting, checked."""

from __future__ import annotations

from dataclasses import dataclass

from tenor.errors import ConfigError

__all__ = ["HOWS", "PairMaking"]

WORDS_PER_TOKEN = 0.75  # of English in the usual vocabularies
COMMON_SHARE = 0.01
MOST_PAIRS = 1_000_000
FEWEST_DOCUMENTS = 5  # a text in fewer is no boilerplate, however few documents there are
PER_DOCUMENT, MIN_WORDS = 4, 5

_SPANS = ("per_document", "max_words", "common_share")
# What each way takes beside `min_words` and `max_pairs`.
_TAKES = {
    "simcse": (),
    "title": _SPANS,
    "consecutive": (*_SPANS, "window"),
    "summary": _SPANS,
    "cloze": _SPANS,
    "crop": _SPANS,
}
HOWS = tuple(_TAKES)


@dataclass(frozen=True, kw_only=True)
class PairMaking:
    """How pairs are made of documents. What is `None` has a default that depends on `how`.

    Attributes:
        how: simcse, title, consecutive, summary, cloze or crop.
        per_document: pairs of one document at most, so that long ones do not outweigh the others:
            1 for titles and summaries, 4 for the others.
        window: sentences of a span, with consecutive: 1.
        min_words: a span of fewer is left out: 5, and 1 with simcse. A title may be shorter.
        max_words: a span of more is cut, at the end of a sentence where that is possible: about
            as many as the model reads.
        max_pairs: pairs in all; of more a random sample is taken: 1,000,000.
        common_share: a sentence or title in more than this share of the documents, and in at least
            5 of them, is boilerplate and makes no pair: 0.01. 1 keeps all.
        seed: decides what is drawn.

    Raises:
        ConfigError: for a value that cannot be, or that this `how` does not take.
    """

    how: str
    per_document: int | None = None
    window: int | None = None
    min_words: int | None = None
    max_words: int | None = None
    max_pairs: int | None = None
    common_share: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise ConfigError("how", self.how, f"one of {', '.join(HOWS)}")
        for name in ("per_document", "window", "max_words", "common_share"):
            value = getattr(self, name)
            if value is not None and name not in _TAKES[self.how]:
                raise ConfigError(name, value, f"left out with how = {self.how!r}")
        for name in ("per_document", "window", "min_words", "max_words"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(name, value, "at least 1")
        if self.max_pairs is not None and self.max_pairs < 2:
            raise ConfigError("max_pairs", self.max_pairs, "at least 2: a pair alone has no rivals")
        if self.max_words is not None and self.max_words < self.least_words:
            allowed = f"at least min_words, {self.least_words}"
            raise ConfigError("max_words", self.max_words, allowed)
        if self.common_share is not None and not 0 < self.common_share <= 1:
            raise ConfigError("common_share", self.common_share, "a share above 0, up to 1")

    @property
    def pairs_per_document(self) -> int:
        """Pairs of one document at most."""
        if self.how in ("simcse", "title", "summary"):
            return self.per_document or 1
        return self.per_document or PER_DOCUMENT

    @property
    def sentences_in_span(self) -> int:
        """Sentences of a span, with consecutive."""
        return self.window or 1

    @property
    def least_words(self) -> int:
        """Words of a span at least."""
        return self.min_words or (1 if self.how == "simcse" else MIN_WORDS)

    def most_words(self, tokens: int) -> int:
        """Words of a span at most, for a model that reads so many tokens of a text."""
        return self.max_words or max(self.least_words, int(WORDS_PER_TOKEN * tokens))

    @property
    def most_pairs(self) -> int:
        """Pairs in all."""
        return self.max_pairs or MOST_PAIRS

    @property
    def looks_for_boilerplate(self) -> bool:
        """Whether any text can be too common."""
        return self.how != "simcse" and self.common_share != 1

    def boilerplate_from(self, documents: int) -> float:
        """A text in more than so many of the documents is boilerplate."""
        return max((self.common_share or COMMON_SHARE) * documents, FEWEST_DOCUMENTS - 1)
