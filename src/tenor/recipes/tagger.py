"""A tagger (named-entity recognition) from tagged words or from spans in texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tenor.errors import ConfigError, DataError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.seeds import over_seeds
from tenor.recipes.settings import (
    SeedSettings,
    check_least,
    check_no_gradient_caching,
    check_run_settings,
    device_of,
    split_seed_of,
)
from tenor.training.freezing import FreezingArguments

if TYPE_CHECKING:
    from tenor.data.tagging import TaggedTexts
    from tenor.models.tagger import Tagger
    from tenor.recipes.fit_data import Evaluation
    from tenor.training.tagging import TaggingData

__all__ = ["TaggerConfig", "train_tagger"]


@dataclass(frozen=True, kw_only=True)
class TaggerConfig(SeedSettings, FreezingArguments):
    """Settings of training a tagger, beside those of the training loop.

    Attributes:
        train: file to train on: jsonl, json or Parquet with tokens and ner_tags or with text and
            spans, CoNLL columns (any other suffix), also .gz; or a hub data set.
        out: folder of the run: config.toml, log.jsonl, result.json, model/, checkpoints/.
        validation: file or hub data set to evaluate on.
        model: tagger, encoder or embedder to start from: a name, folder or hub id.
        columns: role (tokens, tags, text, spans) = column of the file, where columns are not named
            as usual.
        label_names: file with the names of tags that are numbers, in their order, one a line.
        hold_out: share of the training texts to evaluate on, where there is no validation file.
        on_bad_row: error, or skip to drop bad rows and count them.
        misaligned: what to do with a text one of whose spans begins or ends within a word: error;
            skip it and tell; or expand such spans to whole words and count them.
        label_pieces: tokens of a word that learn its tag: first, or all.
        class_weights: none, or balanced to weight rare tags like frequent ones.
        split_long: read long texts in windows that overlap; else what is beyond the limit is lost,
            and counted.
        overlap: tokens that two windows share, at most half of a window.
        max_seq_length: tokens of a window; the model's own limit by default.
        device: auto, cpu, cuda or mps.
        resume: go on with the run in `out`.
        epochs: passes over the data.
        batch_size: windows a step, over all processes together.
        learning_rate: the highest, reached after warm-up.
    """

    command: ClassVar[str] = "train tagger"

    train: str
    out: str
    validation: str | None = None
    model: str = "all-MiniLM-L6-v2"
    columns: dict[str, str] | None = None
    label_names: str | None = None
    hold_out: float = 0.0
    on_bad_row: str = "error"
    misaligned: str = "error"
    label_pieces: str = "first"
    class_weights: str = "none"
    split_long: bool = True
    overlap: int = 64
    max_seq_length: int | None = None
    device: str = "auto"
    resume: bool = False
    epochs: int = 3
    batch_size: int = 16
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_run_settings(self)
        for name, allowed in (
            ("misaligned", ("error", "skip", "expand")),
            ("label_pieces", ("first", "all")),
            ("class_weights", ("none", "balanced")),
        ):
            if getattr(self, name) not in allowed:
                listed = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
                raise ConfigError(name, getattr(self, name), listed)
        check_least(self, 0, "overlap")
        check_no_gradient_caching(self, "no text is compared with another")


@over_seeds
@leaves_report
def train_tagger(config: TaggerConfig) -> dict[str, Any]:
    """Train a tagger, evaluate it before and after, and save it with everything about it.

    The weights of the best F1 over spans are kept, where there is validation data.

    Args:
        config: the settings.

    Returns:
        What result.json holds.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    from torch import nn

    from tenor.data.tagging import hold_out_texts
    from tenor.models.tagger import Tagger
    from tenor.recipes.fit import Fit
    from tenor.recipes.fit_data import Source
    from tenor.training.tagging import Tagging, TaggingData, balanced_weights

    fit = Fit(config, config.out, resume=config.resume)
    if (done := fit.done()) is not None:
        return done
    table = _read(config, config.train)
    if not table.counts:
        raise DataError("there is not a single span; all tags are O.", path=config.train)
    held = None
    labels = table.labels
    if config.hold_out:
        table, held = hold_out_texts(table, config.hold_out, split_seed_of(config))
    evaluation = _evaluation(config, table, held)
    model = Tagger.load(
        config.model,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
        labels=labels,
        seed=config.seed,
    )
    data = TaggingData.of_texts(
        table,
        model,
        label_pieces=config.label_pieces,
        split_long=config.split_long,
        overlap=config.overlap,
        misaligned=config.misaligned,
    )
    _tell_data(data, model)
    weights = None
    if config.class_weights == "balanced":
        weights = balanced_weights(data.tags, len(model.labels))
    loss = "cross-entropy of tags" + (", balanced" if weights is not None else "")
    skipped = len(table.skipped) + len(data.skipped)
    rows = len(table) - len(data.skipped)
    result = fit.train(
        model,
        nn.Identity(),
        data,
        loss=loss,
        source=Source(rows, skipped, table.path, table.sha256, "windows", (table.describe(),)),
        evaluation=evaluation,
        arguments=config,
        card=lambda result: model.card(**fit.run.card_facts({**result, "lost": data.lost})),
        step=Tagging(weights=weights),  # type: ignore[arg-type]
    )
    result |= {
        "labels": list(model.labels),
        "lost": dict(data.lost),
        "split_texts": data.split,
        "expanded_spans": data.expanded,
    }
    if fit.main:
        fit.run.write_result(result)
    return result


def _read(config: TaggerConfig, source: str) -> TaggedTexts:
    """Tagged texts of a file, and a line about them."""
    from tenor.data.tagging import read_tagged
    from tenor.recipes.tell import tell

    table = read_tagged(
        source,
        columns=config.columns,
        label_names=config.label_names,
        on_bad_row=config.on_bad_row,  # type: ignore[arg-type]
    )
    tell(table.describe())
    return table


def _evaluation(
    config: TaggerConfig, training: TaggedTexts, held: TaggedTexts | None
) -> Evaluation | None:
    """How to evaluate, and how far the texts were seen in training."""
    from tenor.data.overlap import overlap
    from tenor.evaluation.tagging import SpanEvaluation
    from tenor.recipes.fit_data import Evaluation
    from tenor.recipes.tell import tell

    table = held
    if table is None:
        if config.validation is None:
            tell("no validation data: nothing will be measured (give --validation or --hold-out)")
            return None
        table = _read(config, config.validation)
    unknown = {name: n for name, n in table.counts.items() if name not in training.counts}
    if unknown:
        listed = ", ".join(f"{name} ({count:,} spans)" for name, count in unknown.items())
        tell(f"types of the validation data that no training text has, and none can find: {listed}")
    shared = overlap(training.texts, table.texts).describe()
    tell(shared)
    return Evaluation(SpanEvaluation(table), "f1", shared)


def _tell_data(data: TaggingData, model: Tagger) -> None:
    """Say what became of the texts."""
    from tenor.recipes.tell import tell

    if data.split:
        tell(f"{data.split:,} texts are longer than {model.max_seq_length} tokens and were cut in "
             "windows that overlap; no tag is lost")  # fmt: skip
    if data.expanded:
        tell(f"{data.expanded:,} spans that began or ended within a word were grown to whole words")
    if data.skipped:
        tell(f"{len(data.skipped):,} texts were left out because a span begins or ends in a word")
    if data.lost["words"]:
        tell(
            f"{data.lost['words']:,} words are not trained on, beyond the limit or without a "
            f"token, and {data.lost['spans']:,} spans with them"
        )
