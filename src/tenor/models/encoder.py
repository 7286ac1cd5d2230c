"""Any `transformers` encoder, run on packed texts where it can be, padded where it cannot.

Shape legend: T tokens of the row, W width of the encoder.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from tenor.errors import ModelError
from tenor.models.attention import LAYOUT, PACKED, register
from tenor.models.blocks import Blocks
from tenor.models.padded import pad_texts
from tenor.models.precision import resolve_dtype, set_precision
from tenor.models.pretrained import check_complete, load_pretrained, quiet
from tenor.models.probe import is_close, unlike_texts
from tenor.tokens.packed import PackedBatch
from tenor.tokens.token_ids import TokenIds
from tenor.tokens.token_states import TokenStates

__all__ = ["Encoder"]

log = logging.getLogger("tenor")

TOLERANCE = 2e-5  # of the probe, relative to the largest activation


class Encoder(nn.Module):
    """A `transformers` encoder that takes a `PackedBatch` and gives one vector a token.

    Whether an architecture runs packed is not looked up but tried, when the encoder is made: a few
    texts packed in one row must come out as each does alone. If they do not, texts are padded.

    Args:
        transformer: a `transformers` encoder, in fp32, in memory.
        packed: `None` to probe; `False` to force padding.
        dtype: dtype of the products: `"auto"`, `"bf16"` or `"fp32"`.
    """

    def __init__(
        self, transformer: Any, *, packed: bool | None = None, dtype: str | torch.dtype = "fp32"
    ) -> None:
        super().__init__()
        if getattr(transformer.config, "is_encoder_decoder", False):
            raise ModelError(
                f"{type(transformer).__name__} is an encoder-decoder; load its encoder instead."
            )
        self.transformer = transformer
        accepted = inspect.signature(transformer.forward).parameters
        self._takes_types = "token_type_ids" in accepted
        self._takes_positions = "position_ids" in accepted
        self._position_offset = 0
        self._plain_attention = transformer.config._attn_implementation
        self._padding_leaks = False
        self._blocks: Blocks | None = None
        self._still: tuple[nn.Module, ...] = ()
        self.packed = False
        with quiet(), torch.no_grad():
            self._probe(may_pack=packed is not False)
        self._works: dict[tuple[torch.dtype, str], bool] = {}
        self.dtype = torch.float32
        self.set_dtype(dtype)

    @classmethod
    def load(
        cls, folder: str | Path, *, packed: bool | None = None, dtype: str | torch.dtype = "fp32"
    ) -> Encoder:
        """Load a `transformers` folder: safetensors only, never remote code.

        Raises:
            ModelError: when the folder is no encoder that `transformers` knows, or lacks weights
                that the vectors of a text depend on.
        """
        from transformers import AutoModel

        transformer, missing = load_pretrained(AutoModel, folder, "an encoder")
        encoder = cls(transformer, packed=packed, dtype=dtype)
        check_complete(folder, transformer, encoder.needed(missing), new_head=False)
        return encoder

    @property
    def width(self) -> int:
        """Width W of a token's vector."""
        return int(self.transformer.config.hidden_size)

    @property
    def blocks(self) -> Blocks:
        """The encoder's blocks, found by running a text.

        Raises:
            ModelError: it is not made of blocks that run one after another.
        """
        if self._blocks is None:
            training = self.transformer.training
            self.transformer.eval()
            text = PackedBatch.of(self._probe_texts(), [1], rounded=False).to(self.device)
            try:
                self._blocks = Blocks(self.transformer, lambda: self(text))
            finally:
                self.train(training)
        return self._blocks

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        device: torch.device = next(self.transformer.parameters()).device
        return device

    @property
    def max_positions(self) -> int | None:
        """Tokens that the position embeddings allow, or `None` when they set no limit."""
        limit = getattr(self.transformer.config, "max_position_embeddings", None)
        if not isinstance(limit, int) or limit <= 0:
            return None
        starts_late = self._position_offset or self._counts_from_padding()
        return limit - (self._padding_id + 1) if starts_late else limit

    def set_dtype(self, dtype: str | torch.dtype) -> None:
        """Choose the dtype of the products; parameters stay fp32.

        An architecture with operations that know no bf16 (FNet's Fourier transform) stays in fp32.
        """
        self.dtype = resolve_dtype(dtype, self.device)
        set_precision(self.transformer, self.dtype)
        if self.dtype != torch.float32 and not self._works_in(self.dtype):
            self.dtype = torch.float32
            set_precision(self.transformer, self.dtype)

    def save(self, folder: str | Path) -> None:
        """Write the encoder's configuration and weights into `folder`."""
        with quiet():
            self.transformer.save_pretrained(str(folder))

    def hold_still(self, parts: Iterable[nn.Module] = ()) -> None:
        """Leave some parts without dropout from here on, in training too; those before no longer.

        Args:
            parts: modules inside the encoder, such as frozen blocks.
        """
        self._still = tuple(parts)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode; what is held still stays in evaluation mode."""
        super().train(mode)
        for part in self._still:
            part.eval()
        return self

    def forward(self, batch: PackedBatch) -> Tensor:
        """Encode packed texts: (T, W), in the order of the row.

        Blocks whose output the batch brings along are not run.
        """
        return self._forward(batch)

    def states(self, batch: PackedBatch, depth: int) -> Tensor:
        """What the first blocks make of packed texts: (T, width of a block).

        Args:
            batch: the texts; may bring the states of an earlier depth.
            depth: how many blocks to run.
        """
        return self._forward(batch, depth)

    def needed(self, names: Collection[str]) -> list[str]:
        """Those of some parameters of `transformer` that a text's vectors depend on; tried.

        A pooler is none, nor is whatever else an architecture keeps for its heads.
        """
        asked = {
            name: value for name, value in self.transformer.named_parameters() if name in names
        }
        if not asked:
            return []
        with torch.inference_mode(False), torch.enable_grad():
            text = PackedBatch.of(self._probe_texts(), [1], rounded=False).to(self.device)
            total = self(text).float().sum()
            gradients = torch.autograd.grad(total, list(asked.values()), allow_unused=True)
        found = zip(asked, gradients, strict=True)
        return [name for name, gradient in found if gradient is not None]

    def resumes(self, depth: int) -> bool:
        """Whether going on from the states of a depth gives what a full run gives; tried."""
        before, training = self.dtype, self.training
        self.set_dtype("fp32")
        self.eval()
        batch = PackedBatch.of(self._probe_texts(), rounded=False).to(self.device)
        try:
            with torch.no_grad():
                states = TokenStates(depth, self.states(batch, depth))
                return is_close(self(replace(batch, states=states)), self(batch), 1e-5)
        except Exception as error:  # an unknown architecture may fail in any way
            log.debug("%s cannot go on from a block: %s", type(self.transformer).__name__, error)
            return False
        finally:
            self.set_dtype(before)
            self.train(training)

    def _forward(self, batch: PackedBatch, stop: int | None = None) -> Tensor:
        return (
            self._forward_packed(batch, stop) if self.packed else self._forward_padded(batch, stop)
        )

    def _run(
        self,
        inputs: Mapping[str, Any],
        start: int | None,
        states: Tensor | None,
        stop: int | None,
    ) -> Tensor:
        if start is None and stop is None:
            hidden: Tensor = self.transformer(**inputs).last_hidden_state
            return hidden
        return self.blocks.run(inputs, start=start, states=states, stop=stop)

    def _forward_packed(self, batch: PackedBatch, stop: int | None = None) -> Tensor:
        inputs: dict[str, Any] = {"input_ids": batch.token_ids[None], LAYOUT: batch.layout}
        if self._takes_positions:
            inputs["position_ids"] = batch.position_ids[None] + self._position_offset
        if self._takes_types:
            types = batch.type_ids
            inputs["token_type_ids"] = (
                torch.zeros_like(batch.token_ids) if types is None else types
            )[None]
        if batch.states is None:
            return self._run(inputs, None, None, stop)[0]
        return self._run(inputs, batch.states.depth, batch.states.vectors[None], stop)[0]

    def _forward_padded(self, batch: PackedBatch, stop: int | None = None) -> Tensor:
        start = None if batch.states is None else batch.states.depth
        # Fourier and convolutional mixing see the padding: texts of one length go together.
        texts = pad_texts(
            batch, self._padding_id, with_types=self._takes_types, one_length=self._padding_leaks
        )
        rows = [
            self._run(padded.inputs, start, padded.states, stop)[padded.mask] for padded in texts
        ]
        return rows[0] if len(rows) == 1 else torch.cat(rows)

    def _probe(self, *, may_pack: bool) -> None:
        """Find out what this architecture needs for a text to come out as it does alone."""
        training = self.transformer.training
        self.transformer.eval()
        ids = self._probe_texts()
        batch = PackedBatch.of(ids, rounded=False).to(self.device)
        alone = [PackedBatch.of(ids, [i], rounded=False).to(self.device) for i in range(len(ids))]
        expected = torch.cat([self._forward_padded(one) for one in alone])
        self.packed = may_pack and self._packs(batch, expected)
        if not self.packed:
            self.transformer.set_attn_implementation(self._plain_attention)
            self._padding_leaks = not is_close(self._forward_padded(batch), expected, TOLERANCE)
            name = type(self.transformer).__name__
            log.info("%s does not run packed here: its texts are padded.", name)
        self.transformer.train(training)

    def _packs(self, batch: PackedBatch, expected: Tensor) -> bool:
        """Whether the packed row gives `expected`; finds where positions begin."""
        register()
        name, padding = type(self.transformer).__name__, self._padding_id
        try:
            self.transformer.set_attn_implementation(PACKED)
        except Exception as error:  # an unknown architecture may fail in any way
            log.debug("packing: %s refuses: %s", name, error)
            return False
        for offset in dict.fromkeys((0, padding + 1 if self._takes_positions else 0)):
            self._position_offset = offset
            try:
                if is_close(self._forward_packed(batch), expected, TOLERANCE):
                    return True
            except Exception as error:
                log.debug("packing: %s cannot, positions from %d: %s", name, offset, error)
        self._position_offset = 0
        return False

    def _works_in(self, dtype: torch.dtype) -> bool:
        """Whether this architecture gets through a forward pass in `dtype`; tried once a device."""
        case = (dtype, self.device.type)
        if case not in self._works:
            training = self.transformer.training
            self.transformer.eval()
            batch = PackedBatch.of(self._probe_texts(), rounded=False).to(self.device)
            try:
                with torch.no_grad():
                    self(batch)
                self._works[case] = True
            except (RuntimeError, TypeError) as error:
                name = type(self.transformer).__name__
                log.warning("%s stays in fp32: it cannot work in %s: %s", name, dtype, error)
                self._works[case] = False
            self.transformer.train(training)
        return self._works[case]

    def _probe_texts(self) -> TokenIds:
        """Texts of unlike tokens and lengths, one of them longer than any attention window."""
        config = self.transformer.config
        window = getattr(config, "sliding_window", None) or getattr(config, "local_attention", 0)
        longest = min(max(17, int(window or 0) + 40), self.max_positions or 1024, 1024)
        return unlike_texts((3, min(11, longest), longest, 5), config)

    @property
    def _padding_id(self) -> int:
        return getattr(self.transformer.config, "pad_token_id", None) or 0

    def _counts_from_padding(self) -> bool:
        """RoBERTa's family numbers positions from the padding id on, and has so many fewer."""
        embeddings = getattr(self.transformer, "embeddings", None)
        return hasattr(embeddings, "create_position_ids_from_input_ids") or hasattr(
            embeddings, "create_position_ids_from_inputs_embeds"
        )
