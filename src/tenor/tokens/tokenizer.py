"""From texts to token ids, once: the fast tokenizer's output as flat arrays."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from tenor.errors import ModelError
from tenor.tokens.distinct_texts import distinct_texts
from tenor.tokens.pairs import PairTemplate, PairTokens
from tenor.tokens.text_check import check_texts
from tenor.tokens.token_ids import TokenIds

__all__ = ["Tokenizer"]

_Encoded = tuple[
    np.ndarray[Any, np.dtype[np.int32]],  # ids of all texts
    np.ndarray[Any, np.dtype[np.int64]],  # tokens of each
    np.ndarray[Any, Any],  # of each, what else is to be known: whether it was cut, its full length
]

BLOCK = 4096  # texts tokenised at a time: bounds the Python objects that stand at once
MAPPED_BYTES = 1 << 28  # ids beyond this go to a memory-mapped file


class Tokenizer:
    """A `transformers` tokenizer that gives flat arrays and counts what it cut.

    Args:
        tokenizer: a `transformers` tokenizer, fast (Rust) or slow (Python).
        max_length: tokens a text may have, special tokens included.
        lower_case: lower-case each text first (`do_lower_case` of sentence-transformers).
    """

    def __init__(self, tokenizer: Any, max_length: int, *, lower_case: bool = False) -> None:
        self.tokenizer = tokenizer
        self.max_length = self._checked(max_length)
        self.lower_case = lower_case

    @property
    def filler_id(self) -> int:
        """A harmless token to fill up a batch with: the padding token, or 0."""
        pad = self.tokenizer.pad_token_id
        return 0 if pad is None else int(pad)

    def __call__(self, texts: Iterable[str], *, max_length: int | None = None) -> TokenIds:
        """Tokenise texts, special tokens included, each cut to the length limit.

        Args:
            texts: the texts; taken in blocks, so that an iterator never stands in memory whole.
            max_length: another limit for this call.

        Returns:
            The ids of all texts, memory-mapped in a temporary file when they are large.

        Raises:
            DataError: for something that is no text; it names its row.
            ModelError: when the limit leaves no room beside the special tokens.
        """
        limit = self.max_length if max_length is None else self._checked(max_length)
        ids, offsets, cut = _gather(self._encode(block, limit) for block in _blocks(texts))
        return TokenIds(ids, offsets, cut=cut)

    def pairs(
        self, left: Sequence[str], right: Sequence[str], *, max_length: int | None = None
    ) -> TokenIds:
        """Tokenise pairs of texts as one sequence each, special tokens included.

        A pair that is too long loses tokens of its longer text first, until both are equally long.

        Args:
            left: first text of each pair.
            right: second text of each pair.
            max_length: another limit of tokens for this call.

        Returns:
            The ids of all pairs, with token types where the model takes them; `cut` tells which
            pairs lost tokens.

        Raises:
            DataError: for something that is no text; it names its row.
            ModelError: when the limit leaves no room beside the special tokens.
        """
        texts, places = distinct_texts({"left": left, "right": right})
        return self.pair_tokens(texts, max_length=max_length)(places["left"], places["right"])

    def pair_tokens(self, texts: Iterable[str], *, max_length: int | None = None) -> PairTokens:
        """Tokenise texts once, to put any two of them together later.

        Args:
            texts: the texts; taken in blocks.
            max_length: another limit of tokens a pair, special tokens included.

        Raises:
            DataError: for something that is no text; it names its row.
            ModelError: when the limit leaves no room beside the special tokens.
        """
        template = PairTemplate.of(self.tokenizer)
        limit = self.max_length if max_length is None else max_length
        if limit < template.special + 2:
            raise ModelError(
                f"a length limit of {limit} tokens leaves no room for two texts beside the "
                f"{template.special} special tokens of a pair; raise max_seq_length."
            )
        special = TokenIds.of(list(template.pieces))
        encoded = (self._encode_bare(block, limit) for block in _blocks(texts))
        ids, offsets, lengths = _gather(
            chain(encoded, [(special.ids, special.lengths, special.lengths)])
        )
        pieces = len(special)
        return PairTokens(TokenIds(ids, offsets[:-pieces]), lengths[:-pieces], limit, template)

    def prompt_length(self, prompt: str) -> int:
        """How many tokens a prompt takes at the beginning of a text, special tokens included."""
        ids = self([prompt])[0].tolist()
        # The closing special token stands behind the text, not behind the prompt.
        closing = (self.tokenizer.sep_token_id, self.tokenizer.eos_token_id)
        return len(ids) - (bool(ids) and ids[-1] in closing)

    def save(self, folder: str | Path) -> None:
        """Write the tokenizer's files into `folder`."""
        self.tokenizer.save_pretrained(str(folder))

    def _checked(self, limit: int) -> int:
        special = self.tokenizer.num_special_tokens_to_add(pair=False)
        if limit <= special:
            raise ModelError(
                f"a length limit of {limit} tokens leaves no room for text beside the "
                f"{special} special tokens; raise max_seq_length."
            )
        return limit

    def _encode(self, texts: Sequence[str], limit: int) -> _Encoded:
        if self.lower_case:
            texts = [text.lower() for text in texts]
        if not self.tokenizer.is_fast:
            return self._encode_slowly(texts, limit)
        backend = self.tokenizer.backend_tokenizer
        backend.enable_truncation(limit, direction=self.tokenizer.truncation_side)
        backend.no_padding()
        encodings = backend.encode_batch_fast(list(texts), add_special_tokens=True)
        rows = [encoding.ids for encoding in encodings]
        counts = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        # `overflowing` builds objects: ask only where the limit was reached.
        cut = counts == limit
        for row in np.flatnonzero(cut):
            cut[row] = bool(encodings[row].overflowing)
        flat = (token for row in rows for token in row)
        return np.fromiter(flat, dtype=np.int32, count=int(counts.sum())), counts, cut

    def _encode_bare(self, texts: Sequence[str], limit: int) -> _Encoded:
        """Without special tokens; no more than `limit` of each, and how many there would be."""
        if self.lower_case:
            texts = [text.lower() for text in texts]
        if self.tokenizer.is_fast:
            backend = self.tokenizer.backend_tokenizer
            backend.no_truncation()
            backend.no_padding()
            encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
            pieces = [encoding.ids for encoding in encodings]
        else:
            pieces = [self.tokenizer.encode(text, add_special_tokens=False) for text in texts]
        lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
        kept = slice(-limit, None) if self.tokenizer.truncation_side == "left" else slice(limit)
        ids = TokenIds.of([piece[kept] for piece in pieces])
        return ids.ids, ids.lengths, lengths

    def _encode_slowly(self, texts: Sequence[str], limit: int) -> _Encoded:
        tokenizer = self.tokenizer
        room = limit - tokenizer.num_special_tokens_to_add(pair=False)
        pieces = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        cut = np.fromiter((len(p) > room for p in pieces), dtype=bool, count=len(pieces))
        kept = slice(-room, None) if tokenizer.truncation_side == "left" else slice(room)
        rows = [tokenizer.build_inputs_with_special_tokens(p[kept]) for p in pieces]
        ids = TokenIds.of(rows)
        return ids.ids, ids.lengths, cut


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    remaining, done = iter(texts), 0
    while block := list(islice(remaining, BLOCK)):
        check_texts(block, before=done)
        yield block
        done += len(block)


def _gather(encoded: Iterable[_Encoded]) -> tuple[Any, np.ndarray[Any, Any], Any]:
    """Ids, memory-mapped when they are large, offsets, and the third part of all blocks."""
    blocks: list[np.ndarray[Any, np.dtype[np.int32]]] = []
    lengths: list[np.ndarray[Any, np.dtype[np.int64]]] = []
    facts: list[np.ndarray[Any, Any]] = []
    waiting, spill = 0, None
    for ids, counts, about in encoded:
        blocks.append(ids)
        lengths.append(counts)
        facts.append(about)
        waiting += ids.nbytes
        if waiting > MAPPED_BYTES:
            spill = spill or tempfile.TemporaryFile(prefix="tenor-tokens-")  # noqa: SIM115
            for part in blocks:
                spill.write(part.tobytes())
            blocks, waiting = [], 0
    offsets = np.zeros(sum(map(len, lengths)) + 1, dtype=np.int64)
    if lengths:
        np.cumsum(np.concatenate(lengths), out=offsets[1:])
    joined = np.concatenate(facts) if facts else None
    if spill is None:
        flat = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int32)
        return flat, offsets, joined
    for part in blocks:
        spill.write(part.tobytes())
    spill.flush()
    mapped = np.memmap(spill, dtype=np.int32, mode="r", shape=(int(offsets[-1]),))
    spill.close()  # the mapping keeps the file
    return mapped, offsets, joined
