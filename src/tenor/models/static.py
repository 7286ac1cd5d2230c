"""A static embedder: one vector a token, and a text is the mean of its tokens' vectors.

No attention, no context: some hundred times faster than an encoder, and the form in which Word2Vec
(Mikolov et al. 2013) and distilled models take part in everything else.

Shape legend: V tokens of the vocabulary, D dimensions, N texts, T tokens of all texts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from tenor.errors import ConfigError, ModelError
from tenor.formats.atomic import replaced_folder
from tenor.formats.layout import DenseSpec, EmbedderLayout
from tenor.formats.locate import hash_model, locate
from tenor.formats.sentence_transformers import read_layout
from tenor.formats.static import read_table, write_static
from tenor.models.dense import Dense
from tenor.models.embedder import Embedder
from tenor.models.encode_options import encode_options
from tenor.models.loading import best_device
from tenor.models.token_table import TokenTable
from tenor.tokens.packed import PackedBatch
from tenor.tokens.static_tokenizer import NO_LIMIT, StaticTokenizer
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
        dense: dense layers after the mean.
        normalize: whether embeddings are scaled to length 1.
        prompts: texts to put before a text, by name.
        default_prompt: name of the prompt used when none is asked for.
        similarity: how two embeddings compare: cosine, dot, euclidean or manhattan.
        truncate_dim: keep only so many leading dimensions, or `None` for all.
    """

    encoder: Any
    tokenizer: Any

    def __init__(
        self,
        vectors: npt.NDArray[np.float32] | Tensor,
        tokenizer: Any,
        *,
        dense: Sequence[Dense] = (),
        normalize: bool = True,
        prompts: Mapping[str, str] | None = None,
        default_prompt: str | None = None,
        similarity: str = "cosine",
        truncate_dim: int | None = None,
    ) -> None:
        if not isinstance(tokenizer, StaticTokenizer):
            tokenizer = StaticTokenizer(tokenizer)
        table: Any = TokenTable(vectors)
        super().__init__(
            table,
            tokenizer,
            dense=dense,
            normalize=normalize,
            prompts=prompts,
            default_prompt=default_prompt,
            similarity=similarity,
            truncate_dim=truncate_dim,
        )
        self.name = "static embedder"

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str = "auto",
        revision: str | None = None,
        max_seq_length: int | None = None,
        truncate_dim: int | None = None,
        pooling: str | Sequence[str] | None = None,
    ) -> StaticEmbedder:
        """Load a static embedder: never runs remote code, never unpickles.

        Args:
            name: a folder with a `StaticEmbedding` in sentence-transformers' layout, or a hub id.
            device: `"cpu"`, `"cuda"`, `"mps"`; the best there is by default.
            dtype: `"auto"` or `"fp32"`; there are no products that another would speed up.
            revision: branch, tag or commit on the hub.
            max_seq_length: tokens of a text that count; all by default.
            truncate_dim: keep only so many leading dimensions.
            pooling: `"mean"`; there is no other.

        Raises:
            ModelError: when the folder cannot be read or holds no static embedder.
            ConfigError: for another dtype or pooling.
        """
        _check_dtype(dtype)
        if pooling not in (None, "mean", ("mean",), ["mean"]):
            raise ConfigError("pooling", pooling, "mean for a static embedder")
        folder = locate(name, revision=revision)
        layout = read_layout(folder)
        if layout.kind != "static":
            raise ModelError(f"{folder} holds a {layout.kind} embedder: load it with Embedder.load")
        vectors, tokenizer = read_table(layout.transformer)
        model = cls(
            vectors,
            StaticTokenizer(tokenizer, max_seq_length),
            dense=[Dense.load(spec) for spec in layout.dense],
            normalize=layout.normalize,
            prompts=layout.prompts,
            default_prompt=layout.default_prompt,
            similarity=layout.similarity or "cosine",
            truncate_dim=layout.truncate_dim if truncate_dim is None else truncate_dim,
        )
        model.name = str(name)
        model.sha256 = hash_model(folder)
        model.to(best_device() if device is None else torch.device(device))
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
        return self._finish(found[: batch.texts], normalize)

    def encode_counted(
        self, texts: Iterable[str], **options: Any
    ) -> tuple[npt.NDArray[np.float32], int]:
        """Like `encode`, and how many texts were truncated to the length limit, if there is one."""
        several = [texts] if isinstance(texts, str) else texts
        total = len(several) if isinstance(several, Sequence) else None
        parts, truncated = [], 0
        for part, cut in self.encode_blocks(_blocks(several), total=total, **options):
            parts.append(part)
            truncated += cut
        if parts:
            return (parts[0] if len(parts) == 1 else np.concatenate(parts)), truncated
        width = min(self.dimensions, options.get("truncate_dim") or self.dimensions)
        return np.zeros((0, width), dtype=np.float32), 0

    def encode_blocks(
        self,
        blocks: Iterable[Sequence[str]],
        *,
        total: int | None = None,
        **options: Any,
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
        width = min(self.dimensions, chosen.truncate_dim or self.dimensions)
        for block in blocks:
            for row, text in enumerate(block):
                if not isinstance(text, str):
                    raise ConfigError(f"texts[{row}]", text, "a string")
            ids = self.tokenizer([before + text for text in block] if before else block)
            with torch.inference_mode():
                found = self._finish(self._means(ids), normalize)[:, :width]
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

    def save(self, folder: str | Path, *, card: str | None = None) -> None:
        """Write the model as sentence-transformers' `StaticEmbedding`, whole or not at all.

        Args:
            folder: replaced if it exists.
            card: text of README.md; a plain card by default.

        Raises:
            ModelError: when `folder` exists and holds something that is no model.
        """
        from tenor.formats.model_card import model_card

        with replaced_folder(folder) as target:
            dense = [layer for layer in self.dense if isinstance(layer, Dense)]
            layout = self.layout(target, [layer.spec for layer in dense])
            tensors = [layer.tensors() for layer in dense]
            write_static(target, self.vectors, self.tokenizer.tokenizer, layout, tensors)
            text = card or model_card(
                name=Path(folder).name,
                base_model=self.name,
                layout=layout,
                dimensions=self.dimensions,
                training=None,
                evaluation=[],
            )
            (target / "README.md").write_text(text, encoding="utf-8")

    def layout(self, folder: Path, dense: Sequence[DenseSpec] = ()) -> EmbedderLayout:
        """What a folder of this model says, as data."""
        limit = self.max_seq_length
        return EmbedderLayout(
            transformer=folder,
            kind="static",
            max_seq_length=None if limit == NO_LIMIT else limit,
            dense=tuple(replace(spec, weights=None) for spec in dense),
            normalize=self.normalize,
            prompts=self.prompts,
            default_prompt=self.default_prompt,
            similarity=self.similarity_name,  # type: ignore[arg-type]
            truncate_dim=self.truncate_dim,
        )

    def _means(self, ids: TokenIds) -> Tensor:
        device = self.device
        tokens = torch.from_numpy(np.ascontiguousarray(ids.ids, dtype=np.int64)).to(device)
        means: Tensor = self.encoder(tokens, torch.from_numpy(ids.offsets).to(device))
        return means

    def _finish(self, vectors: Tensor, normalize: bool | None) -> Tensor:
        for layer in self.dense:
            vectors = layer(vectors)
        if self.normalize if normalize is None else normalize:
            vectors = F.normalize(vectors, dim=1)
        return vectors if self.truncate_dim is None else vectors[:, : self.truncate_dim]


def _check_dtype(dtype: str | None) -> None:
    if dtype not in (None, "auto", "fp32"):
        raise ConfigError("dtype", dtype, "auto or fp32: a static embedder has no products")


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while block := list(islice(remaining, BLOCK)):
        yield block
