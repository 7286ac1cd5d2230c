"""TSDAE: from raw text to an embedder, without a label.

Wang et al. 2021, https://arxiv.org/abs/2104.06979: words of a text are deleted, the encoder makes
one vector of the rest, and a decoder must rebuild the whole text from this vector alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from tenor.errors import DataError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.seeds import over_seeds
from tenor.recipes.settings import (
    SeedSettings,
    check_no_gradient_caching,
    check_run_settings,
    split_seed_of,
)
from tenor.training.arguments import TrainingArguments

if TYPE_CHECKING:
    from pathlib import Path

    from tenor.evaluation.result import EvaluationResult
    from tenor.models.language_head import LanguageHead
    from tenor.training.denoising import DenoisingAutoEncoder

__all__ = ["TsdaeConfig", "train_tsdae"]

log = logging.getLogger("tenor")


@dataclass(frozen=True, kw_only=True)
class TsdaeConfig(SeedSettings, TrainingArguments):
    """Settings of TSDAE, beside those of the training loop; the defaults are the paper's.

    Attributes:
        train: file (csv, tsv, jsonl, parquet, txt, also .gz) or hub data set with raw text, best
            single sentences or short passages.
        out: folder of the run: config.toml, log.jsonl, result.json, model/, checkpoints/.
        column: of the file, that holds the text.
        validation: file of held-out text, for the reconstruction loss.
        hold_out: share of the training texts to hold out instead; by default 5 %, at most 2,000
            texts; 0 for none.
        evaluate: file of pairs, or folder with corpus, queries, qrels, to measure the embedder on;
            its figure then decides which weights are kept.
        columns: role = column of that file, where columns are not named as usual.
        model: encoder to start from: a name, folder or hub id. A plain encoder, or one that
            `tenor train mlm` made; TSDAE does harm to a trained embedder.
        tie: share embeddings and layers between encoder and decoder, as the paper does: half the
            memory, and the better embedder there.
        noise: delete, mask, replace or swap words.
        noise_ratio: share of the words.
        level: word, or token.
        pooling: cls, mean, max, mean_sqrt_len, last or weighted_mean. By default cls for a plain
            encoder, which the paper found best as the vector to decode from; an embedder keeps its
            own.
        on_bad_row: error, or skip to drop rows that cannot be read and count them.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        device: auto, cpu, cuda or mps.
        resume: go on with the run in `out`.
    """

    command: ClassVar[str] = "train tsdae"

    train: str
    out: str
    column: str = "text"
    validation: str | None = None
    hold_out: float | None = None
    evaluate: str | None = None
    columns: dict[str, str] | None = None
    model: str = "all-MiniLM-L6-v2"
    tie: bool = True
    noise: str = "delete"
    noise_ratio: float = 0.6
    level: str = "word"
    pooling: str | None = None
    on_bad_row: str = "error"
    max_seq_length: int | None = None
    device: str = "auto"
    resume: bool = False
    batch_size: int = 8
    learning_rate: float = 3e-5
    schedule: str = "constant"
    warmup: float = 0.0

    def __post_init__(self) -> None:
        from tenor.data.noise import Noise

        super().__post_init__()
        check_run_settings(self)
        check_no_gradient_caching(self, "its logits are never held all at once")
        Noise(kind=self.noise, ratio=self.noise_ratio, level=self.level)


@over_seeds
@leaves_report
def train_tsdae(config: TsdaeConfig) -> dict[str, Any]:
    """Train an embedder on raw text, and measure it before and after.

    Args:
        config: the settings.

    Returns:
        What result.json holds; `tied` says what encoder and decoder shared.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    import numpy as np
    import torch
    from torch import nn

    from tenor.data.noise import Noise
    from tenor.evaluation.perplexity import reconstruction
    from tenor.formats.locate import locate
    from tenor.formats.sentence_transformers import is_trained_embedder
    from tenor.models.decoder import Decoder
    from tenor.recipes.embedder_fit import EmbedderFit, embedder_of
    from tenor.recipes.fit_data import Source
    from tenor.recipes.raw_text import read_texts, tell_perplexity
    from tenor.recipes.tell import tell
    from tenor.training.batch import TrainingData
    from tenor.training.denoising import Denoising, DenoisingAutoEncoder, vocabulary_facts

    fit = EmbedderFit(config, config.out, resume=config.resume)
    if (done := fit.done()) is not None:
        return done
    corpus, texts, held = read_texts(config)
    folder = locate(config.model)
    trained = is_trained_embedder(folder)
    if trained:
        log.warning(
            "warning: %s is an embedder that was trained for similarity. TSDAE optimises "
            "reconstruction, not similarity, and usually undoes some of that training; it is meant "
            "for a plain encoder, before supervised training. Going on as asked: compare before "
            "and after with --evaluate.",
            config.model,
        )
    pooling = config.pooling or (None if trained else "cls")
    embedder = embedder_of(config, config.model, pooling=pooling)
    torch.manual_seed(config.seed)  # of layers that are new
    decoder = Decoder.of(
        embedder.encoder, embedder.dimensions, tie=config.tie, head=_stored_head(folder)
    )
    tell(
        f"decoder of {len(decoder.layers)} layers; shared with the encoder: {decoder.tied}; "
        f"{config.noise} {config.noise_ratio:.0%} of the {config.level}s; pooling "
        f"{', '.join(embedder.pooling.modes)}"
    )
    model = DenoisingAutoEncoder(embedder, decoder)
    noise = Noise(kind=config.noise, ratio=config.noise_ratio, level=config.level)
    step = Denoising(noise, vocabulary_facts(embedder.tokenizer))
    data = TrainingData.of({"text": texts}, None, embedder.tokenizer)
    rows = np.flatnonzero(data.ids.lengths >= 2)  # of a single token nothing is left to predict
    if not len(rows):
        raise DataError("no text has two tokens: there is nothing to rebuild.", path=corpus.path)
    data = replace(data, columns={"text": rows})
    loss = None
    if held:
        ids, filler = embedder.tokenizer(held), embedder.tokenizer.filler_id
        drawn = split_seed_of(config)
        loss = reconstruction(ids, step, config.validation or corpus.path, drawn, filler_id=filler)
    result = fit.train(
        model,
        nn.Identity(),
        data,
        loss="denoising (TSDAE)",
        source=Source(len(texts), corpus.skipped, corpus.path, corpus.sha256),
        evaluation=_evaluation(fit, config, texts, loss),
        arguments=config,
        card=lambda result: fit.card_of(embedder, {**result, "tied": decoder.tied}),
        step=step,
    )
    tell_perplexity(result)
    return result


def _evaluation(
    fit: Any,
    config: TsdaeConfig,
    texts: list[str],
    loss: Callable[[DenoisingAutoEncoder], EvaluationResult] | None,
) -> Any:
    """The embedder's figure where there is data for it, the reconstruction's, or both."""
    from tenor.recipes.fit_data import Evaluation
    from tenor.recipes.tell import tell

    if config.evaluate is None:
        if loss is None:
            tell("nothing will be measured (give --evaluate, --validation or --hold-out)")
            return None
        return Evaluation(loss, "log_likelihood")
    found = fit.evaluation_of(config.evaluate, texts)

    def measure(model: DenoisingAutoEncoder) -> EvaluationResult:
        result: EvaluationResult = found.measure(model.embedder)
        if loss is None:
            return result
        rebuilt = loss(model)
        return replace(
            result,
            metrics={**result.metrics, **rebuilt.metrics},
            intervals={**result.intervals, **rebuilt.intervals},
            seconds=result.seconds + rebuilt.seconds,
            per_item={**result.per_item, **rebuilt.per_item},
            notes={**result.notes, "held_out_texts": rebuilt.n},
        )

    return Evaluation(measure, found.metric, found.overlap, behind=found.measure)


def _stored_head(folder: Path) -> LanguageHead | None:
    """The language modelling head that a masked language model brings for the decoder."""
    from tenor.formats.json_files import read_object
    from tenor.models.masked_lm import MaskedLM

    kinds = read_object(folder / "config.json", optional=True).get("architectures") or []
    if not any(kind.endswith(("ForMaskedLM", "ForPreTraining")) for kind in kinds):
        return None
    return MaskedLM.load(folder, device="cpu", dtype="fp32").head
