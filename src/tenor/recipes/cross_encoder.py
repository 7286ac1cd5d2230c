"""A cross-encoder from scored or labelled pairs, or from pairs and triplets to rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tenor.recipes.reporting import leaves_report
from tenor.recipes.seeds import over_seeds
from tenor.recipes.settings import (
    SeedSettings,
    check_above_zero,
    check_least,
    check_run_settings,
    device_of,
    split_seed_of,
)
from tenor.training.freezing import FreezingArguments

if TYPE_CHECKING:
    from tenor.data.schema import PairTable
    from tenor.recipes.fit_data import Evaluation
    from tenor.training.batch import TrainingData

__all__ = ["CrossEncoderConfig", "train_cross_encoder"]


@dataclass(frozen=True, kw_only=True)
class CrossEncoderConfig(SeedSettings, FreezingArguments):
    """Settings of training a cross-encoder, beside those of the training loop.

    Attributes:
        train: file (csv, tsv, jsonl, parquet, also .gz) or hub data set to train on.
        out: folder of the run: config.toml, log.jsonl, result.json, model/, checkpoints/.
        validation: file or hub data set to evaluate on.
        model: cross-encoder, encoder or embedder to start from: a name, folder or hub id.
        loss: auto (from the columns), bce, mse, cross-entropy or mnr.
        columns: role = column of the file, where columns are not named as usual, such as
            anchor = title.
        hold_out: share of the training rows to evaluate on, where there is no validation file.
        on_bad_row: error, or skip to drop bad rows and count them.
        max_seq_length: tokens of a pair that count; the model's own limit by default.
        negatives: random other texts that a positive is ranked among, beside the given negatives;
            with pairs and triplets.
        scale: inverse temperature of mnr.
        positive_from: with mnr on scored pairs, the lowest score (0 to 1) of a positive pair.
        device: auto, cpu, cuda or mps.
        resume: go on with the run in `out`.
        batch_size: rows a step, over all processes together.
        learning_rate: the highest, reached after warm-up; small encoders like all-MiniLM-L6-v2
            learn better at 1e-4.
    """

    command: ClassVar[str] = "train cross-encoder"

    train: str
    out: str
    validation: str | None = None
    model: str = "all-MiniLM-L6-v2"
    loss: str = "auto"
    columns: dict[str, str] | None = None
    hold_out: float = 0.0
    on_bad_row: str = "error"
    max_seq_length: int | None = None
    negatives: int = 4
    scale: float = 10.0
    positive_from: float = 0.8
    device: str = "auto"
    resume: bool = False
    batch_size: int = 32
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_run_settings(self)
        check_least(self, 0, "negatives")
        check_above_zero(self, "scale")


@over_seeds
@leaves_report
def train_cross_encoder(config: CrossEncoderConfig) -> dict[str, Any]:
    """Train a cross-encoder, evaluate it before and after, and save it with everything about it.

    Args:
        config: the settings.

    Returns:
        What result.json holds.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    from tenor.data.prepare import hold_out, prepare
    from tenor.data.schema import read_pairs
    from tenor.models.cross_encoder import CrossEncoder
    from tenor.recipes.fit import Fit
    from tenor.recipes.fit_data import Source
    from tenor.recipes.tell import announce_table, tell
    from tenor.training.candidate_data import CandidateData
    from tenor.training.pair_objectives import choose_pair_loss, make_pair_objective, pair_data

    fit = Fit(config, config.out, resume=config.resume)
    if (done := fit.done()) is not None:
        return done
    table = read_pairs(config.train, columns=config.columns, on_bad_row=config.on_bad_row)  # type: ignore[arg-type]
    loss, why = choose_pair_loss(config.loss, table.kind)
    announce_table(table, loss, why)
    held = None
    if config.hold_out:
        table, held = hold_out(table, config.hold_out, split_seed_of(config))
    rows = prepare(table, loss, threshold=config.positive_from, seed=config.seed)
    if rows is not table:
        tell(f"made {len(rows):,} rows of kind {rows.kind} of them")
    evaluation = _evaluation(config, rows, held, tell)
    names = (rows.label_names or ()) if loss == "cross-entropy" else ()
    model = CrossEncoder.load(
        config.model,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
        classes=len(names) or 1,
        seed=config.seed,
    )
    model.activation = "identity" if names else "sigmoid"  # as the losses take the logits
    if names:
        model.labels = names
    data: TrainingData
    if rows.target is None:
        data = CandidateData.lists(
            rows.columns, model.tokenizer, negatives=config.negatives, seed=config.seed
        )
        given = len(rows.columns) - 2
        tell(f"each positive is ranked among {given} given and {config.negatives} random texts")
    else:
        data = pair_data(rows.columns, rows.target, model.tokenizer)
    return fit.train(
        model,
        make_pair_objective(loss, scale=config.scale),
        data,
        loss=loss,
        source=Source.of(rows, "texts" if rows.target is None else "pairs"),
        evaluation=evaluation,
        arguments=config,
        card=lambda result: model.card(**fit.run.card_facts(result)),
    )


def _evaluation(
    config: CrossEncoderConfig, training: PairTable, held: PairTable | None, tell: Any
) -> Evaluation | None:
    """How to evaluate, by which figure, and how far the texts were seen in training."""
    from tenor.data.overlap import overlap
    from tenor.data.prepare import prepare
    from tenor.data.schema import read_pairs
    from tenor.evaluation.pairs import pair_evaluation
    from tenor.recipes.fit_data import Evaluation

    if held is None and config.validation is None:
        tell("no validation data: nothing will be measured (give --validation or --hold-out)")
        return None
    table = held
    if table is None:
        assert config.validation is not None
        columns, bad = config.columns, config.on_bad_row
        table = read_pairs(config.validation, columns=columns, on_bad_row=bad)  # type: ignore[arg-type]
    if table.kind == "nli" and training.target is None:
        table = prepare(table, "mnr")
    shared = overlap(training, table).describe()
    tell(shared)
    measure, metric = pair_evaluation(table, seed=split_seed_of(config))
    return Evaluation(measure, metric, shared)
