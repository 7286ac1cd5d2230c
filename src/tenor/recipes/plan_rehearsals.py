"""Each recipe's model, objective and batches on a sample of the rows, for timing its steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tenor.data.loss_choice import choose_loss
from tenor.data.prepare import prepare, take
from tenor.data.schema import PairTable
from tenor.data.self_pairs import documents_of, make_pairs
from tenor.recipes.classifier import ClassifierConfig, learning_rates
from tenor.recipes.contrastive import ContrastiveConfig, load_embedder, objective_of, with_rate
from tenor.recipes.cross_encoder import CrossEncoderConfig
from tenor.recipes.embedder_fit import embedder_of, training_plan
from tenor.recipes.few_shot import FewShotConfig
from tenor.recipes.few_shot_stages import contrastive_loss, load_start, make_plan
from tenor.recipes.mlm import MlmConfig
from tenor.recipes.plan_probe import MOST_STEPS, Pace, time_steps
from tenor.recipes.plan_sources import Source
from tenor.recipes.settings import device_of
from tenor.recipes.tagger import TaggerConfig
from tenor.recipes.tsdae import TsdaeConfig
from tenor.training.batch import TrainingData

__all__ = ["rehearse"]


def rehearse(config: Any, source: Source, *, seconds: float = 6.0) -> Pace | None:
    """Time the steps of a recipe on some rows of a source.

    Args:
        config: the recipe's settings.
        source: what it trains on.
        seconds: about so long, after the model is loaded.

    Returns:
        The pace; `None` for a recipe that has no steps of its own, such as logistic regression.

    Raises:
        TenorError: the model or the rows cannot be used by this recipe.
    """
    if isinstance(config, ClassifierConfig) and config.head != "logistic":
        return _classifier(config, source, seconds)
    if isinstance(config, FewShotConfig):
        return _few_shot(config, source, seconds)
    if isinstance(config, ContrastiveConfig) and config.train is not None:
        return _contrastive(config, source, seconds)
    if isinstance(config, CrossEncoderConfig):
        return _cross_encoder(config, source, seconds)
    if isinstance(config, TaggerConfig):
        return _tagger(config, source, seconds)
    if isinstance(config, MlmConfig):
        return _mlm(config, source, seconds)
    if isinstance(config, TsdaeConfig):
        return _tsdae(config, source, seconds)
    if isinstance(config, ContrastiveConfig):
        return _documents(config, source, seconds)
    return None


def _contrastive(config: ContrastiveConfig, source: Source, seconds: float) -> Pace:
    table = _table(source)
    loss = choose_loss(table.kind)[0] if config.loss == "auto" else config.loss
    made = prepare(table, loss, threshold=config.positive_from)
    rows = _some(made, config.batch_size)
    model = load_embedder(config)
    group = config.texts_per_class if loss == "supervised-contrastive" else 1
    return time_steps(
        model,
        objective_of(config, model, loss, classes=len(rows.label_names or ()) or 2),
        TrainingData.of(rows.columns, rows.target, model.tokenizer),
        with_rate(config, model),
        plan=training_plan(rows, config, group),
        seconds=seconds,
        rows=len(made),
    )


def _documents(config: ContrastiveConfig, source: Source, seconds: float) -> Pace:
    model = load_embedder(config)
    documents = documents_of(
        str(config.pairs_from),
        str(config.how),
        columns=config.columns or {},
        on_bad_row=config.on_bad_row,
    )
    made = make_pairs(documents, config.pair_making(), tokens=model.max_seq_length)
    rows = _some(made, config.batch_size)
    return time_steps(
        model,
        objective_of(config, model, "mnr"),
        replace(
            TrainingData.of(rows.columns, None, model.tokenizer),
            columns_apart=config.how == "simcse",
        ),
        with_rate(config, model),
        seconds=seconds,
        rows=len(made),
    )


def _classifier(config: ClassifierConfig, source: Source, seconds: float) -> Pace:
    from tenor.models.encoder_classifier import EncoderClassifier
    from tenor.training.classification_objectives import (
        choose_classification_loss,
        make_classification_objective,
    )

    table = _table(source)
    several = table.kind == "multi_labelled_texts"
    loss, _ = choose_classification_loss(config.loss, several)
    rows = _some(table, config.batch_size)
    assert rows.label_names is not None and rows.target is not None
    model = EncoderClassifier.start(
        config.model,
        rows.label_names,
        multi_label=loss == "bce",
        head=config.head,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
        seed=config.seed,
    )
    target = np.asarray(rows.target)
    if loss == "bce" and not several:
        target = np.eye(len(rows.label_names), dtype=np.float32)[target]
    return time_steps(
        model,
        make_classification_objective(loss),
        TrainingData.of(rows.columns, target, model.tokenizer),
        replace(config, **learning_rates(config, model)),
        seconds=seconds,
        rows=len(table),
    )


def _few_shot(config: FewShotConfig, source: Source, seconds: float) -> Pace:
    from tenor.training.few_shot_objectives import make_few_shot_objective

    table = _table(source)
    assert table.target is not None
    # All the rows: which classes stand together in a batch depends on how many there are.
    target = np.asarray(table.target)
    plan = make_plan(config, target, config.steps)
    loss = contrastive_loss(config, plan, target)
    embedder = load_start(config, config.model, fresh=True)
    return time_steps(
        embedder,
        make_few_shot_objective(loss, temperature=config.temperature).to(embedder.device),
        TrainingData.of(table.columns, table.target, embedder.tokenizer),
        config.arguments(len(plan), rows=plan.batch_size),
        plan=plan,
        seconds=seconds,
    )


def _cross_encoder(config: CrossEncoderConfig, source: Source, seconds: float) -> Pace:
    from tenor.models.cross_encoder import CrossEncoder
    from tenor.training.candidate_data import CandidateData
    from tenor.training.pair_objectives import choose_pair_loss, make_pair_objective, pair_data

    table = _table(source)
    loss, _ = choose_pair_loss(config.loss, table.kind)
    made = prepare(table, loss, threshold=config.positive_from)
    rows = _some(made, config.batch_size)
    names = (rows.label_names or ()) if loss == "cross-entropy" else ()
    model = CrossEncoder.load(
        config.model,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
        classes=len(names) or 1,
        seed=config.seed,
    )
    data: TrainingData
    if rows.target is None:
        data = CandidateData.lists(
            rows.columns, model.tokenizer, negatives=config.negatives, seed=config.seed
        )
    else:
        data = pair_data(rows.columns, rows.target, model.tokenizer)
    objective = make_pair_objective(loss, scale=config.scale)
    return time_steps(model, objective, data, config, seconds=seconds, rows=len(made))


def _tagger(config: TaggerConfig, source: Source, seconds: float) -> Pace:
    from torch import nn

    from tenor.models.tagger import Tagger
    from tenor.training.tagging import Tagging, TaggingData

    table = source.tagged
    assert table is not None
    wanted = min(MOST_STEPS * config.batch_size, len(table))
    chosen = np.random.default_rng([config.seed, 6]).permutation(len(table))[:wanted]
    model = Tagger.load(
        config.model,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
        labels=table.labels,
        seed=config.seed,
    )
    data = TaggingData.of_texts(
        table.take(np.sort(chosen).tolist()),
        model,
        label_pieces=config.label_pieces,
        split_long=config.split_long,
        overlap=config.overlap,
        misaligned=config.misaligned,
    )
    step: Any = Tagging()
    windows = round(len(data) / wanted * len(table))
    return time_steps(model, nn.Identity(), data, config, step=step, seconds=seconds, rows=windows)


def _mlm(config: MlmConfig, source: Source, seconds: float) -> Pace:
    from torch import nn

    from tenor.models.masked_lm import MaskedLM
    from tenor.training.denoising import vocabulary_facts
    from tenor.training.masking import Masking, cut_in_blocks

    model = MaskedLM.load(
        config.model,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
    )
    distinct = list(dict.fromkeys(source.texts))
    order = np.random.default_rng(6).permutation(len(distinct))[: MOST_STEPS * config.batch_size]
    ids = cut_in_blocks(model.tokenizer, [distinct[place] for place in order.tolist()])
    facts = vocabulary_facts(model.tokenizer)
    step: Any = Masking(facts=facts, share=config.mask_share, whole_words=config.whole_words)
    return time_steps(
        model,
        nn.Identity(),
        TrainingData(ids, {"text": np.arange(len(ids))}, None, model.tokenizer.filler_id),
        config,
        step=step,
        seconds=seconds,
        rows=round(len(ids) / len(order) * len(distinct)),
    )


def _tsdae(config: TsdaeConfig, source: Source, seconds: float) -> Pace:
    from torch import nn

    from tenor.data.noise import Noise
    from tenor.models.decoder import Decoder
    from tenor.training.denoising import Denoising, DenoisingAutoEncoder, vocabulary_facts

    embedder = embedder_of(config, config.model, pooling=config.pooling or "cls")
    decoder = Decoder.of(embedder.encoder, embedder.dimensions, tie=config.tie, head=None)
    noise = Noise(kind=config.noise, ratio=config.noise_ratio, level=config.level)
    distinct = list(dict.fromkeys(source.texts))
    order = np.random.default_rng(6).permutation(len(distinct))[: MOST_STEPS * config.batch_size]
    texts = [distinct[place] for place in order.tolist()]
    texts = [text for text in texts if len(text.split()) > 1] or texts
    step: Any = Denoising(noise, vocabulary_facts(embedder.tokenizer))
    return time_steps(
        DenoisingAutoEncoder(embedder, decoder),
        nn.Identity(),
        TrainingData.of({"text": texts}, None, embedder.tokenizer),
        config,
        step=step,
        seconds=seconds,
        rows=len(distinct),
    )


def _table(source: Source) -> PairTable:
    assert source.table is not None
    return source.table


def _some(table: PairTable, batch_size: int) -> PairTable:
    """Rows for as many batches as are timed at most, drawn at random."""
    wanted = min(MOST_STEPS * batch_size, len(table))
    return take(table, np.random.default_rng(6).permutation(len(table))[:wanted])
