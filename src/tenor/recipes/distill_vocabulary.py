"""The vocabulary of a distilled model: what its teacher makes of each token by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError
from tenor.models.bulk import evaluating, progress_bar, run_by_length
from tenor.models.embedder import Embedder
from tenor.tokens.token_ids import TokenIds
from tenor.tokens.words import count_words

__all__ = ["add_words", "new_words", "special_ids", "student_tokenizer", "token_vectors"]


def student_tokenizer(teacher: Embedder) -> Any:
    """A copy of the teacher's tokenizer, without its length limit and padding.

    Raises:
        ModelError: when the teacher's tokenizer is not of the `tokenizers` library.
    """
    from tokenizers import Tokenizer
    from tokenizers.normalizers import Lowercase, Sequence

    raw = teacher.tokenizer.tokenizer
    if not getattr(raw, "is_fast", False):
        raise ModelError(
            f"{teacher.name} has a tokenizer without a tokenizer.json; only those that have one "
            "can be distilled."
        )
    copy = Tokenizer.from_str(raw.backend_tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    if teacher.tokenizer.lower_case:
        earlier = [] if copy.normalizer is None else [copy.normalizer]
        copy.normalizer = Sequence([Lowercase(), *earlier])
    return copy


def special_ids(tokenizer: Any) -> npt.NDArray[np.int64]:
    """Ids of the tokens that stand for no text, such as [CLS] and [PAD]."""
    added = tokenizer.get_added_tokens_decoder()
    return np.array(sorted(token for token, one in added.items() if one.special), dtype=np.int64)


def new_words(texts: Iterable[str], tokenizer: Any, *, most: int, min_count: int) -> list[str]:
    """The commonest words of a corpus that the tokenizer would cut in pieces.

    Args:
        texts: the corpus; streamed.
        tokenizer: of the student.
        most: how many words to give at most.
        min_count: how often a word must stand in the corpus.
    """
    lower = tokenizer.encode("A", add_special_tokens=False).ids == (
        tokenizer.encode("a", add_special_tokens=False).ids
    )
    words = count_words(texts, min_count=min_count, lower_case=lower)
    cut = tokenizer.encode_batch_fast(words, add_special_tokens=False)
    pieces = [word for word, found in zip(words, cut, strict=True) if len(found.ids) > 1]
    return [word for word in pieces if any(c.isalpha() for c in word) and "'" not in word][:most]


def add_words(tokenizer: Any, words: list[str]) -> Any:
    """A tokenizer that also knows some whole words, with the next ids.

    WordPiece takes the longest piece that it knows, so there the words join the pieces (and serve
    as beginnings of longer words); others get them as added tokens.
    """
    from tokenizers import AddedToken, Tokenizer

    described = json.loads(tokenizer.to_str())
    if described["model"]["type"] != "WordPiece":
        wider = Tokenizer.from_str(tokenizer.to_str())
        wider.add_tokens([AddedToken(word, single_word=True, lstrip=True) for word in words])
        return wider
    vocabulary = described["model"]["vocab"]
    following = tokenizer.get_vocab_size(with_added_tokens=True)
    for word in words:
        if word not in vocabulary:
            vocabulary[word] = following
            following += 1
    return Tokenizer.from_str(json.dumps(described))


def token_vectors(
    teacher: Embedder, tokenizer: Any, words: list[str], *, progress: bool | None = None
) -> npt.NDArray[np.float32]:
    """(V, D) the teacher's vector of each token by itself, between its special tokens.

    Args:
        teacher: the embedder.
        tokenizer: the student's, with `words` in it; its other ids are the teacher's.
        words: the last ids; the teacher reads them as text.
        progress: show a progress bar on stderr; by default on a terminal.
    """
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if largest >= size:
        raise ModelError(
            f"{teacher.name}: the ids of its tokens have gaps; it cannot be distilled."
        )
    before, after = _surroundings(teacher)
    own = size - len(words)
    ids = TokenIds.of([[*before, token, *after] for token in range(own)])
    with (
        evaluating(teacher, teacher.encoder),
        progress_bar(progress, own, "vocabulary") as bar,
    ):
        vectors = run_by_length(
            lambda batch: teacher(batch, normalize=False),
            ids,
            width=teacher.dimensions,
            device=teacher.device,
            filler_id=teacher.tokenizer.filler_id,
            repeats=np.ones(own, dtype=np.int64),
            bar=bar,
        )
    if words:
        added = teacher.encode(words, prompt="", normalize=False, progress=progress)
        vectors = np.concatenate([vectors, added])
    vectors[special_ids(tokenizer)] = 0
    if not np.isfinite(vectors).all():
        raise ModelError(f"{teacher.name} gives vectors that are not finite; try dtype fp32.")
    return vectors


def _surroundings(teacher: Embedder) -> tuple[list[int], list[int]]:
    """The special tokens before and behind a text."""
    raw = teacher.tokenizer.tokenizer
    bare = raw.backend_tokenizer.encode("a", add_special_tokens=False).ids
    whole = teacher.tokenizer(["a"])[0].tolist()
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return whole[:start], whole[start + len(bare) :]
    return [], []
