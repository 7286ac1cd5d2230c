"""Augmented SBERT: few labelled pairs teach a cross-encoder, which labels many for a bi-encoder.

Thakur et al. 2021, https://arxiv.org/abs/2010.08240. In the domain of the labels, or out of it:
labels from a source domain, texts from the target.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from tenor.errors import ConfigError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.seeds import over_seeds
from tenor.recipes.settings import (
    DEVICES,
    ON_BAD_ROW,
    SeedSettings,
    check_above_zero,
    check_choices,
    check_least,
    check_rates,
    check_seeds,
    check_shares,
)
from tenor.training.arguments import TrainingArguments

__all__ = ["AugmentedConfig", "train_augmented"]

STRATEGIES = ("semantic", "bm25", "both", "random")
LABELLERS = ("auto", "mean", "cross-encoder")
LOSSES = ("auto", "cosine", "cosent", "mnr", "contrastive", "online-contrastive")


@dataclass(frozen=True, kw_only=True)
class AugmentedConfig(SeedSettings, TrainingArguments):
    """Settings of Augmented SBERT, beside those of the bi-encoder's training loop.

    Attributes:
        gold: file or hub data set of labelled pairs: scored, or labelled 0 and 1.
        pool: file of texts without labels: a column text, or pairs, whose texts are pooled.
        out: folder of the run: config.toml, result.json, silver.parquet, model/, and a folder for
            each stage: teacher/, warm-up/, cross-encoder/, gold-only/, gold-silver/.
        validation: labelled pairs that choose the best weights and the better model; from the
            domain that the model is for.
        test: labelled pairs on which the models are compared once more, which choose nothing.
        hold_out: share of the gold pairs that take the place of a validation file.
        model: embedder or encoder that the bi-encoder starts from: a name, folder or hub id.
        columns: role = column of the labelled files, where columns are not named as usual.
        pool_columns: columns of the pool that hold texts.
        on_bad_row: error, or skip to drop bad rows and count them.
        strategy: where candidate pairs come from: semantic, bm25, both or random.
        top_k: neighbours of each text of the pool that make a pair with it; of random pairs, how
            many there are for each text.
        random_share: share of the candidates that are random pairs, beside those found by search:
            pairs with nothing in common, which search never finds.
        retriever: bi-encoder of the semantic search: gold for one that is trained on the gold pairs
            first (the teacher), or a name or folder.
        max_pairs: label at most so many pairs, drawn at random; 0 for all.
        resample: kde to keep the silver pairs whose scores are spread as the gold ones are, or
            none.
        label_with: what a silver score is: cross-encoder for its score alone; mean for the mean of
            that and the teacher's cosine, two models that err in different places; auto for the
            one of the two that is nearer to the labels of the validation pairs.
        cross_encoder: a trained cross-encoder that labels; trained on the gold pairs by default.
        labeller_model: encoder that the cross-encoder starts from; that of `model` by default.
        warm_up_pairs: candidate pairs on which a new cross-encoder first learns what the teacher
            says of them, before it learns the gold pairs; 0 for none.
        labeller_epochs: passes of the cross-encoder, and of the teacher, over the gold pairs.
        labeller_max_steps: steps of the cross-encoder at most, in its warm-up too, if fewer than
            the passes make.
        labeller_batch_size: gold pairs a step of the cross-encoder.
        labeller_learning_rate: of the cross-encoder.
        gold_share: least share of gold among the rows of gold + silver training; gold pairs are
            repeated until they reach it. 0 for each once.
        loss: auto, cosine, cosent, mnr; with gold labels 0 and 1 also contrastive and
            online-contrastive, which take silver pairs from 0.5 as the same.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        pooling: mean, cls, max, mean_sqrt_len, last or weighted_mean; the model's by default.
        scale: inverse temperature of cosent and mnr.
        device: auto, cpu, cuda or mps.
        engine: local, or ray to label on a Ray cluster.
        address: of the cluster; this machine alone by default.
        workers: processes that label; by default one for each GPU, or else for each CPU.
        resume: go on with the run in `out`.
    """

    command: ClassVar[str] = "train augmented"

    gold: str
    pool: str
    out: str
    validation: str | None = None
    test: str | None = None
    hold_out: float = 0.2
    model: str = "all-MiniLM-L6-v2"
    columns: dict[str, str] | None = None
    pool_columns: tuple[str, ...] = ()
    on_bad_row: str = "error"
    strategy: str = "semantic"
    top_k: int = 5
    random_share: float = 0.33
    retriever: str = "gold"
    max_pairs: int = 0
    resample: str = "none"
    label_with: str = "auto"
    cross_encoder: str | None = None
    labeller_model: str | None = None
    warm_up_pairs: int = 10_000
    labeller_epochs: int = 4
    labeller_max_steps: int | None = None
    labeller_batch_size: int = 32
    labeller_learning_rate: float = 1e-4
    gold_share: float = 0.4
    loss: str = "auto"
    max_seq_length: int | None = None
    pooling: str | None = None
    scale: float = 20.0
    device: str = "auto"
    engine: str = "local"
    address: str | None = None
    workers: int | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("gold", "pool", "out", "retriever"):
            if not getattr(self, name):
                raise ConfigError(name, getattr(self, name), "given")
        check_choices(
            self,
            strategy=STRATEGIES,
            resample=("none", "kde"),
            label_with=LABELLERS,
            loss=LOSSES,
            on_bad_row=ON_BAD_ROW,
            device=DEVICES,
            engine=("local", "ray"),
        )
        check_seeds(self)
        if not 0 < self.hold_out < 1:
            raise ConfigError("hold_out", self.hold_out, "a share between 0 and 1")
        check_shares(self, "random_share", "gold_share")
        check_least(
            self, 1, "top_k", "labeller_epochs", "labeller_max_steps", "labeller_batch_size"
        )
        check_least(self, 0, "max_pairs", "warm_up_pairs")
        check_rates(self, "labeller_learning_rate")
        check_above_zero(self, "scale")
        if self.engine == "local" and (self.address or self.workers):
            name = "address" if self.address else "workers"
            raise ConfigError(name, getattr(self, name), "left out, or used with engine = ray")

    def arguments(self) -> dict[str, Any]:
        """Those of the bi-encoder's training loop."""
        return {field.name: getattr(self, field.name) for field in fields(TrainingArguments)}


@over_seeds
@leaves_report
def train_augmented(config: AugmentedConfig) -> dict[str, Any]:
    """Train a bi-encoder on gold and silver pairs, and find out whether the silver ones helped.

    Args:
        config: the settings.

    Returns:
        What result.json holds: among it `comparison`, gold-only against gold + silver on the same
        held-out pairs, `silver_helps`, and `kept`, which of the two is in model/.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    import time

    from tenor.recipes import augmented_stages as stages
    from tenor.recipes.augmented_data import read_data
    from tenor.recipes.augmented_outcome import compare, tell_outcome
    from tenor.recipes.augmented_silver import silver_pairs
    from tenor.recipes.stages import finished_before, keep_model, require_one_process
    from tenor.training.run import Run, machine, versions

    start = time.perf_counter()
    require_one_process("train augmented", " (or spread the labelling with --engine ray)")
    stages.require_labeller(config.cross_encoder)
    if (done := finished_before(config)) is not None:
        return done
    run = Run(config.out, config, resume=config.resume)
    data = read_data(config, run.folder)
    candidates = stages.candidate_pairs(config, data, run)
    labeller = stages.cross_encoder(config, data, run)
    silver, silver_notes = silver_pairs(config, data, run, labeller)
    rows = stages.training_rows(config, data.gold_and(silver, config.gold_share))
    repeated = stages.training_rows(config, data.gold, len(rows))  # as many updates
    gold_only = stages.bi_encoder(config, data, run, stages.GOLD_ONLY, repeated)
    both = stages.bi_encoder(config, data, run, stages.GOLD_SILVER, rows)
    comparison = compare(config, data, run)
    result = {
        **comparison,
        "gold": data.gold_notes,
        "pool": data.pool_notes,
        "candidates": candidates,
        "labeller": labeller.notes,
        "silver": silver_notes,
        "loss": both["loss"],
        "steps": {"gold-only": gold_only["steps"], "gold-silver": both["steps"]},
        "best_step": {"gold-only": gold_only["best_step"], "gold-silver": both["best_step"]},
        "overlap": both["overlap"],
        "versions": versions(),
        "machine": machine(),
        "seconds": time.perf_counter() - start,
    }
    kept = comparison["kept"]
    result["model"] = keep_model(run, run.folder / kept / "model", stage=kept)
    run.write_result(result)
    tell_outcome(result)
    return result
