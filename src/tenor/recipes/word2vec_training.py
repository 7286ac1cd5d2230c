"""Training word vectors by gensim: a file of word numbers in, a table of vectors out."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tenor.errors import DataError
from tenor.recipes.static_run import RawText
from tenor.recipes.tell import tell
from tenor.tokens.static_tokenizer import StaticTokenizer
from tenor.tokens.words import document_frequencies
from tenor.training.tracking import Tracker, tracked_name

if TYPE_CHECKING:
    from tenor.recipes.word2vec import Word2VecConfig

__all__ = ["train_vectors", "write_numbered"]

LINE = 10_000  # words of a line that gensim takes as one text


def write_numbered(
    corpus: RawText, tokenizer: Any, path: Path
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The corpus as lines of token ids; how often each stands there, and in how many texts."""
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    counts, documents = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    read = StaticTokenizer(tokenizer)
    with path.open("w", encoding="ascii") as file:
        for block in corpus.blocks():
            ids = read(block)
            counts += np.bincount(ids.ids, minlength=size)
            documents += document_frequencies(ids.ids, ids.offsets, size)
            for row in range(len(ids)):
                known = ids[row][ids[row] > 0].tolist()
                for first in range(0, len(known), LINE):
                    file.write(" ".join(map(str, known[first : first + LINE])) + "\n")
    return counts, documents


def train_vectors(
    config: Word2VecConfig,
    path: Path,
    counts: npt.NDArray[np.int64],
    log_path: Path,
    tracker: Tracker | None = None,
) -> npt.NDArray[np.float32]:
    """(V, D) the vector of each token; zeros for the unknown, and for words only in phrases."""
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=config.dimensions,
        alpha=config.learning_rate,
        window=config.window,
        min_count=1,
        sample=config.subsample,
        seed=config.seed,
        workers=config.workers,
        sg=int(config.algorithm == "skip-gram"),
        negative=config.negative,
        epochs=config.epochs,
    )
    model.build_vocab(corpus_file=str(path))
    with _Progress(config.epochs, int(counts[1:].sum()), log_path, tracker) as progress:
        model.train(
            corpus_file=str(path),
            total_examples=model.corpus_count,
            total_words=model.corpus_total_words,
            epochs=config.epochs,
            callbacks=[progress],
        )
    table = np.zeros((len(counts), config.dimensions), dtype=np.float32)
    rows = np.fromiter(map(int, model.wv.index_to_key), dtype=np.int64)
    table[rows] = model.wv.vectors
    if not np.isfinite(table).all():
        raise DataError("the vectors became infinite: lower learning_rate.", path=config.train)
    return table


class _Progress:
    """A line for every epoch in the log, and a bar on a terminal.

    gensim calls the first four methods, and reports within an epoch by its logger alone.
    """

    def __init__(
        self, epochs: int, words: int, log_path: Path, tracker: Tracker | None = None
    ) -> None:
        self.tracker = tracker
        self.epochs, self.words, self.log_path = epochs, words, log_path
        self.done = 0
        self.started = self.epoch_started = time.perf_counter()

    def __enter__(self) -> _Progress:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self.bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task("Word2Vec", total=float(self.epochs))
        self.bar.start()
        self.handler = _Within(self)
        self.logger = logging.getLogger("gensim.models.word2vec")
        self.level, self.propagate = self.logger.level, self.logger.propagate
        if console.is_terminal:
            self.logger.addHandler(self.handler)
            self.logger.setLevel(logging.INFO)
            self.logger.propagate = False
        return self

    def __exit__(self, *raised: object) -> None:
        self.logger.removeHandler(self.handler)
        self.logger.setLevel(self.level)
        self.logger.propagate = self.propagate
        self.bar.stop()

    def on_train_begin(self, model: Any) -> None:
        self.log_path.write_text("", encoding="utf-8")

    def on_train_end(self, model: Any) -> None:
        """gensim calls it; the bar ends in `__exit__`, which also runs after an error."""

    def on_epoch_begin(self, model: Any) -> None:
        self.epoch_started = time.perf_counter()

    def on_epoch_end(self, model: Any) -> None:
        now = time.perf_counter()
        self.done += 1
        seconds = now - self.epoch_started
        entry = {"epoch": self.done, "seconds": seconds, "words_per_second": self.words / seconds}
        with self.log_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        if self.tracker is not None:
            figures = {tracked_name(name): entry[name] for name in ("seconds", "words_per_second")}
            self.tracker.write(self.done, figures)
        left = (now - self.started) / self.done * (self.epochs - self.done)
        self.bar.update(self.task, completed=self.done)
        if self.done * 10 // self.epochs > (self.done - 1) * 10 // self.epochs:
            pace = f"{entry['words_per_second']:,.0f} words a second"
            tell(f"epoch {self.done}/{self.epochs}: {pace}, {left:.0f} s left")


class _Within(logging.Handler):
    """Moves the bar by what gensim logs within an epoch."""

    def __init__(self, progress: _Progress) -> None:
        super().__init__()
        self.progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        if "PROGRESS" in str(record.msg) and isinstance(record.args, tuple):
            percent = next((value for value in record.args if isinstance(value, float)), 0.0)
            done = self.progress.done + min(percent / 100, 1.0)
            self.progress.bar.update(self.progress.task, completed=done)
