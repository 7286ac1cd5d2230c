"""A static embedder: one vector a token, and a text is the mean of its tokens' vectors.

No attention, no context: some hundred times faster than an encoder, and the form in which Word2Vec
(Mikolov et al. 2013) and distilled models take part in everything else.

Shape legend: V tokens of the vocabulary, D dimensions, N texts, T tokens of all texts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from tenor.errors import ConfigError, ModelError
from tenor.formats.layout import EmbedderLayout
from tenor.formats.locate import hash_model, locate
from tenor.formats.sentence_transformers import read_layout
from tenor.formats.static import read_table, write_static
from tenor.models.bulk import cut_in_blocks
from tenor.models.embedder import Embedder
from tenor.models.embedder_settings import EmbedderSettings, settings_of
from tenor.models.encode import join_blocks, width_of
from tenor.models.encode_options import EncodeKeywords, encode_options
from tenor.models.loading import RunOptions, resolve_device
from tenor.models.token_table import TokenTable
from tenor.tokens.packed import PackedBatch
from tenor.tokens.static_tokenizer import NO_LIMIT, StaticTokenizer
from tenor.tokens.text_check import check_texts
from tenor.tokens.token_ids import TokenIds

__all__ = ["StaticEmbedder"]

log = logging.getLogger("tenor")

BLOCK = 16_384  # texts that are tokenised and averaged together


class StaticEmbedder(Embedder):
    """An embedder without an encoder: the mean of its tokens' vectors.

    Reads and writes the folders of sentence-transformers' `StaticEmbedding`, with the same vectors
    there and here. Make one with `StaticEmbedder.load`, `train_word2vec` or `distill`.

    Args:
        vectors: (V, D) a row for each token id, weights included.
        tokenizer: of the `tokenizers` library, or a `StaticTokenizer`.
        **settings: dense, normalize, prompts, default_prompt, similarity and truncate_dim, as
            `Embedder` takes them; embeddings are scaled to length 1 by default.

    Raises:
        ConfigError: when the vectors are no matrix, or not all tokens have one.
    """

    encoder: Any
    tokenizer: Any

    def __init__(
        self,
        vectors: npt.NDArray[np.float32] | Tensor,
        tokenizer: Any,
        **settings: Unpack[EmbedderSettings],
    ) -> None:
        if not isinstance(tokenizer, StaticTokenizer):
            tokenizer = StaticTokenizer(tokenizer)
        table: Any = TokenTable(vectors)
        largest = max(tokenizer.vocabulary.values(), default=-1)
        if largest >= len(table.words.weight):
            given = f"{len(table.words.weight)} rows"
            raise ConfigError("vectors", given, f"{largest + 1} rows, one for each token")
        settings.setdefault("normalize", True)
        super().__init__(table, tokenizer, **settings)
        self.name = "static embedder"

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        truncate_dim: int | None = None,
        pooling: str | Sequence[str] | None = None,
        **options: Unpack[RunOptions],
    ) -> StaticEmbedder:
        """Load a static embedder: never runs remote code, never unpickles.

        Args:
            name: a folder with a `StaticEmbedding` in sentence-transformers' layout, or a hub id.
            revision: branch, tag or commit on the hub.
            truncate_dim: keep only so many leading dimensions.
            pooling: `"mean"`; there is no other.
            **options: device, dtype and max_seq_length, as `Embedder.load` takes them; `"auto"` and
                `"fp32"` alone, since there are no products that another dtype would speed up, and
                no limit of tokens by default.

        Raises:
            ModelError: when the folder cannot be read or holds no static embedder.
            ConfigError: for another dtype or pooling.
        """
        _check_dtype(options.get("dtype"))
        if pooling not in (None, "mean", ("mean",), ["mean"]):
            raise ConfigError("pooling", pooling, "mean for a static embedder")
        folder = locate(name, revision=revision)
        layout = read_layout(folder)
        if layout.kind != "static":
            raise ModelError(f"{folder} holds a {layout.kind} embedder: load it with Embedder.load")
        vectors, tokenizer = read_table(layout.transformer)
        model = cls(
            vectors,
            StaticTokenizer(tokenizer, options.get("max_seq_length")),
            **settings_of(layout, truncate_dim),
        )
        model.name = str(name)
        model.sha256 = hash_model(folder)
        model.to(resolve_device(options.get("device")))
        what = f"{model.dimensions} dimensions, {len(vectors):,} tokens"
        log.info("%s: static, %s, on %s", name, what, model.device)
        return model.eval()

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """(V, D) the row of each token id."""
        found: npt.NDArray[np.float32] = self.encoder.words.weight.detach().cpu().numpy()
        return found

    def forward(self, batch: PackedBatch, skip: int = 0, normalize: bool | None = None) -> Tensor:
        """Embed a packed batch.

        Args:
            batch: N texts.
            skip: not used: a prompt's tokens count like any others.
            normalize: scale to length 1; as the model does by default.

        Returns:
            (N, D) fp32, in the order of the batch.
        """
        offsets = np.concatenate([[0], np.cumsum(batch.lengths)])
        found = self.encoder(batch.token_ids, torch.from_numpy(offsets).to(batch.device))
        return self.finish(found[: batch.texts], normalize)

    def encode_counted(
        self, texts: str | Iterable[str], **options: Unpack[EncodeKeywords]
    ) -> tuple[npt.NDArray[np.float32], int]:
        """Like `encode`, and how many texts were truncated to the length limit, if there is one."""
        several = [texts] if isinstance(texts, str) else texts
        found = self.encode_blocks(cut_in_blocks(several, BLOCK), **options)
        return join_blocks(found, width_of(self, options.get("truncate_dim")))

    def encode_blocks(
        self,
        blocks: Iterable[Sequence[str]],
        *,
        total: int | None = None,
        **options: Unpack[EncodeKeywords],
    ) -> Iterator[tuple[npt.NDArray[np.float32], int]]:
        """Embed block after block of texts, in flat memory.

        Args:
            blocks: the texts.
            total: not used: it is done before a progress bar would help.
            **options: of `encode`; `tokens_per_batch` is not needed, a mean takes no memory.

        Yields:
            The vectors of each block, and how many of its texts were truncated.
        """
        _check_dtype(options.get("dtype"))
        chosen = encode_options(self, **options)
        before, normalize = chosen.prompt, chosen.normalize
        width = width_of(self, chosen.truncate_dim)
        done = 0
        for block in blocks:
            check_texts(block, before=done)
            done += len(block)
            ids = self.tokenizer([before + text for text in block] if before else block)
            with torch.inference_mode():
                found = self.finish(self._means(ids), normalize)[:, :width]
                if normalize and width < found.shape[1]:
                    found = F.normalize(found, dim=1)
            yield found.cpu().numpy(), ids.truncated

    def neighbours(self, text: str, *, minus: str = "", count: int = 10) -> list[tuple[str, float]]:
        """The words, and phrases, whose vectors are nearest to that of a text.

        Args:
            text: a word, or several: their mean counts.
            minus: words whose vectors are taken away, as in king − man + woman (`text="king
                woman"`, `minus="man"`).
            count: how many to give.

        Returns:
            Words and cosine similarities, nearest first; the given words are left out.

        Raises:
            ConfigError: when a text has no known word.
        """
        from tenor.models.neighbours import nearest_words

        return nearest_words(self, text, minus=minus, count=count)

    def write(self, folder: Path) -> None:
        """Write sentence-transformers' `StaticEmbedding`."""
        tensors = [layer.tensors() for layer in self.dense_layers]
        write_static(folder, self.vectors, self.tokenizer.tokenizer, self.layout(folder), tensors)

    def layout(self, folder: Path) -> EmbedderLayout:
        """What a folder of this model says, as data."""
        limit = None if self.max_seq_length == NO_LIMIT else self.max_seq_length
        return replace(super().layout(folder), kind="static", max_seq_length=limit)

    def _means(self, ids: TokenIds) -> Tensor:
        device = self.device
        tokens = torch.from_numpy(np.ascontiguousarray(ids.ids, dtype=np.int64)).to(device)
        means: Tensor = self.encoder(tokens, torch.from_numpy(ids.offsets).to(device))
        return means


def _check_dtype(dtype: str | None) -> None:
    if dtype not in (None, "auto", "fp32"):
        raise ConfigError("dtype", dtype, "auto or fp32: a static embedder has no products")
