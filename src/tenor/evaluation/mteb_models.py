"""Tenor's models as mteb's `EncoderProtocol` and `CrossEncoderProtocol`.

Shape legend: N texts or pairs, D dimensions, M other texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tenor.errors import ConfigError, ModelError
from tenor.evaluation.mteb_meta import model_meta
from tenor.evaluation.remembered import RememberedVectors
from tenor.evaluation.similarity import pair_similarities
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder
from tenor.models.encode_options import DOCUMENT_PROMPTS, QUERY_PROMPTS
from tenor.models.similarity import similarities

__all__ = ["MtebCrossEncoder", "MtebEmbedder"]

Vectors = npt.NDArray[np.float32]


class MtebEmbedder:
    """An embedder, static or not, as mteb's `EncoderProtocol`.

    Each distinct text of a task is encoded once, whatever the number of calls it comes in: texts
    are remembered until the next task. mteb's batch size has no meaning here.

    A text's prompt is chosen as mteb does for sentence-transformers: the first there is among the
    model's prompts named after task and side, task, type of task and side, type of task, side;
    for queries and documents then the names that sentence-transformers knows for the side; else
    the model's default prompt.

    Args:
        model: the embedder, or what `Embedder.load` takes.
        revision: on the hub, of a model that is loaded.
        device: for a model that is loaded.
        name: to tell mteb; see `model_meta`.
        meta_revision: to tell mteb; see `model_meta`.
        **options: of `Embedder.load`.

    Attributes:
        truncated: distinct texts so far that were longer than the model reads.
    """

    def __init__(
        self,
        model: Embedder | str,
        revision: str | None = None,
        *,
        device: str | None = None,
        name: str | None = None,
        meta_revision: str | None = None,
        **options: Any,
    ) -> None:
        if isinstance(model, str):
            model = Embedder.load(model, revision=revision, device=device, **options)
        self.model = model
        self._remembered = RememberedVectors(model)
        self._meta = model_meta(model, name=name, revision=meta_revision)

    @property
    def mteb_model_meta(self) -> Any:
        """The model's `ModelMeta`."""
        return self._meta

    @property
    def truncated(self) -> int:
        """Distinct texts so far that were longer than the model reads."""
        return self._remembered.truncated

    def encode(
        self,
        inputs: Iterable[Any],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **options: Any,
    ) -> Vectors:
        """Embed texts; see `EncoderProtocol.encode`.

        Args:
            inputs: batches, dictionaries with N texts in all under `text`.
            task_metadata: of the task; decides the prompt.
            hf_split: not used.
            hf_subset: not used.
            prompt_type: `query` or `document`, or `None` where the task has no sides.
            **options: mteb's batch size and progress bar are not used.

        Returns:
            (N, D) float32.

        Raises:
            ConfigError: another `precision` than float32 is asked for.
        """
        precision = options.get("precision")
        if precision not in (None, "float32"):
            raise ConfigError("precision", precision, "float32: nothing else is given here")
        texts = [text for batch in inputs for text in batch["text"]]
        prompt = self.prompt_for(task_metadata, prompt_type)
        return self._remembered.vectors(texts, prompt=prompt, scope=task_metadata.name)

    def prompt_for(self, task_metadata: Any, prompt_type: Any = None) -> str | None:
        """The text that is put before each text of a task; `None` for the model's default.

        Args:
            task_metadata: of the task.
            prompt_type: `query` or `document`, or `None` where the task has no sides.
        """
        from mteb.models.abs_encoder import get_prompt_name

        prompts = self.model.prompts
        chosen = get_prompt_name(prompts, task_metadata, prompt_type)
        if chosen is None and prompt_type is not None:
            names = QUERY_PROMPTS if prompt_type.value == "query" else DOCUMENT_PROMPTS
            chosen = next((name for name in names if name in prompts), None)
        return None if chosen is None else prompts[chosen]

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """How similar each of N embeddings is to each of M others, (N, M), by the model's measure.

        Args:
            embeddings1: (N, D), or (D,) for one.
            embeddings2: (M, D), or (D,) for one.
        """
        left, right = _as_array(embeddings1), _as_array(embeddings2)
        return torch.from_numpy(similarities(left, right, self.model.similarity_name))

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """How similar each embedding is to the one in its place, (N,), by the model's measure.

        Args:
            embeddings1: (N, D).
            embeddings2: (N, D).
        """
        left, right = _as_array(embeddings1), _as_array(embeddings2)
        return torch.from_numpy(pair_similarities(left, right)[self.model.similarity_name])


class MtebCrossEncoder:
    """A cross-encoder that gives one score as mteb's `CrossEncoderProtocol`, for re-ranking.

    Each distinct pair of a task is scored once.

    Args:
        model: the cross-encoder, or what `CrossEncoder.load` takes.
        revision: on the hub, of a model that is loaded.
        device: for a model that is loaded.
        name: to tell mteb; see `model_meta`.
        meta_revision: to tell mteb; see `model_meta`.
        **options: of `CrossEncoder.load`.

    Attributes:
        truncated: pairs so far that were longer than the model reads.

    Raises:
        ModelError: the model gives labels instead of a score.
    """

    def __init__(
        self,
        model: CrossEncoder | str,
        revision: str | None = None,
        device: str | None = None,
        *,
        name: str | None = None,
        meta_revision: str | None = None,
        **options: Any,
    ) -> None:
        if isinstance(model, str):
            model = CrossEncoder.load(model, revision=revision, device=device, **options)
        if model.classes != 1:
            raise ModelError(
                f"{model.name} gives {model.classes} labels; only a cross-encoder that gives a "
                "single score can rank."
            )
        self.model, self.truncated = model, 0
        self._meta = model_meta(model, name=name, revision=meta_revision)

    @property
    def mteb_model_meta(self) -> Any:
        """The model's `ModelMeta`."""
        return self._meta

    def predict(
        self,
        inputs1: Iterable[Any],
        inputs2: Iterable[Any],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **options: Any,
    ) -> Vectors:
        """Score pairs; see `CrossEncoderProtocol.predict`.

        Args:
            inputs1: batches, dictionaries with N texts in all under `text`: queries.
            inputs2: the same for documents.
            task_metadata: not used.
            hf_split: not used.
            hf_subset: not used.
            prompt_type: not used.
            **options: mteb's batch size and progress bar are not used.

        Returns:
            (N,) float32.
        """
        pairs = list(zip(_texts_of(inputs1), _texts_of(inputs2), strict=True))
        scores, cut = self.model.score_counted(pairs)
        self.truncated += cut
        return scores


def _texts_of(inputs: Iterable[Any]) -> Iterator[str]:
    for batch in inputs:
        yield from batch["text"]


def _as_array(embeddings: Any) -> Vectors:
    if isinstance(embeddings, torch.Tensor):
        embeddings = embeddings.detach().cpu().float().numpy()
    return np.asarray(embeddings, dtype=np.float32)
