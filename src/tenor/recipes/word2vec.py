"""Word2Vec: word vectors from raw text, pooled into a static embedder.

Skip-gram or CBOW with negative sampling (Mikolov et al. 2013, https://arxiv.org/abs/1310.4546) by
gensim; a text is the mean of its words' vectors, weighted by SIF and with the common direction
removed (Arora et al. 2017, openreview.net/forum?id=SyK00v5xx).
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tenor.errors import ConfigError, DataError, MissingExtraError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.seeds import over_seeds
from tenor.recipes.settings import check_least, check_rates, check_run_settings
from tenor.training.tracking import check_tracker, open_tracker

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tenor.recipes.static_run import HeldOut, RawText

__all__ = ["Word2VecConfig", "train_word2vec"]


@dataclass(frozen=True, kw_only=True)
class Word2VecConfig:
    """Settings of Word2Vec.

    Attributes:
        train: file (csv, tsv, jsonl, parquet, txt, also .gz) or hub data set with raw text.
        out: folder of the run: config.toml, log.jsonl, result.json, model/.
        column: which column holds the texts.
        evaluate: what to measure on: a file of pairs with scores or labels, or a folder with
            corpus, queries and qrels.
        algorithm: skip-gram, or cbow, which is some times faster and a little worse.
        dimensions: of the vectors.
        window: words to each side that count as context.
        negative: noise words for each word of the context.
        epochs: passes over the corpus.
        learning_rate: the first; it falls to 0.0001.
        subsample: share of the corpus above which common words are dropped at random; 0 for never.
        min_count: words that stand less often in the corpus are unknown.
        max_words: keep only so many words, the commonest; 0 for all.
        phrases: how often neighbouring words are joined: once makes phrases of two words, twice of
            up to four; 0 for no phrases.
        phrase_min_count: how often the words of a phrase must stand together.
        phrase_threshold: the score from which two words are a phrase; higher gives fewer.
        lower_case: whether upper and lower case are the same.
        unit_words: scale word vectors to length 1 before they are weighted; the length that
            training gives them counts common words too much.
        weighting: of the words of a text: sif, idf or none.
        sif_a: the share of the corpus at which a word counts half.
        remove_components: how many common directions to remove from the vectors.
        seed: decides the first vectors and the noise words.
        seeds: train so many times, with seed, seed + 1, …, each in a folder of its own (seed-0/,
            …): the mean and the deviation of every figure are told, and the best model is kept.
        track: hand the figures of each epoch on to tensorboard or trackio, too (extras of these
            names), which write them into the run's folder.
        workers: threads; with more than one a run is quicker, but not reproducible.
        resume: leave a finished run in `out` as it is; an unfinished one starts again.
    """

    command: ClassVar[str] = "train word2vec"

    train: str
    out: str
    column: str = "text"
    evaluate: str | None = None
    algorithm: str = "skip-gram"
    dimensions: int = 300
    window: int = 5
    negative: int = 5
    epochs: int = 5
    learning_rate: float = 0.025
    subsample: float = 1e-3
    min_count: int = 5
    max_words: int = 0
    phrases: int = 0
    phrase_min_count: int = 5
    phrase_threshold: float = 100.0
    lower_case: bool = True
    unit_words: bool = True
    weighting: str = "sif"
    sif_a: float = 1e-4
    remove_components: int = 1
    seed: int = 0
    seeds: int = 1
    workers: int = 1
    track: str | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        check_run_settings(self)
        check_tracker(self.track)
        if self.algorithm not in ("skip-gram", "cbow"):
            raise ConfigError("algorithm", self.algorithm, "skip-gram or cbow")
        if self.weighting not in ("sif", "idf", "none"):
            raise ConfigError("weighting", self.weighting, "sif, idf or none")
        check_least(self, 1, "dimensions", "window", "negative", "epochs", "workers")
        check_least(self, 1, "min_count", "phrase_min_count")
        check_least(self, 0, "max_words", "phrases", "remove_components")
        check_least(self, 0, "subsample", "phrase_threshold")
        check_rates(self, "learning_rate", "sif_a")
        if self.remove_components >= self.dimensions:
            raise ConfigError("remove_components", self.remove_components, "below the dimensions")


@over_seeds
@leaves_report
def train_word2vec(config: Word2VecConfig) -> dict[str, Any]:
    """Train word vectors on raw text, and save them as a static embedder.

    The corpus is streamed; beside the vectors, only a file of word numbers as long as the corpus
    stands on disk while training. With one worker, the same settings give the same vectors.

    Args:
        config: the settings.

    Returns:
        What result.json holds.

    Raises:
        MissingExtraError: without gensim.
        TenorError: for settings or data that cannot be used; nothing is lost.
    """
    try:
        import gensim  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("word2vec", "Word2Vec") from error

    from tenor.models.static import StaticEmbedder
    from tenor.recipes.stages import finished_before
    from tenor.recipes.static_run import HeldOut, RawText, save_static, texts_per_second
    from tenor.recipes.tell import tell
    from tenor.recipes.word2vec_training import train_vectors, write_numbered
    from tenor.training.run import Run

    start = time.perf_counter()
    if (done := finished_before(config)) is not None:
        return done
    run = Run(config.out, config, resume=config.resume)
    held_out = HeldOut(config.evaluate)
    corpus = RawText(config.train, config.column)
    tokenizer, phrases = _tokenizer(config, corpus, held_out)
    with tempfile.TemporaryDirectory(prefix=".corpus-", dir=run.folder) as scratch:
        numbered = Path(scratch) / "corpus.txt"
        counts, documents = write_numbered(corpus, tokenizer, numbered)
        total = int(counts[1:].sum())
        unknown = counts[0] / max(counts.sum(), 1)
        tell(
            f"{corpus.path}: {corpus.rows:,} texts, {total:,} known words "
            f"({unknown:.1%} are unknown), {len(counts) - 1:,} distinct, {len(phrases):,} phrases"
        )
        tracker = None
        if config.track is not None:
            tracker = open_tracker(config.track, run.folder, run.settings(run.folder))
        try:
            vectors = train_vectors(config, numbered, counts, run.log_path, tracker)
        finally:
            if tracker is not None:
                tracker.close()
    table = _weighted(config, vectors, counts, documents, corpus, tokenizer)
    model = StaticEmbedder(table, tokenizer, normalize=True)
    facts = {
        "loss": f"{config.algorithm}, {config.negative} negative samples",
        "rows": corpus.rows,
        "words": total,
        "unknown": float(unknown),
        "phrases": phrases[:100],
        "phrase_count": len(phrases),
        "texts_per_second": texts_per_second(model, held_out.texts or next(corpus.blocks())),
        "data": {"path": config.train, "sha256": corpus.sha256()},
    }
    tell(f"encodes {facts['texts_per_second']:,.0f} texts a second")
    return save_static(
        run, model, facts, held_out=held_out, before=None, base=("raw text", None), start=start
    )


def _tokenizer(config: Word2VecConfig, corpus: RawText, held_out: HeldOut) -> tuple[Any, list[str]]:
    """Words first, then phrases of them, then phrases of these."""
    from tenor.recipes.tell import tell
    from tenor.tokens.words import PhraseCounts, count_words, word_tokenizer

    def noted() -> Any:
        for block in corpus.blocks():
            held_out.seen(block)
            yield from block

    words = count_words(
        noted(),
        min_count=config.min_count,
        most=config.max_words or None,
        lower_case=config.lower_case,
    )
    if len(words) < 2:
        raise DataError(
            f"fewer than two words stand in it at least {config.min_count} times: give more text, "
            "or lower min_count.",
            path=config.train,
        )
    phrases: list[str] = []
    tokenizer = word_tokenizer(words, lower_case=config.lower_case)
    for _ in range(config.phrases):
        counts = PhraseCounts(tokenizer)
        for block in corpus.blocks():
            counts.add(block)
        found = counts.phrases(min_count=config.phrase_min_count, threshold=config.phrase_threshold)
        known = set(phrases)
        fresh = [phrase for phrase in dict.fromkeys(found) if phrase not in known]
        if not fresh:
            break
        tell(f"{len(fresh):,} phrases, such as {', '.join(map(repr, fresh[:5]))}")
        phrases += fresh
        tokenizer = word_tokenizer(words, phrases, lower_case=config.lower_case)
    return tokenizer, phrases


def _weighted(
    config: Word2VecConfig,
    vectors: npt.NDArray[np.float32],
    counts: npt.NDArray[np.int64],
    documents: npt.NDArray[np.int64],
    corpus: RawText,
    tokenizer: Any,
) -> npt.NDArray[np.float32]:
    """The vectors with the words' weights in them, less what all texts have in common."""
    import numpy as np

    from tenor.models.static import StaticEmbedder
    from tenor.models.token_weights import (
        common_directions,
        idf_weights,
        remove_directions,
        sif_weights,
    )

    known = np.concatenate([[0], counts[1:]])
    scale = np.ones(len(vectors))
    if config.weighting == "sif":
        scale = sif_weights(known, config.sif_a)
    elif config.weighting == "idf":
        scale = idf_weights(documents, corpus.rows)
    if config.unit_words:
        lengths = np.linalg.norm(vectors, axis=1)
        scale = scale / np.where(lengths > 0, lengths, 1)
    vectors = (vectors * scale[:, None]).astype(np.float32)
    if not config.remove_components:
        return vectors
    plain = StaticEmbedder(vectors, tokenizer, normalize=False)
    moment, texts = np.zeros((config.dimensions,) * 2), 0
    for means, _ in plain.encode_blocks(corpus.blocks()):
        exact = means.astype(np.float64)
        moment += exact.T @ exact
        texts += len(means)
    directions = common_directions(moment / texts, config.remove_components)
    return remove_directions(vectors, directions)
