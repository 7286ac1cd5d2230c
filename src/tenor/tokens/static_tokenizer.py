"""The tokenizer of a static embedder: no special tokens, and no length limit unless it has one."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tenor.errors import ModelError
from tenor.tokens.text_check import check_texts
from tenor.tokens.token_ids import TokenIds

__all__ = ["NO_LIMIT", "StaticTokenizer"]

NO_LIMIT = sys.maxsize
BLOCK = 4096  # texts tokenised at a time: bounds the Python objects that stand at once


class StaticTokenizer:
    """Turns texts into token ids as flat arrays; the tokens of a text are all there is.

    Args:
        tokenizer: of the `tokenizers` library. Its own length limit, if it has one, is kept.
        max_length: another limit of tokens a text.
    """

    filler_id = 0
    lower_case = False

    def __init__(self, tokenizer: Any, max_length: int | None = None) -> None:
        self.tokenizer = tokenizer
        tokenizer.no_padding()
        if max_length is not None:
            if max_length < 1:
                raise ModelError(f"a length limit of {max_length} tokens leaves no text.")
            tokenizer.enable_truncation(max_length)

    @property
    def max_length(self) -> int:
        """Tokens a text may have; `NO_LIMIT` for any number."""
        limit = self.tokenizer.truncation
        return NO_LIMIT if limit is None else int(limit["max_length"])

    @property
    def vocabulary(self) -> dict[str, int]:
        """Token to id, added tokens (phrases) included."""
        found: dict[str, int] = self.tokenizer.get_vocab(with_added_tokens=True)
        return found

    def __call__(self, texts: Iterable[str]) -> TokenIds:
        """Tokenise texts; taken in blocks, so that an iterator never stands in memory whole.

        Returns:
            The ids of all texts; a text without a known token has none.

        Raises:
            DataError: for something that is no text; it names its row.
        """
        flat = [np.zeros(0, dtype=np.int32)]
        lengths = [np.zeros(0, dtype=np.int64)]
        cut = [np.zeros(0, dtype=bool)]
        limit, remaining, done = self.max_length, iter(texts), 0
        while block := list(islice(remaining, BLOCK)):
            check_texts(block, before=done)
            done += len(block)
            encodings = self.tokenizer.encode_batch_fast(block, add_special_tokens=False)
            rows = [encoding.ids for encoding in encodings]
            counts = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
            tokens = (token for row in rows for token in row)
            flat.append(np.fromiter(tokens, dtype=np.int32, count=int(counts.sum())))
            lengths.append(counts)
            # `overflowing` builds objects: ask only where the limit was reached.
            too_long = counts == limit
            for row in np.flatnonzero(too_long):
                too_long[row] = bool(encodings[row].overflowing)
            cut.append(too_long)
        counts = np.concatenate(lengths)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return TokenIds(np.concatenate(flat), offsets, cut=np.concatenate(cut))

    def prompt_length(self, prompt: str) -> int:
        """How many tokens a prompt takes."""
        return int(self([prompt]).lengths[0])

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json into `folder`."""
        self.tokenizer.save(str(Path(folder) / "tokenizer.json"))
