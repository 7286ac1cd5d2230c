"""The words whose vectors are nearest to a text's, in a static embedder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError

if TYPE_CHECKING:
    from tenor.models.static import StaticEmbedder

__all__ = ["nearest_words", "whole_words"]


def nearest_words(
    model: StaticEmbedder, text: str, *, minus: str = "", count: int = 10
) -> list[tuple[str, float]]:
    """What `StaticEmbedder.neighbours` gives."""
    if count < 1:
        raise ConfigError("count", count, "at least 1")
    words, rows = whole_words(model)
    vectors = _unit(model.vectors[rows])
    wanted, given = _direction(model, text, "text")
    if minus:
        away, taken = _direction(model, minus, "minus")
        # A text of n words asks for their sum, so that king woman − man is king − man + woman.
        wanted, given = _unit(wanted * len(given) - away * len(taken)), given | taken
    scores = vectors @ wanted
    scores[np.isin(rows, list(given))] = -np.inf
    best = np.argsort(-scores, kind="stable")[:count]
    return [(words[row], float(scores[row])) for row in best if np.isfinite(scores[row])]


def whole_words(model: StaticEmbedder) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The tokens that are words (or phrases) by themselves, and their ids.

    A piece of a word, such as `##ing`, is none: its own letters are read as other tokens. Nor is a
    token without a vector, such as the one for unknown words.
    """
    tokenizer = model.tokenizer.tokenizer
    size = len(model.vectors)
    ids = [token for token in range(size) if tokenizer.id_to_token(token) is not None]
    special = {
        token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special
    }
    surfaces = [text.strip() for text in tokenizer.decode_batch([[t] for t in ids])]
    read = model.tokenizer(surfaces)
    filled = np.abs(model.vectors).max(axis=1) > 0
    keep = [
        place
        for place, token in enumerate(ids)
        if filled[token] and token not in special and read[place].tolist() == [token]
    ]
    return [surfaces[place] for place in keep], np.array([ids[p] for p in keep], dtype=np.int64)


def _direction(
    model: StaticEmbedder, text: str, field: str
) -> tuple[npt.NDArray[np.float32], set[int]]:
    """The mean of the unit vectors of a text's tokens, and these tokens."""
    ids = model.tokenizer([text])[0]
    vectors = model.vectors[ids]
    known = np.abs(vectors).max(axis=1, initial=0) > 0
    if not known.any():
        raise ConfigError(field, text, "made of words that the model knows; none of these it does")
    return _unit(vectors[known]).mean(axis=0), set(ids[known].tolist())


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
