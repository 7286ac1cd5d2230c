"""What frozen blocks make of the texts, computed once instead of in every epoch.

The vectors of all tokens lie end to end, as the token ids do, in memory or in a memory-mapped file:

prefix-DEPTH-HASH/
  header.json   what they were made of: weights, texts, dtype, depth, shape
  states.bin    (T, W), row by row

The dtype is the one in which the blocks hand their output on, so that nothing is lost: training
from here on gives the loss that it gives from the tokens on.

Shape legend: T tokens of all distinct texts, W width of a block's output.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tenor.formats.atomic import sync
from tenor.models.bulk import TOKENS_PER_BATCH, evaluating, progress_bar
from tenor.models.encoder import Encoder
from tenor.tokens.packed import PackedBatch
from tenor.tokens.plan import batches_by_length
from tenor.tokens.token_ids import TokenIds
from tenor.tokens.token_states import TokenStates

__all__ = ["PrefixCache"]

HEADER, STATES = "header.json", "states.bin"
# What a configuration says of other things than the output of the blocks.
NO_MATTER = (
    "_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype", "id2label",
    "label2id", "problem_type", "classifier_dropout", "classifier_pooling",
)  # fmt: skip


@dataclass(frozen=True)
class PrefixCache:
    """The states of some texts behind an encoder's first blocks, and how to get them.

    Args:
        encoder: its first `depth` blocks, and all before them, are frozen.
        depth: how many blocks.
        ids: the texts.
        filler_id: token to fill a row of tokens up with.
    """

    encoder: Encoder
    depth: int
    ids: TokenIds
    filler_id: int
    _headers: dict[int, dict[str, Any]] = field(default_factory=dict, init=False, repr=False)

    @property
    def tokens(self) -> int:
        """Tokens of all texts."""
        return len(self.ids.ids)

    def header(self, depth: int | None = None) -> dict[str, Any]:
        """What the states of a depth depend on; of this one by default."""
        depth = self.depth if depth is None else depth
        if depth in self._headers:
            return dict(self._headers[depth])
        config = self.encoder.transformer.config.to_dict()
        kept = {key: value for key, value in config.items() if key not in NO_MATTER}
        self._headers[depth] = {
            "version": 1,
            "depth": depth,
            "weights": self._hash_weights(depth),
            "config": hashlib.sha256(
                json.dumps(kept, sort_keys=True, default=str).encode()
            ).hexdigest(),
            # Token ids, not texts: so another tokenizer or another limit of length shows, too.
            "texts": _hash_ids(self.ids),
            "dtype": str(self.encoder.dtype).removeprefix("torch."),
        }
        return dict(self._headers[depth])

    def find(self, folder: Path, depth: int | None = None) -> TokenStates | None:
        """The states of a depth that lie in a folder, if they were made of the very same."""
        header = self.header(depth)
        place = folder / _name(header)
        try:
            found = json.loads((place / HEADER).read_text(encoding="utf-8"))
            dtype, shape = getattr(torch, found.pop("states_dtype")), found.pop("shape")
            path = place / STATES
            if found != header or path.stat().st_size != shape[0] * shape[1] * dtype.itemsize:
                return None
            return TokenStates(header["depth"], _mapped(path, shape, dtype))
        except (OSError, ValueError, KeyError, AttributeError):
            return None

    def nearest(self, folder: Path) -> TokenStates | None:
        """The states of the deepest earlier depth that lie in a folder."""
        for depth in range(self.depth - 1, 0, -1):
            if any(folder.glob(f"prefix-{depth}-*")):
                found = self.find(folder, depth)
                if found is not None:
                    return found
        return None

    def fill(self, folder: Path | None = None, start: TokenStates | None = None) -> TokenStates:
        """Run the frozen blocks over every text once, in large batches.

        Args:
            folder: where the states go; into memory by default.
            start: states of an earlier depth to go on from.
        """
        if folder is None:
            shape, dtype = self._shape()
            return TokenStates(self.depth, self._run(torch.empty(shape, dtype=dtype), start))
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".filling-*"):
            if not _alive(left):
                shutil.rmtree(left, ignore_errors=True)
        header = self.header()
        scratch = Path(tempfile.mkdtemp(prefix=f".filling-{os.getpid()}-", dir=folder))
        try:
            shape, dtype = self._shape()
            path = scratch / STATES
            with path.open("wb") as file:
                file.truncate(shape[0] * shape[1] * dtype.itemsize)
            self._run(_mapped(path, shape, dtype, shared=True), start)
            sync(path)
            header |= {"states_dtype": str(dtype).removeprefix("torch."), "shape": list(shape)}
            (scratch / HEADER).write_text(json.dumps(header, indent=1), encoding="utf-8")
            sync(scratch / HEADER)
            place = folder / _name(header)
            shutil.rmtree(place, ignore_errors=True)  # not what its name says, or it would be used
            scratch.rename(place)
            sync(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return TokenStates(self.depth, _mapped(place / STATES, shape, dtype))

    def bytes(self) -> int:
        """What the states take."""
        (tokens, width), dtype = self._shape()
        return tokens * width * dtype.itemsize

    def _shape(self) -> tuple[tuple[int, int], torch.dtype]:
        """Their shape and dtype, from one text."""
        with evaluating(self.encoder, self.encoder), torch.no_grad():
            one = PackedBatch.of(self.ids, [int(self.ids.lengths.argmin())])
            found = self.encoder.states(one.to(self.encoder.device), self.depth)
        return (self.tokens, found.shape[1]), found.dtype

    def _run(self, out: Tensor, start: TokenStates | None) -> Tensor:
        ids = replace(self.ids, states=start)
        budget = TOKENS_PER_BATCH.get(self.encoder.device.type, 8_192)
        with (
            evaluating(self.encoder, self.encoder),
            torch.no_grad(),
            progress_bar(None, len(ids), f"{self.depth} frozen blocks") as bar,
        ):
            for rows in batches_by_length(ids.lengths, budget):
                batch = PackedBatch.of(ids, rows, filler_id=self.filler_id)
                found = self.encoder.states(batch.to(self.encoder.device), self.depth)
                lengths = ids.lengths[rows]
                places = np.repeat(ids.offsets[rows] - np.cumsum(lengths) + lengths, lengths)
                index = torch.from_numpy(places + np.arange(len(places)))
                out.index_copy_(0, index, found[: len(index)].to(out.device))
                if bar is not None:
                    bar.advance(bar.task_ids[0], len(rows))
        return out

    def _hash_weights(self, depth: int) -> str:
        digest = hashlib.sha256()
        levels = self.encoder.blocks.levels
        for name, value in sorted(self.encoder.transformer.named_parameters()):
            if levels[name] <= depth:
                digest.update(f"{name} {tuple(value.shape)}".encode())
                digest.update(value.detach().cpu().contiguous().numpy())
        return digest.hexdigest()


def _name(header: dict[str, Any]) -> str:
    parts = {key: header[key] for key in ("version", "weights", "config", "texts", "dtype")}
    code = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return f"prefix-{header['depth']}-{code[:16]}"


def _hash_ids(ids: TokenIds) -> str:
    digest = hashlib.sha256()
    for part in (ids.ids, ids.offsets, ids.types):
        digest.update(b"none" if part is None else np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _mapped(path: Path, shape: Any, dtype: torch.dtype, *, shared: bool = False) -> Tensor:
    size = int(shape[0]) * int(shape[1])
    return torch.from_file(str(path), shared=shared, size=size, dtype=dtype).view(*shape)


def _alive(scratch: Path) -> bool:
    """Whether the process that fills a folder is still there."""
    try:
        os.kill(int(scratch.name.split("-")[1]), 0)
    except PermissionError:
        return True
    except (OSError, ValueError, IndexError):
        return False
    return True
