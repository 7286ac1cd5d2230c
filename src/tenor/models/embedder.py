"""A bi-encoder: texts to vectors that can be compared (Reimers & Gurevych 2019).

Shape legend: N texts, D dimensions of an embedding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tenor.errors import ConfigError, ModelError
from tenor.formats.layout import EmbedderLayout
from tenor.formats.locate import hash_model, locate
from tenor.formats.model_card import model_card
from tenor.formats.sentence_transformers import read_layout, write_layout
from tenor.models.checks import check_positive
from tenor.models.dense import Dense
from tenor.models.embedder_settings import settings_of
from tenor.models.encode import encode_all, encode_blocks
from tenor.models.encode_options import EncodeKeywords, encode_options
from tenor.models.encoder import Encoder
from tenor.models.loading import best_device, length_limit, place
from tenor.models.pooling import Pooling
from tenor.models.pretrained import load_tokenizer
from tenor.models.saving import SavedModel
from tenor.models.similarity import SIMILARITIES, similarities
from tenor.tokens.packed import PackedBatch
from tenor.tokens.tokenizer import Tokenizer

__all__ = ["Embedder", "best_device"]

log = logging.getLogger("tenor")


class Embedder(nn.Module, SavedModel):
    """A bi-encoder: encoder, pooling, optional dense layers, optional normalisation.

    Make one with `Embedder.load`.

    Args:
        encoder: the encoder.
        tokenizer: its tokenizer, with the length limit.
        pooling: pooling modes; see `Pooling`.
        dense: dense layers between pooling and normalisation.
        normalize: whether embeddings are scaled to length 1.
        prompts: texts to put before a text, by name.
        default_prompt: name of the prompt used when none is asked for.
        include_prompt: whether pooling sees the prompt's tokens.
        similarity: how two embeddings compare: cosine, dot, euclidean or manhattan.
        truncate_dim: keep only so many leading dimensions (Matryoshka), or `None` for all.

    Raises:
        ConfigError: for a setting that cannot be, such as dense layers that do not fit together.
    """

    def __init__(
        self,
        encoder: Encoder,
        tokenizer: Tokenizer,
        *,
        pooling: Sequence[str] = ("mean",),
        dense: Sequence[Dense] = (),
        normalize: bool = False,
        prompts: Mapping[str, str] | None = None,
        default_prompt: str | None = None,
        include_prompt: bool = True,
        similarity: str = "cosine",
        truncate_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.pooling = Pooling(tuple(pooling), encoder.width)
        self.dense = nn.ModuleList(dense)
        self.normalize = normalize
        self.prompts = dict(prompts or {})
        self.default_prompt = default_prompt
        self.include_prompt = include_prompt
        width = self.pooling.out_features
        for layer in dense:
            if layer.in_features != width:
                given = f"a layer that takes {layer.in_features} dimensions"
                raise ConfigError("dense", given, f"one that takes {width}, as many as it is given")
            width = layer.out_features
        if similarity not in SIMILARITIES:
            raise ConfigError("similarity", similarity, f"one of {', '.join(SIMILARITIES)}")
        self.similarity_name = similarity
        check_positive("truncate_dim", truncate_dim)
        self.truncate_dim = truncate_dim
        self.name = "embedder"
        self.sha256 = None

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
    ) -> Embedder:
        """Load an embedder: never runs remote code, never unpickles.

        Args:
            name: a folder (sentence-transformers' layout, old or new, or a plain `transformers`
                encoder), `"all-MiniLM-L6-v2"`, or a hub id.
            device: `"cpu"`, `"cuda"`, `"mps"`; the best there is by default.
            dtype: dtype of the products: `"auto"` (bf16 where the hardware has it), `"bf16"`,
                `"fp32"`.
            revision: branch, tag or commit on the hub.
            max_seq_length: another limit of tokens a text; the folder's by default.
            truncate_dim: keep only so many leading dimensions.
            pooling: another pooling, for a plain encoder.

        Raises:
            ModelError: when the folder cannot be read or does not describe an embedder.
            ConfigError: for a device, dtype, length or pooling that cannot be.
        """
        folder = locate(name, revision=revision)
        layout = read_layout(folder)
        if layout.kind == "static":
            from tenor.models.static import StaticEmbedder

            return StaticEmbedder.load(
                name, device=device, dtype=dtype, revision=revision, max_seq_length=max_seq_length,
                truncate_dim=truncate_dim, pooling=pooling,
            )  # fmt: skip
        if layout.kind != "transformer":
            raise ModelError(f"{folder} holds a {layout.kind} model, not a transformer embedder.")
        encoder = Encoder.load(layout.transformer)
        raw = load_tokenizer(layout.transformer)
        limit = length_limit(max_seq_length, layout.max_seq_length, encoder, raw)
        modes = (pooling,) if isinstance(pooling, str) else pooling
        model = cls(
            encoder,
            Tokenizer(raw, limit, lower_case=layout.do_lower_case),
            pooling=modes or layout.pooling,
            include_prompt=layout.include_prompt,
            **settings_of(layout, truncate_dim),
        )
        model.name = str(name)
        model.sha256 = hash_model(folder)
        where = place(model, encoder, device, dtype)
        what = f"{model.dimensions} dimensions, at most {limit} tokens a text"
        log.info("%s: %s, %s", name, what, where)
        return model.eval()

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.encoder.device

    @property
    def dimensions(self) -> int:
        """Number of dimensions D of an embedding."""
        layers = self.dense_layers
        full = layers[-1].out_features if layers else self.pooling.out_features
        return min(full, self.truncate_dim or full)

    @property
    def dense_layers(self) -> list[Dense]:
        """The dense layers behind the pooling, in their order."""
        return [layer for layer in self.dense if isinstance(layer, Dense)]

    @property
    def max_seq_length(self) -> int:
        """Tokens of a text that count, special tokens included; the rest is cut off."""
        return self.tokenizer.max_length

    def unused_parameters(self) -> list[nn.Parameter]:
        """Parameters that no embedding depends on: the pooler that BERT's family brings along."""
        named = self.encoder.transformer.named_parameters()
        return [parameter for name, parameter in named if "pooler" in name.split(".")]

    def forward(self, batch: PackedBatch, skip: int = 0, normalize: bool | None = None) -> Tensor:
        """Embed a packed batch.

        Args:
            batch: N texts.
            skip: tokens of a prompt that pooling leaves out.
            normalize: scale to length 1; as the model does by default.

        Returns:
            (N, D) fp32, in the order of the batch.
        """
        return self.finish(self.pooling(self.encoder(batch), batch, skip), normalize)

    def finish(self, vectors: Tensor, normalize: bool | None = None) -> Tensor:
        """Embeddings (N, D) of pooled vectors (N, W): dense layers, length, dimensions."""
        for layer in self.dense:
            vectors = layer(vectors)
        if self.normalize if normalize is None else normalize:
            vectors = nn.functional.normalize(vectors, dim=1)
        # Cut last and not normalised again, as sentence-transformers reads the same folder.
        return vectors if self.truncate_dim is None else vectors[:, : self.truncate_dim]

    def encode(
        self,
        texts: str | Iterable[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        normalize: bool | None = None,
        dtype: str | None = None,
        truncate_dim: int | None = None,
        tokens_per_batch: int | None = None,
        progress: bool | None = None,
    ) -> npt.NDArray[np.float32]:
        """Embed texts, each distinct text once.

        Args:
            texts: one text, a list, or any iterable (taken block by block).
            prompt: text to put before each text.
            prompt_name: name of one of the model's prompts, instead.
            normalize: scale to length 1; as the model does by default.
            dtype: another dtype of the products for this call: `"bf16"` or `"fp32"`.
            truncate_dim: keep only so many leading dimensions.
            tokens_per_batch: tokens encoded at a time; chosen for the device by default.
            progress: show a progress bar on stderr; by default for long work on a terminal.

        Returns:
            (N, D) float32, in the order of the texts; (D,) for a single text.

        Raises:
            ConfigError: for a prompt name the model does not have.
            DataError: for something that is no text; it names its row.
        """
        vectors, _ = self.encode_counted(
            texts,
            prompt=prompt,
            prompt_name=prompt_name,
            normalize=normalize,
            dtype=dtype,
            truncate_dim=truncate_dim,
            tokens_per_batch=tokens_per_batch,
            progress=progress,
        )
        return vectors[0] if isinstance(texts, str) else vectors

    def encode_counted(
        self, texts: str | Iterable[str], **options: Unpack[EncodeKeywords]
    ) -> tuple[npt.NDArray[np.float32], int]:
        """Like `encode`, and how many texts were truncated to the length limit."""
        several = [texts] if isinstance(texts, str) else texts
        return encode_all(self, several, encode_options(self, **options))

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
            total: how many there are, for the progress bar, if known.
            **options: of `encode`.

        Yields:
            The vectors of each block, and how many of its texts were truncated.
        """
        return encode_blocks(self, blocks, encode_options(self, **options), total=total)

    def similarity(
        self, left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """How similar each left embedding (N, D) is to each right one (M, D): (N, M).

        Higher is nearer: distances are negative. A single embedding (D,) counts as one row.
        """
        return similarities(left, right, self.similarity_name)

    def write(self, folder: Path) -> None:
        """Write sentence-transformers' layout."""
        self.encoder.save(folder)
        self.tokenizer.save(folder)
        tensors = [layer.tensors() for layer in self.dense_layers]
        write_layout(folder, self.layout(folder), tensors)

    def card(
        self, *, name: str, training: dict[str, Any] | None, evaluation: Sequence[dict[str, Any]]
    ) -> str:
        """The model card; see `model_card`."""
        return model_card(
            name=name,
            base_model=self.name,
            layout=self.layout(Path(name)),
            dimensions=self.dimensions,
            training=training,
            evaluation=evaluation,
        )

    def layout(self, folder: Path) -> EmbedderLayout:
        """What a folder of this model says, as data."""
        return EmbedderLayout(
            transformer=folder,
            max_seq_length=self.max_seq_length,
            do_lower_case=self.tokenizer.lower_case,
            pooling=self.pooling.modes,
            include_prompt=self.include_prompt,
            dense=tuple(layer.spec for layer in self.dense_layers),
            normalize=self.normalize,
            prompts=self.prompts,
            default_prompt=self.default_prompt,
            similarity=self.similarity_name,  # type: ignore[arg-type]
            truncate_dim=self.truncate_dim,
        )
