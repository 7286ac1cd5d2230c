"""Masked language modelling: from raw text to an encoder of its domain.

Devlin et al. 2019, https://arxiv.org/abs/1810.04805; going on in the target's domain: Gururangan et
al. 2020, https://arxiv.org/abs/2004.10964.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenor.errors import ConfigError, DataError
from tenor.training.arguments import TrainingArguments

if TYPE_CHECKING:
    from tenor.evaluation.result import EvaluationResult
    from tenor.models.masked_lm import MaskedLM
    from tenor.tokens.token_ids import TokenIds
    from tenor.training.masking import Masking

__all__ = ["Corpus", "MlmConfig", "likelihood", "read_corpus", "split_corpus", "train_mlm"]

HELD_OUT, MOST_HELD_OUT = 0.05, 2_000  # share and number of texts, where nothing was asked for
EVALUATION_TOKENS = 4_096  # a batch
LONGEST_FROM_SCRATCH = 256
VOCABULARY = "vocabulary.json"  # in the folder of a run from scratch
RESAMPLES = 1_000


@dataclass(frozen=True, kw_only=True)
class MlmConfig(TrainingArguments):
    """Settings of masked language modelling, beside those of the training loop.

    Attributes:
        train: file (csv, tsv, jsonl, parquet, txt, also .gz) or hub data set with raw text.
        out: folder of the run: config.toml, log.jsonl, result.json, model/, checkpoints/.
        column: of the file, that holds the text.
        validation: file of held-out text, for the perplexity.
        hold_out: share of the training texts to hold out instead; by default 5 %, at most 2,000
            texts; 0 for none.
        model: masked language model, encoder or embedder to start from: a name, folder or hub id.
        from_scratch: start from random weights and a WordPiece vocabulary made of the training
            texts, instead of from a model.
        layers: of a model from scratch.
        hidden: width of a model from scratch.
        heads: attention heads of a model from scratch; they must divide the width.
        vocab_size: most tokens of a vocabulary from scratch.
        mask_share: share of the tokens that are to be predicted.
        whole_words: choose whole words instead of tokens.
        on_bad_row: error, or skip to drop rows that cannot be read and count them.
        max_seq_length: tokens of a block; longer documents are cut into several. The model's own
            limit by default, 256 from scratch.
        device: auto, cpu, cuda or mps.
        resume: go on with the run in `out`.
    """

    train: str
    out: str
    column: str = "text"
    validation: str | None = None
    hold_out: float | None = None
    model: str = "all-MiniLM-L6-v2"
    from_scratch: bool = False
    layers: int = 6
    hidden: int = 384
    heads: int = 12
    vocab_size: int = 30_522
    mask_share: float = 0.15
    whole_words: bool = False
    on_bad_row: str = "error"
    max_seq_length: int | None = None
    device: str = "auto"
    resume: bool = False
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_corpus_settings(self)
        if not 0 < self.mask_share < 1:
            raise ConfigError("mask_share", self.mask_share, "above 0 and below 1")
        for name in ("layers", "hidden", "heads"):
            if getattr(self, name) < 1:
                raise ConfigError(name, getattr(self, name), "at least 1")
        if self.hidden % self.heads:
            raise ConfigError("heads", self.heads, f"a divisor of the width, {self.hidden}")
        if self.vocab_size < 300:
            raise ConfigError("vocab_size", self.vocab_size, "at least 300")


def check_corpus_settings(config: Any) -> None:
    """Check what all recipes on raw text share.

    Raises:
        ConfigError: for a value that cannot be.
    """
    if not config.out:
        raise ConfigError("out", config.out, "a folder for the run")
    if not config.train:
        raise ConfigError("train", config.train, "a file or a hub data set")
    if config.hold_out is not None and not 0 <= config.hold_out < 1:
        raise ConfigError("hold_out", config.hold_out, "a share from 0 up to 1")
    if config.hold_out and config.validation:
        raise ConfigError("hold_out", config.hold_out, "left out when there is a validation file")
    if config.on_bad_row not in ("error", "skip"):
        raise ConfigError("on_bad_row", config.on_bad_row, "error or skip")
    if config.device not in ("auto", "cpu", "cuda", "mps"):
        raise ConfigError("device", config.device, "auto, cpu, cuda or mps")
    if config.chunk_tokens:
        why = "0: this loss needs no gradient caching, its logits are never held all at once"
        raise ConfigError("chunk_tokens", config.chunk_tokens, why)


def train_mlm(config: MlmConfig) -> dict[str, Any]:
    """Train a masked language model on raw text, and measure its perplexity before and after.

    Args:
        config: the settings.

    Returns:
        What result.json holds.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    import torch
    from torch import nn

    from tenor.recipes.fit import Evaluation, Fit, Source, tell
    from tenor.training.batch import TrainingData
    from tenor.training.denoising import vocabulary_facts
    from tenor.training.masking import Masking, cut_in_blocks

    start = time.perf_counter()
    fit = Fit(config, config.out, resume=config.resume)
    if fit.finished is not None:
        tell(f"{config.out} is done already; nothing to resume.")
        return fit.finished
    corpus = read_corpus(config.train, config.column, config.on_bad_row)
    tell(corpus.describe())
    texts, held = split_corpus(corpus, config)
    torch.manual_seed(config.seed)  # of a head, or a model, that is new
    device = None if config.device == "auto" else config.device
    model = _new_model(config, texts, device) if config.from_scratch else _load(config, device)
    masking = Masking(
        facts=vocabulary_facts(model.tokenizer),
        share=config.mask_share,
        whole_words=config.whole_words,
    )
    ids = cut_in_blocks(model.tokenizer, texts)
    tell(
        f"{len(texts):,} documents, {len(ids.ids):,} tokens, in {len(ids):,} blocks of at most "
        f"{model.max_seq_length}"
    )
    evaluation = None
    if held:
        measure = perplexity(cut_in_blocks(model.tokenizer, held), masking, corpus, config.seed)
        evaluation = Evaluation(measure, "log_likelihood")
    else:
        tell("no held-out text: nothing will be measured (give --validation or --hold-out)")
    result = fit.train(
        model,
        nn.Identity(),
        TrainingData(ids, {"text": _numbers(len(ids))}, None, model.tokenizer.filler_id),
        loss="masked language modelling" + (", whole words" if config.whole_words else ""),
        source=Source(len(texts), corpus.skipped, corpus.path, corpus.sha256, "blocks"),
        evaluation=evaluation,
        arguments=config,
        card=lambda result: _card(fit, model, config, result),
        step=masking,
        start=start,
    )
    tell_perplexity(result)
    return result


def _load(config: MlmConfig, device: str | None) -> MaskedLM:
    from tenor.models.masked_lm import MaskedLM

    return MaskedLM.load(
        config.model, device=device, dtype=config.dtype, max_seq_length=config.max_seq_length
    )


def _new_model(config: MlmConfig, texts: Sequence[str], device: str | None) -> MaskedLM:
    """A random BERT with a WordPiece vocabulary made of the texts."""
    from transformers import BertConfig, BertForMaskedLM

    from tenor.models.masked_lm import MaskedLM
    from tenor.recipes.fit import tell
    from tenor.tokens.tokenizer import Tokenizer

    length = config.max_seq_length or LONGEST_FROM_SCRATCH
    raw = _new_tokenizer(config, texts, length)
    tell(f"made a vocabulary of {len(raw):,} tokens out of {len(texts):,} texts")
    whole = BertForMaskedLM(
        BertConfig(
            vocab_size=len(raw),
            hidden_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=4 * config.hidden,
            max_position_embeddings=max(length, 512),
            pad_token_id=raw.pad_token_id,
        )
    )
    model = MaskedLM.of(whole, Tokenizer(raw, length))
    model.name = "from scratch"
    return model.ready(device, config.dtype)


def _new_tokenizer(config: MlmConfig, texts: Sequence[str], length: int) -> Any:
    """BERT's lower-casing WordPiece tokenizer, its vocabulary trained on the texts.

    The library numbers tokens, and breaks ties, differently each time. So they are numbered anew,
    and the vocabulary is kept in the run's folder, for a resumed run to read.
    """
    import json
    from pathlib import Path

    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast

    from tenor.formats.atomic import write_text

    stored = Path(config.out) / VOCABULARY
    if config.resume and stored.exists():
        tokens = json.loads(stored.read_text(encoding="utf-8"))
    else:
        made = BertWordPieceTokenizer(lowercase=True)
        made.train_from_iterator(
            iter(texts), vocab_size=config.vocab_size, show_progress=False, length=len(texts)
        )
        number = made.get_vocab()
        special = [t for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if t in number]
        tokens = special + sorted(number.keys() - set(special))
        write_text(stored, json.dumps(tokens, ensure_ascii=False))
    vocabulary = {token: place for place, token in enumerate(tokens)}
    return BertTokenizerFast(vocab=vocabulary, do_lower_case=True, model_max_length=length)


@dataclass(frozen=True)
class Corpus:
    """Raw texts, each distinct one once.

    Attributes:
        texts: in the order of the file.
        repeats: rows that repeat an earlier text.
        skipped: rows that cannot be read or hold no text.
        path: the file or data set.
        sha256: of the file.
    """

    texts: list[str]
    repeats: int
    skipped: int
    path: str
    sha256: str

    def describe(self) -> str:
        """One sentence for a log."""
        notes = [
            f"{count:,} {what}"
            for count, what in ((self.repeats, "repeats"), (self.skipped, "empty or bad rows"))
            if count
        ]
        left_out = f" ({' and '.join(notes)} left out)" if notes else ""
        return f"{self.path}: {len(self.texts):,} texts{left_out}"


def read_corpus(source: str, column: str = "text", on_bad_row: str = "error") -> Corpus:
    """Read raw texts; empty ones are left out and counted, for they teach nothing.

    Args:
        source: file or hub data set.
        column: that holds the text.
        on_bad_row: error, or skip, for rows that cannot be read or whose value is no text.

    Raises:
        DataError: the file, the column or a row cannot be used, or no text is left.
    """
    from tenor.data.problems import RowProblems
    from tenor.data.read import read_table

    table = read_table(source, columns=[column], on_bad_row=on_bad_row)  # type: ignore[arg-type]
    problems = RowProblems(table.path, on_bad_row, list(table.skipped))  # type: ignore[arg-type]
    distinct: dict[str, None] = {}
    repeats = empty = 0
    for text, line in zip(table[column], table.lines.tolist(), strict=True):
        if text is None or (isinstance(text, str) and not text.strip()):
            empty += 1
        elif not isinstance(text, str):
            problems.report(line, f"{text!r} is not a text.", column)
        elif text in distinct:
            repeats += 1
        else:
            distinct[text] = None
    if not distinct:
        raise DataError("it holds no text.", path=table.path, column=column)
    skipped = empty + len(problems.skipped)
    return Corpus(list(distinct), repeats, skipped, table.path, table.sha256)


def split_corpus(corpus: Corpus, config: Any) -> tuple[list[str], list[str]]:
    """Texts to train on, and held-out ones: of the validation file, or a share of the corpus.

    Raises:
        DataError: when too few texts would be left.
    """
    import numpy as np

    if config.validation:
        held = read_corpus(config.validation, config.column, config.on_bad_row).texts
        seen = set(held)
        kept = [text for text in corpus.texts if text not in seen]
        if not kept:
            raise DataError("every text of it stands in the validation file.", path=corpus.path)
        return kept, held
    total = len(corpus.texts)
    if config.hold_out is None:
        count = min(round(HELD_OUT * total), MOST_HELD_OUT)
    else:
        count = round(config.hold_out * total)
        if config.hold_out and not 0 < count < total:
            raise DataError("too few different texts to hold some out.", path=corpus.path)
    chosen = np.zeros(total, dtype=bool)
    chosen[np.random.default_rng([config.seed, 1]).permutation(total)[:count]] = True
    pairs = list(zip(corpus.texts, chosen.tolist(), strict=True))
    return [text for text, out in pairs if not out], [text for text, out in pairs if out]


def perplexity(
    ids: TokenIds, masking: Masking, corpus: Corpus, seed: int
) -> Callable[[MaskedLM], EvaluationResult]:
    """How to measure a model on held-out blocks, with the same tokens masked every time."""
    import numpy as np

    from tenor.tokens.packed import PackedBatch
    from tenor.tokens.plan import batches_by_length

    def measure(model: MaskedLM) -> EvaluationResult:
        start = time.perf_counter()
        sums, counts = np.zeros(len(ids)), np.zeros(len(ids))
        filler = model.tokenizer.filler_id
        for number, rows in enumerate(batches_by_length(ids.lengths, EVALUATION_TOKENS)):
            made = masking.mask(PackedBatch.of(ids, rows, filler_id=filler), seed + number)
            device = model.encoder.device
            losses = model.losses(
                made.batch.to(device), made.places.to(device), made.targets.to(device)
            )
            real = (made.targets >= 0).numpy()
            place = rows[made.texts.numpy()[real]]
            np.add.at(sums, place, losses.cpu().numpy()[real])
            np.add.at(counts, place, 1.0)
        used = counts > 0
        return likelihood(sums[used], counts[used], corpus.path, time.perf_counter() - start)

    return measure


def likelihood(
    losses: Any, tokens: Any, path: str, seconds: float, *, seed: int = 0
) -> EvaluationResult:
    """Mean log-likelihood of a token and perplexity, with bootstrap intervals over texts.

    perplexity = exp(−log_likelihood) = exp(Σ losses / Σ tokens).

    Args:
        losses: (N,) sum of −log p over the predicted tokens of each text.
        tokens: (N,) how many these are.
        path: where the texts came from.
        seconds: that it took.
        seed: the same seed gives the same intervals.
    """
    import numpy as np

    from tenor.evaluation.intervals import percentile_interval
    from tenor.evaluation.result import EvaluationResult

    generator = np.random.default_rng(seed)
    samples = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        rows = generator.integers(0, len(losses), len(losses))
        samples[number] = -losses[rows].sum() / tokens[rows].sum()
    mean = -losses.sum() / tokens.sum()
    low, high = percentile_interval(samples)
    with np.errstate(over="ignore"):  # a random model may be beyond all numbers
        metrics = {"log_likelihood": float(mean), "perplexity": float(np.exp(-mean))}
        around = (float(np.exp(-high)), float(np.exp(-low)))
    return EvaluationResult(
        metrics=metrics,
        intervals={"log_likelihood": (low, high), "perplexity": around},
        n=len(losses),
        truncated=0,
        seconds=seconds,
        model={"name": ""},
        data={"name": f"held-out text of {path}"},
        per_item={"log_likelihood": -losses / tokens.mean()},
    )


def tell_perplexity(result: dict[str, Any]) -> None:
    """Say the perplexity before and after, where it was measured."""
    from tenor.recipes.fit import tell

    before, after = result["before"], result["after"]
    if after and "perplexity" in after["metrics"]:
        low, high = after["intervals"]["perplexity"]
        tell(
            f"perplexity of held-out text: {before['metrics']['perplexity']:.2f} before, "
            f"{after['metrics']['perplexity']:.2f} [{low:.2f}, {high:.2f}] after"
        )


def _card(fit: Any, model: MaskedLM, config: MlmConfig, result: dict[str, Any]) -> str:
    from tenor.formats.masked_lm import masked_lm_card

    base = "" if config.from_scratch else model.name
    settings = fit.run.settings(fit.run.folder)
    return masked_lm_card(fit.run.folder.name, base, {**result, "arguments": settings})


def _numbers(count: int) -> Any:
    import numpy as np

    return np.arange(count)
