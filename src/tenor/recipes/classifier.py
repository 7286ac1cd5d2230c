"""A text classifier from labelled texts: fine-tuned, or a head on a frozen encoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from tenor.errors import ConfigError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.seeds import over_seeds
from tenor.recipes.settings import (
    SeedSettings,
    check_run_settings,
    check_shares,
    device_of,
    fine_tuning_rate,
    split_seed_of,
)
from tenor.training.freezing import Freezing, HeadArguments

if TYPE_CHECKING:
    from tenor.data.schema import PairTable
    from tenor.models.classifier import TextClassifier
    from tenor.models.encoder_classifier import EncoderClassifier
    from tenor.recipes.fit import Fit
    from tenor.recipes.fit_data import Evaluation

__all__ = ["ClassifierConfig", "learning_rates", "train_classifier", "train_on_table"]

HEAD_LEARNING_RATE = 1e-3  # where only the head is trained, and the most that is chosen for one
NEW_HEAD = 10  # how many times higher a new head's learning rate is than the encoder's


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(SeedSettings, HeadArguments):
    """Settings of training a text classifier, beside those of the training loop.

    Attributes:
        train: file (csv, tsv, jsonl, parquet, also .gz) or hub data set to train on: text and
            label; a list of labels, or several with | between them, for several labels a text.
        out: folder of the run: config.toml, log.jsonl, result.json, model/, checkpoints/.
        validation: file or hub data set to evaluate on.
        model: encoder, embedder or classifier to start from: a name, folder or hub id.
        head: linear: a new output layer; mlp: a new hidden layer before it, too; logistic:
            logistic regression on the embeddings of a frozen embedder, which takes seconds.
        loss: auto (from the data), cross-entropy, or bce: each label by itself, so that a text
            may get none.
        class_weights: none, or balanced: rare labels count as much as frequent ones.
        label_smoothing: share of each label that is spread over all of them.
        multi_label: whether a text may have several labels; told from the data by default.
        inverse_regularization: with head logistic, C of the regression; chosen by cross-validation
            on the training data by default.
        columns: role (text, label) = column of the file, where columns have other names.
        hold_out: share of the training texts to evaluate on, where there is no validation file.
        on_bad_row: error, or skip to drop bad rows and count them.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        device: auto, cpu, cuda or mps.
        resume: go on with the run in `out`.
        epochs: passes over the data.
        batch_size: texts a step, over all processes together.
        learning_rate: the highest, reached after warm-up; by default 1e-4 for encoders of at most
            384 dimensions, 5e-5 for others, and 1e-3 where no block is trained.
        head_learning_rate: of the head and the pooler; by default ten times learning_rate, up to
            1e-3, and no other where no block is trained or the head knows the labels already.
    """

    command: ClassVar[str] = "train classifier"

    train: str
    out: str
    validation: str | None = None
    model: str = "all-MiniLM-L6-v2"
    head: str = "linear"
    loss: str = "auto"
    class_weights: str = "none"
    label_smoothing: float = 0.0
    multi_label: bool | None = None
    inverse_regularization: float | None = None
    columns: dict[str, str] | None = None
    hold_out: float = 0.0
    on_bad_row: str = "error"
    max_seq_length: int | None = None
    device: str = "auto"
    resume: bool = False
    epochs: int = 3
    batch_size: int = 32
    learning_rate: float | None = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_run_settings(self)
        if self.head not in ("linear", "mlp", "logistic"):
            raise ConfigError("head", self.head, "linear, mlp or logistic")
        if self.head == "logistic" and self.freeze not in ("none", "all"):
            raise ConfigError("freeze", self.freeze, "left out with head logistic: all is frozen")
        if self.class_weights not in ("none", "balanced"):
            raise ConfigError("class_weights", self.class_weights, "none or balanced")
        check_shares(self, "label_smoothing")
        if self.head == "logistic" and self.label_smoothing:
            raise ConfigError("label_smoothing", self.label_smoothing, "0 with head logistic")
        if self.inverse_regularization is not None:
            if self.head != "logistic":
                value = self.inverse_regularization
                raise ConfigError("inverse_regularization", value, "left out without head logistic")
            if self.inverse_regularization <= 0:
                value = self.inverse_regularization
                raise ConfigError("inverse_regularization", value, "above 0")


@over_seeds
@leaves_report
def train_classifier(config: ClassifierConfig) -> dict[str, Any]:
    """Train a classifier, evaluate it, and save it with everything about it.

    The weights kept are those of the best evaluation: by macro F1, or by micro F1 where a text may
    have several labels.

    Args:
        config: the settings.

    Returns:
        What result.json holds.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    from tenor.data.labelled_texts import read_labelled_texts
    from tenor.recipes.fit import Fit

    fit = Fit(config, config.out, resume=config.resume)
    if (done := fit.done()) is not None:
        return done
    table = read_labelled_texts(
        config.train,
        columns=config.columns,
        multi_label=config.multi_label,
        on_bad_row=config.on_bad_row,  # type: ignore[arg-type]
    )
    return train_on_table(fit, config, table)[0]


def train_on_table(
    fit: Fit, config: ClassifierConfig, table: PairTable
) -> tuple[dict[str, Any], TextClassifier]:
    """Train a classifier on labelled texts that were read.

    Args:
        fit: the run.
        config: the settings.
        table: what `read_labelled_texts` gives.

    Returns:
        What result.json holds, and the trained model.
    """
    from tenor.data.labelled_split import hold_out_by_label
    from tenor.data.labelled_texts import describe_labels, describe_repeats
    from tenor.recipes.labelled_evaluation import evaluation_on_texts
    from tenor.recipes.logistic import train_logistic
    from tenor.recipes.tell import announce_table, tell
    from tenor.training.classification_objectives import choose_classification_loss

    loss, why = choose_classification_loss(config.loss, table.kind == "multi_labelled_texts")
    announce_table(table, loss, why)
    tell(describe_labels(table))
    if 2 * len(table.label_names or ()) > len(table):
        tell("hardly any label has two texts: is this the column of the labels?")
    repeats = describe_repeats(table)
    if repeats is not None:
        tell(repeats)
    notes = tuple(note for note in (describe_labels(table), repeats) if note)
    held = None
    if config.hold_out:
        table, held = hold_out_by_label(table, config.hold_out, split_seed_of(config))
    if loss == "bce":
        table, held = _each_label_by_itself(table), held and _each_label_by_itself(held)
    evaluation = evaluation_on_texts(config, table, held)
    if config.head == "logistic":
        return train_logistic(fit, config, table, evaluation, notes)
    return _fine_tune(fit, config, table, evaluation, loss, notes)


def _fine_tune(
    fit: Fit,
    config: ClassifierConfig,
    table: PairTable,
    evaluation: Evaluation | None,
    loss: str,
    notes: tuple[str, ...],
) -> tuple[dict[str, Any], TextClassifier]:
    from tenor.models.encoder_classifier import EncoderClassifier
    from tenor.recipes.fit_data import Source
    from tenor.recipes.tell import tell
    from tenor.training.batch import TrainingData
    from tenor.training.classification_objectives import (
        balanced_weights,
        make_classification_objective,
    )

    assert table.target is not None and table.label_names is not None
    model = EncoderClassifier.start(
        config.model,
        table.label_names,
        multi_label=loss == "bce",
        head=config.head,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
        seed=config.seed,
    )
    arguments = replace(config, **learning_rates(config, model))
    target = _in_order_of(model.labels, table)
    weights = None
    if config.class_weights == "balanced":
        weights = balanced_weights(target, len(model.labels))
        tell(f"weights of the labels: from {weights.min():.3g} to {weights.max():.3g}")
    result = fit.train(
        model,
        make_classification_objective(
            loss, weights=weights, label_smoothing=config.label_smoothing
        ),
        TrainingData.of(table.columns, target, model.tokenizer),
        loss=loss,
        source=Source.of(table, notes=notes),
        evaluation=evaluation,
        arguments=arguments,
        card=lambda result: model.card(**fit.run.card_facts(result)),
    )
    return result, model


def learning_rates(config: ClassifierConfig, model: EncoderClassifier) -> dict[str, Any]:
    """The settings of that name, chosen where they are left open."""
    freezing = Freezing.parse(config.freeze)
    no_block = freezing.kind == "all"
    if freezing.kind in ("first", "last"):
        blocks = len(model.encoder.blocks)
        no_block = freezing.depth(blocks) == blocks > 0
    rate: float | None = config.learning_rate
    if rate is None:
        rate = HEAD_LEARNING_RATE if no_block else fine_tuning_rate(model.encoder.width)
    head = config.head_learning_rate
    if head is None:
        same = no_block or not model.new_output
        head = rate if same else max(rate, min(NEW_HEAD * rate, HEAD_LEARNING_RATE))
    return {"learning_rate": rate, "head_learning_rate": head}


def _each_label_by_itself(table: PairTable) -> PairTable:
    """Labels of one a text as if there could be any number."""
    import numpy as np

    assert table.target is not None and table.label_names is not None
    if table.kind == "multi_labelled_texts":
        return table
    target = np.eye(len(table.label_names), dtype=np.float32)[table.target]
    return replace(table, kind="multi_labelled_texts", target=target)


def _in_order_of(labels: tuple[str, ...], table: PairTable) -> Any:
    """The table's labels by the numbers that the model has for them."""
    import numpy as np

    assert table.target is not None and table.label_names is not None
    place = np.array([labels.index(name) for name in table.label_names])
    if table.target.ndim == 1:
        return place[table.target]
    target = np.empty_like(table.target)
    target[:, place] = table.target
    return target
