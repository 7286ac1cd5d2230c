"""Few-shot classification: contrastive training on a few texts a class, then a head.

SetFit (Tunstall et al. 2022, https://arxiv.org/abs/2209.11055), with each text of a batch encoded
once and all pairs among them used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tenor.errors import ConfigError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.seeds import over_seeds
from tenor.recipes.settings import (
    DEVICES,
    ON_BAD_ROW,
    check_above_zero,
    check_choices,
    check_least,
    check_rates,
    check_run_settings,
)
from tenor.training.arguments import TrainingArguments

__all__ = ["FewShotConfig", "train_few_shot"]

LOSSES = ("auto", "supervised-contrastive", "cosine-pairs")
HEADS = ("logistic", "linear")
PASSES = 4  # over the texts, where the number of steps is not given
FEWEST, MOST = 40, 1000  # steps, the same
STUDENT_PASSES, STUDENT_FEWEST = 10, 100  # the same of the student
STUDENT_LEARNING_RATE = 2e-5
MEASURED_RATE, MEASURED_WIDTH = 1e-4, 384  # what did best, and the width of the embedder it was
LONG_STAGE, CHECKPOINTS = 500, 250  # steps from which a stage saves checkpoints in between


@dataclass(frozen=True, kw_only=True)
class FewShotConfig:
    """Settings of few-shot classification.

    Attributes:
        out: folder of the run: config.toml, log.jsonl, result.json, model/, data/, and a run
            folder for each stage: contrastive/, student/. With several seeds one such folder for
            each: seed-0/, seed-1/, ….
        train: file (csv, tsv, jsonl, parquet, also .gz) or hub data set with text and label; a list
            of labels, or several with | between them, for several labels a text.
        labels: names of the labels, instead of train: then their names are all there is to learn
            from.
        validation: file or hub data set to evaluate on.
        model: embedder or encoder to start from: a name, folder or hub id.
        shots: texts of each label to train on, drawn at random; all by default.
        seeds: how many draws of the shots to train on, from seed on, each in a folder of its own
            (seed-0/, …); the mean and the deviation of every figure are told, and the model that is
            best on the validation data is kept.
        labels_as_text: the names of the labels become texts of their class, too.
        template: texts with {} where a label's name goes, several of them by default.
        label_words: label = what stands for it in a template, where its name says too little.
        unlabelled: file or hub data set with texts of the same kind without labels: the trained
            model labels them, and a student learns from them.
        unlabelled_column: which column of it holds the texts.
        max_unlabelled: use at most so many of them, drawn at random; 0 for all.
        student: embedder that the student starts from, such as a smaller or a static one, which is
            then kept; by default the few-shot model itself, and kept where it is the better one.
        loss: supervised-contrastive, or cosine-pairs as in SetFit; auto: the latter where a batch
            holds all classes and a text has one of them. The student always learns by cosine-pairs,
            which bear with labels that are wrong.
        head: logistic: logistic regression; linear: a linear layer trained by AdamW.
        inverse_regularization: C of logistic regression; chosen on the untouched embedder's vectors
            by cross-validation by default.
        multi_label: whether a text may have several labels; told from the data by default.
        steps: of the contrastive stage; by default four passes over the texts, from 40 to 1,000.
        max_minutes: each stage's training stops after so many minutes.
        student_steps: of the student's stage; by default ten passes, from 100 to 1,000.
        batch_size: texts of a step at most.
        texts_per_class: texts of one class in a batch; by default as many as fit with all classes,
            at most half of what there is of the largest one, so that batches differ, and at least
            4.
        learning_rate: the highest, reached after warm-up; by default the embedder's width decides:
            1e-4 for 384 dimensions, a quarter of that for twice as many.
        student_learning_rate: of the student; by default learning_rate where that is given, else
            2e-5; 0.01 for a static one.
        warmup: share of all steps in which the learning rate rises.
        schedule: how it falls after: linear, cosine or constant.
        temperature: of supervised-contrastive.
        columns: role (text, label) = column of the file, where columns have other names.
        hold_out: share of the labelled texts to evaluate on, where there is no validation file;
            the same ones whatever the seed.
        on_bad_row: error, or skip to drop bad rows and count them.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        pooling: mean, cls, max, mean_sqrt_len, last or weighted_mean; the model's by default.
        evaluate_every: steps between evaluations in the contrastive stage, whose best weights are
            kept; 0 for only before and after.
        patience: evaluations without a better figure before it stops; 0 for never.
        save_every: steps between checkpoints; 0 for the end of a stage, and each 250 steps of one
            that is longer than 500.
        log_every: steps between lines in the log.
        chunk_tokens: with gradient caching, tokens encoded at a time; 0 for no caching.
        device: auto, cpu, cuda or mps.
        dtype: of the products: auto, bf16 or fp32.
        seed: decides the draws, the batches and the dropout.
        track: hand the figures of the stages on to tensorboard or trackio, too (extras of these
            names), which write them into the stages' folders.
        resume: go on with the run in `out`.
    """

    command: ClassVar[str] = "train few-shot"

    out: str
    train: str | None = None
    labels: tuple[str, ...] = ()
    validation: str | None = None
    model: str = "all-MiniLM-L6-v2"
    shots: int | None = None
    seeds: int = 1
    labels_as_text: bool = False
    template: tuple[str, ...] = ()
    label_words: dict[str, str] | None = None
    unlabelled: str | None = None
    unlabelled_column: str = "text"
    max_unlabelled: int = 10_000
    student: str | None = None
    loss: str = "auto"
    head: str = "logistic"
    inverse_regularization: float | None = None
    multi_label: bool | None = None
    steps: int | None = None
    max_minutes: float | None = None
    student_steps: int | None = None
    batch_size: int = 64
    texts_per_class: int | None = None
    learning_rate: float | None = None
    student_learning_rate: float | None = None
    warmup: float = 0.1
    schedule: str = "linear"
    temperature: float = 0.05
    columns: dict[str, str] | None = None
    hold_out: float = 0.0
    on_bad_row: str = "error"
    max_seq_length: int | None = None
    pooling: str | None = None
    evaluate_every: int = 0
    patience: int = 0
    save_every: int = 0
    log_every: int = 10
    chunk_tokens: int = 0
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    track: str | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        if len(self.labels) == 1:  # on the command line one flag holds them all: sport,science
            named = [name.strip() for name in self.labels[0].split(",")]
            object.__setattr__(self, "labels", tuple(name for name in named if name))
        check_choices(self, loss=LOSSES, head=HEADS, on_bad_row=ON_BAD_ROW, device=DEVICES)
        check_run_settings(self)
        self._check_texts()
        check_least(self, 1, "shots", "steps", "student_steps")
        check_least(self, 0, "max_unlabelled")
        check_least(self, 4, "batch_size")
        if self.texts_per_class is not None and not 2 <= self.texts_per_class <= (
            self.batch_size // 2
        ):
            allowed = f"from 2 to {self.batch_size // 2}: two classes have to fit into a batch"
            raise ConfigError("texts_per_class", self.texts_per_class, allowed)
        check_above_zero(self, "temperature")
        check_rates(self, "learning_rate", "student_learning_rate")
        if self.inverse_regularization is not None:
            value = self.inverse_regularization
            if self.head != "logistic":
                raise ConfigError("inverse_regularization", value, "left out with head linear")
            if value <= 0:
                raise ConfigError("inverse_regularization", value, "above 0")
        self.arguments(1)  # checks all that the loop is told

    def _check_texts(self) -> None:
        if not self.train and not self.labels:
            allowed = "a file or a hub data set (--train), unless there are --labels"
            raise ConfigError("train", self.train, allowed)
        if self.train and self.labels:
            allowed = "left out with train, whose labels are used"
            raise ConfigError("labels", list(self.labels), allowed)
        if self.labels and (len(self.labels) < 2 or len(set(self.labels)) < len(self.labels)):
            raise ConfigError("labels", list(self.labels), "at least two different names")
        named = self.labels_as_text or bool(self.labels)
        for field, empty in (("template", ()), ("label_words", None)):
            if (value := getattr(self, field)) != empty and not named:
                raise ConfigError(field, value, "left out without labels_as_text")
        if not self.train:
            for field, neutral in (("shots", None), ("hold_out", 0.0)):
                if (value := getattr(self, field)) != neutral:
                    raise ConfigError(field, value, "left out without train")
        measured = bool(self.validation or self.hold_out)
        if self.evaluate_every and not measured:
            value = self.evaluate_every
            raise ConfigError("evaluate_every", value, "0 without validation or hold_out")
        if self.patience and not self.evaluate_every:
            raise ConfigError("patience", self.patience, "left out without evaluate_every")
        for field in ("student", "student_steps", "student_learning_rate"):
            if (value := getattr(self, field)) is not None and not self.unlabelled:
                raise ConfigError(field, value, "left out without unlabelled")

    def rate_for(self, width: int) -> float:
        """The learning rate of an embedder of so many dimensions.

        >>> FewShotConfig(train="texts.csv", out="run").rate_for(768)
        2.5e-05
        """
        if self.learning_rate is not None:
            return self.learning_rate
        return MEASURED_RATE * (MEASURED_WIDTH / width) ** 2

    def arguments(
        self, steps: int, *, rows: int | None = None, learning_rate: float = MEASURED_RATE
    ) -> TrainingArguments:
        """Settings of the loop for a stage of so many steps.

        Args:
            steps: of the stage; it is one epoch of the loop.
            rows: texts of a batch, if not `batch_size`.
            learning_rate: of the stage.

        Raises:
            ConfigError: for a value that cannot be.
        """
        between = CHECKPOINTS if steps > LONG_STAGE else 0
        return TrainingArguments(
            max_minutes=self.max_minutes,
            batch_size=rows or self.batch_size,
            learning_rate=learning_rate,
            warmup=self.warmup,
            schedule=self.schedule,
            seed=self.seed,
            dtype=self.dtype,
            chunk_tokens=self.chunk_tokens,
            evaluate_every=self.evaluate_every,
            save_every=self.save_every or between,
            log_every=self.log_every,
            patience=self.patience,
            track=self.track,
        )


@over_seeds
@leaves_report
def train_few_shot(config: FewShotConfig) -> dict[str, Any]:
    """Train a classifier on a few texts a class, and measure it beside the untouched embedder.

    Three classifiers may be made: `frozen`, a head on the untouched embedder; `few-shot`, a head
    on the embedder after contrastive training; and with unlabelled texts the `student`. Without
    validation data the last one is kept, else the one with the best figure (a student that starts
    from a model of its own in any case).

    Args:
        config: the settings.

    Returns:
        What result.json holds: among it `metrics` by classifier, `differences` between them, and
        `kept`, whose model is in model/.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    from tenor.recipes.few_shot_run import run_few_shot

    return run_few_shot(config)
