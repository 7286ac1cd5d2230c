"""Texts and their vectors on disk: each distinct text once, read back by number.

What stands in memory is a few numbers a text, however many there are.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tenor.data.mine import text_digests
from tenor.errors import DataError, ModelError
from tenor.models.embedder import Embedder

__all__ = ["BLOCK", "TextVectors", "scratch_folder"]

BLOCK = 32_768  # texts that stand in memory at a time

Rows = npt.NDArray[np.int64]


class TextVectors:
    """Distinct texts and their vectors, in files of a folder.

    Fill it with `add`, then `seal` it; only then can it be read.

    Args:
        folder: an empty folder, which the caller removes in the end.
        model: gives the vectors.
        form: texts for which this gives the same count as one.
        **options: of `Embedder.encode`.

    Attributes:
        vectors: (N, D) float32, mapped from disk.
        lines: (N,) number of each text among those given, from 0, empty ones counted.
        repeats: (R, 2) number of each repeat among the texts given, and N-number of its first.
        empty: texts given that hold nothing; they are left out.
        truncated: distinct texts that were longer than the model reads.
    """

    def __init__(
        self, folder: Path, model: Embedder, *, form: Callable[[str], str], **options: Any
    ) -> None:
        self.model, self.form, self.options = model, form, options
        self.given = self.empty = self.truncated = 0
        self._number: dict[int, int] = {}
        self._lines, self._repeats, self._offsets = array("q"), array("q"), array("q", [0])
        self._text_path, self._vector_path = folder / "texts.bin", folder / "vectors.bin"
        self._width = 0

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, blocks: Iterable[Sequence[str]], *, total: int | None = None) -> None:
        """Take in texts, block by block.

        Args:
            blocks: the texts.
            total: how many there are, for the progress bar, if known.

        Raises:
            ModelError: the model gives a vector that is not finite.
        """
        with open(self._text_path, "ab") as texts, open(self._vector_path, "ab") as vectors:
            new = self._new(blocks, texts)
            for found, cut in self.model.encode_blocks(new, total=total, **self.options):
                if not np.isfinite(found).all():
                    raise ModelError(
                        f"{self.model.name} gives NaN or infinite values: its weights are "
                        "damaged, or it needs fp32."
                    )
                self._width = found.shape[1]
                vectors.write(np.ascontiguousarray(found, dtype=np.float32).data)
                self.truncated += cut

    def seal(self) -> None:
        """Make what was added readable.

        Raises:
            DataError: nothing was added.
        """
        if not len(self):
            raise DataError("there is no text that is not empty.")
        self.lines = np.array(self._lines, dtype=np.int64)
        self.repeats = np.array(self._repeats, dtype=np.int64).reshape(-1, 2)
        self._starts = np.array(self._offsets, dtype=np.int64)
        # Writable only because PyTorch warns of arrays that are not; nothing writes to it.
        self.vectors = np.memmap(
            self._vector_path, dtype=np.float32, mode="r+", shape=(len(self), self._width)
        )
        with open(self._text_path, "rb") as file:
            self._texts = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        digests = np.fromiter(self._number, dtype=np.uint64, count=len(self))
        self._number = {}
        self._order = np.argsort(digests, kind="stable")
        self._digests = digests[self._order]

    def text(self, number: int) -> str:
        """One text, as it was given first."""
        start, end = self._starts[number], self._starts[number + 1]
        return self._texts[start:end].decode(errors="surrogatepass")

    def texts(self, numbers: Iterable[int]) -> list[str]:
        """Several texts, by their numbers."""
        return [self.text(number) for number in numbers]

    def find(self, digests: npt.NDArray[np.uint64]) -> Rows:
        """The numbers of the texts with these `text_digests`; -1 where there is none."""
        places = np.minimum(np.searchsorted(self._digests, digests), len(self) - 1)
        return np.where(self._digests[places] == digests, self._order[places], -1)

    def _new(self, blocks: Iterable[Sequence[str]], file: IO[bytes]) -> Iterator[list[str]]:
        for block in blocks:
            new: list[str] = []
            for text, digest in zip(block, text_digests(block, self.form).tolist(), strict=True):
                line, self.given = self.given, self.given + 1
                if not text or text.isspace():
                    self.empty += 1
                    continue
                number = self._number.setdefault(digest, len(self))
                if number < len(self):
                    self._repeats.extend((line, number))
                    continue
                self._lines.append(line)
                raw = text.encode(errors="surrogatepass")
                self._offsets.append(self._offsets[-1] + len(raw))
                file.write(raw)
                new.append(text)
            if new:
                yield new


@contextmanager
def scratch_folder(beside: str | Path | None = None) -> Iterator[Path]:
    """A temporary folder, removed in the end.

    Args:
        beside: the file that is being made: its disk has to have room anyway, while the system's
            folder for temporary files may be small or lie in memory.

    Raises:
        DataError: the folder of `beside` cannot be written to.
    """
    try:
        if beside is None:
            folder = Path(tempfile.mkdtemp(prefix="tenor-"))
        else:
            target = Path(beside)
            target.parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}.", path=beside) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
