"""Static distillation: an embedder's knowledge of tokens and texts, in one table of vectors.

The teacher reads every token of the vocabulary by itself; the vectors are cut to their principal
components and weighted by how rare the token is (as in model2vec, github.com/MinishLab/model2vec).
Where there is raw text, the commonest words of it join the vocabulary, and the table is fitted by
ridge regression, so that the mean of a passage's rows comes near the teacher's vector of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tenor.errors import ConfigError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.settings import check_least, check_rates, check_run_settings, device_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tenor.models.embedder import Embedder
    from tenor.recipes.static_run import HeldOut, RawText

__all__ = ["DistillConfig", "distill"]

TRIAL = 128  # sentences that tell how long the teacher will take


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Settings of static distillation.

    Attributes:
        out: folder of the run: config.toml, result.json, model/.
        model: embedder to distil: a name, folder or hub id.
        text: file or hub data set with raw text like the texts to come; without one, only the
            tokens of the vocabulary are read. The more, the nearer to the teacher.
        column: which column of it holds the texts.
        evaluate: what to measure on: a file of pairs with scores or labels, or a folder with
            corpus, queries and qrels.
        dimensions: of the vectors; the teacher's at most.
        words: how many words of the text may join the vocabulary.
        min_count: how often such a word must stand in the text.
        passages: how many sentences of the text the teacher reads; 0 for no fit to them.
        sif_a: the share of all tokens at which a token counts half.
        device: auto, cpu, cuda or mps; of the teacher.
        dtype: of the teacher's products: auto, bf16 or fp32.
        seed: decides which sentences are read.
        resume: leave a finished run in `out` as it is; an unfinished one starts again.
    """

    command: ClassVar[str] = "distill"

    out: str
    model: str = "all-MiniLM-L6-v2"
    text: str | None = None
    column: str = "text"
    evaluate: str | None = None
    dimensions: int = 256
    words: int = 20_000
    min_count: int = 5
    passages: int = 50_000
    sif_a: float = 1e-4
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    resume: bool = False

    def __post_init__(self) -> None:
        check_run_settings(self)
        if not self.model:
            raise ConfigError("model", self.model, "an embedder to distil")
        check_least(self, 1, "dimensions", "min_count")
        check_least(self, 0, "words", "passages")
        check_rates(self, "sif_a")
        if self.dtype not in ("auto", "bf16", "fp32"):
            raise ConfigError("dtype", self.dtype, "auto, bf16 or fp32")


@leaves_report
def distill(config: DistillConfig) -> dict[str, Any]:
    """Distil an embedder into a static one, and measure what that costs and gains.

    Args:
        config: the settings.

    Returns:
        What result.json holds; `before` is the teacher's evaluation, `after` the new model's.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    from tenor.models.embedder import Embedder
    from tenor.models.static import StaticEmbedder
    from tenor.recipes.distill_vocabulary import (
        add_words,
        new_words,
        student_tokenizer,
    )
    from tenor.recipes.stages import finished_before
    from tenor.recipes.static_run import HeldOut, RawText, save_static, texts_per_second
    from tenor.recipes.tell import tell
    from tenor.training.run import Run

    start = time.perf_counter()
    if (done := finished_before(config)) is not None:
        return done
    run = Run(config.out, config, resume=config.resume)
    teacher = Embedder.load(config.model, device=device_of(config), dtype=config.dtype)
    if isinstance(teacher, StaticEmbedder):
        raise ConfigError("model", config.model, "an embedder with an encoder; this one is static")
    if config.dimensions > teacher.dimensions:
        raise ConfigError(
            "dimensions", config.dimensions, f"at most the teacher's {teacher.dimensions}"
        )
    held_out = HeldOut(config.evaluate)
    before = held_out.measure(teacher)

    text = None if config.text is None else RawText(config.text, config.column)
    tokenizer, words = student_tokenizer(teacher), []
    if text is not None and config.words:
        words = new_words(text.texts(), tokenizer, most=config.words, min_count=config.min_count)
        tokenizer = add_words(tokenizer, words)
        tell(f"{text.path}: {text.rows:,} texts; {len(words):,} of their words become tokens")
    table, facts = _table(config, teacher, tokenizer, words, text, held_out)
    model = StaticEmbedder(
        table,
        tokenizer,
        normalize=True,
        prompts=teacher.prompts,
        default_prompt=teacher.default_prompt,
    )
    sample = held_out.texts or next(text.blocks() if text else iter([list(tokenizer.get_vocab())]))
    speed = {"model": texts_per_second(model, sample), "teacher": texts_per_second(teacher, sample)}
    tell(
        f"encodes {speed['model']:,.0f} texts a second, the teacher {speed['teacher']:,.0f}: "
        f"{speed['model'] / speed['teacher']:.0f} times as many"
    )
    return save_static(
        run,
        model,
        {
            "loss": "squared error to the teacher's vectors" if facts["fit"] else "none",
            "rows": 0 if text is None else text.rows,
            "words": len(words),
            **facts,
            "texts_per_second": speed,
            "data": {
                "path": config.text or "the vocabulary",
                "sha256": "" if text is None else text.sha256(),
            },
        },
        held_out=held_out,
        before=before,
        base=(teacher.name, teacher.sha256),
        start=start,
    )


def _table(
    config: DistillConfig,
    teacher: Embedder,
    tokenizer: Any,
    words: list[str],
    text: RawText | None,
    held_out: HeldOut,
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """The vectors of the new model, and what is to be said about them."""
    import numpy as np

    from tenor.recipes.distill_table import (
        choose_and_fit,
        count_tokens,
        first_table,
        frequencies,
        principal,
        sample_sentences,
    )
    from tenor.recipes.distill_vocabulary import special_ids, token_vectors
    from tenor.recipes.tell import tell
    from tenor.tokens.static_tokenizer import StaticTokenizer

    vectors = token_vectors(teacher, tokenizer, words)
    size = len(vectors)
    live = np.ones(size, dtype=bool)
    live[special_ids(tokenizer)] = False
    read = StaticTokenizer(tokenizer)
    if text is None:
        tell("no text (--text): tokens are weighted by their rank alone, and nothing is fitted")
        p = frequencies(None, size)
        table = first_table(vectors, live, p, config.sif_a, None, config.dimensions)
        return table, {"fit": None}

    def noted() -> Iterator[list[str]]:
        for block in text.blocks():
            held_out.seen(block)
            yield block

    p = frequencies(count_tokens(read, noted(), size), size)
    if not config.passages:
        table = first_table(vectors, live, p, config.sif_a, None, config.dimensions)
        return table, {"fit": None}

    sentences = sample_sentences(text.texts(), config.passages, config.seed)
    held_out.seen(sentences)
    began = time.perf_counter()
    teacher.encode(sentences[:TRIAL], prompt="", normalize=True, progress=False)
    pace = (time.perf_counter() - began) / max(min(TRIAL, len(sentences)), 1)
    tell(f"the teacher reads {len(sentences):,} sentences: about {pace * len(sentences):.0f} s")
    targets = teacher.encode(sentences, prompt="", normalize=True)
    basis = principal(targets, config.dimensions)
    start = first_table(vectors, live, p, config.sif_a, basis, config.dimensions)
    projected = (targets @ basis).astype(np.float32)
    table, fit = choose_and_fit(read(sentences), projected, start, tell=tell)
    table[~live] = 0
    return table, {"fit": fit, "sentences": len(sentences)}
