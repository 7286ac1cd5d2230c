"""The stages of an adaptation: each an ordinary run of its recipe, whose model the next one takes.

A resumed run finds a stage done, or goes on with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenor.errors import ConfigError
from tenor.evaluation.result import EvaluationResult
from tenor.models.embedder import Embedder
from tenor.models.static import StaticEmbedder
from tenor.recipes.adapt import SELF_LABELLED, AdaptConfig
from tenor.recipes.adapt_figures import Figures
from tenor.recipes.adapt_files import AdaptFiles
from tenor.recipes.adapt_plan import UNTOUCHED, AdaptPlan
from tenor.recipes.augmented import AugmentedConfig, train_augmented
from tenor.recipes.augmented_stages import require_labeller
from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive
from tenor.recipes.embedder_fit import embedder_of
from tenor.recipes.mlm import MlmConfig, train_mlm
from tenor.recipes.stages import note
from tenor.recipes.tell import tell
from tenor.recipes.tsdae import TsdaeConfig, train_tsdae
from tenor.training.run import Run

__all__ = [
    "StageOutcome",
    "Start",
    "load_embedder",
    "load_untouched",
    "measure_untouched",
    "run_plan",
]

# What result.json says of a stage; all the rest is in the stage's own.
FACTS = (
    "loss",
    "rows",
    "steps",
    "best_step",
    "train_loss",
    "truncated",
    "pairs",
    "kept",
    "seconds",
)
GOLD_HELD_OUT = 0.2


@dataclass(frozen=True)
class Start:
    """Where a stage starts.

    Attributes:
        model: to train on: a name or folder.
        embedder: the same as an embedder; a masked language model has a folder of its own for it.
    """

    model: str
    embedder: str


@dataclass(frozen=True)
class StageOutcome:
    """A model that was measured.

    Attributes:
        name: folder of the stage in the run's, or untouched.
        stage: what was done, such as tsdae; untouched for the model before all.
        start: where a next stage can start.
        result: its figures on the held-out data.
        before: name of the one that it started from.
        facts: what is told about its training.
    """

    name: str
    stage: str
    start: Start
    result: EvaluationResult
    before: str | None = None
    facts: dict[str, Any] | None = None


def load_embedder(config: AdaptConfig, name: str) -> Embedder:
    """Load an embedder as it is trained and measured: only the untouched one may be a name."""
    return embedder_of(config, name, pooling=config.pooling if name == config.model else None)


def load_untouched(config: AdaptConfig, plan: AdaptPlan) -> Embedder:
    """Load the model before all stages, and try that every stage can take it.

    Raises:
        ModelError: when it cannot be loaded, or not for a stage.
        ConfigError: when it has no encoder to train.
    """
    model = load_embedder(config, config.model)
    if isinstance(model, StaticEmbedder):
        raise ConfigError("model", config.model, "an encoder or embedder; this one is static")
    if "augmented" in plan.stages:
        require_labeller(config.cross_encoder)
    if "mlm" in plan.stages:
        from tenor.models.masked_lm import MaskedLM

        MaskedLM.load(config.model, device="cpu", dtype="fp32")
    return model


def measure_untouched(config: AdaptConfig, figures: Figures, model: Embedder) -> StageOutcome:
    """Measure the model before all stages."""
    start = Start(config.model, config.model)
    return StageOutcome(UNTOUCHED, UNTOUCHED, start, figures.of(UNTOUCHED, model))


def run_plan(
    config: AdaptConfig,
    plan: AdaptPlan,
    files: AdaptFiles,
    figures: Figures,
    run: Run,
    untouched: StageOutcome,
) -> list[StageOutcome]:
    """Run and measure stage after stage.

    Returns:
        The untouched model, the stages, and those of the ablation, in this order.
    """
    outcomes = [untouched]
    for names, folders in (
        (plan.stages, plan.folders), (plan.ablation, plan.ablation_folders)
    ):  # fmt: skip
        stages = zip(names, folders, strict=True)
        outcomes += _run_stages(config, stages, files, figures, run, untouched)
    return outcomes


def _run_stages(
    config: AdaptConfig,
    stages: Iterator[tuple[str, str]],
    files: AdaptFiles,
    figures: Figures,
    run: Run,
    untouched: StageOutcome,
) -> Iterator[StageOutcome]:
    """One stage after another, each from the one before."""
    before = untouched
    for stage, name in stages:
        tell(f"stage {name}: from {'the untouched model' if before is untouched else before.name}")
        # Whoever resumes may spell the run's folder in another way.
        folder = run.folder.resolve() / name
        trained, start = _run_stage(config, stage, files, folder, before.start)
        result = figures.of(name, load_embedder(config, start.embedder), untouched.result)
        facts = {name: trained[name] for name in FACTS if name in trained}
        before = StageOutcome(name, stage, start, result, before.name, facts)
        note(run, name, {figures.metric: result.metrics[figures.metric]})
        yield before


def _run_stage(
    config: AdaptConfig, stage: str, files: AdaptFiles, folder: Path, start: Start
) -> tuple[dict[str, Any], Start]:
    """Train; give what the stage's result.json holds, and where the next stage starts."""
    made = str(folder / "model")
    if stage == "mlm":
        result = train_mlm(MlmConfig(**_unsupervised(config, files, folder, start)))
        return result, Start(made, _with_encoder_of(config, start.embedder, folder))
    if stage == "tsdae":
        held = {"evaluate": files.validation, "pooling": config.pooling}
        settings = {**_unsupervised(config, files, folder, start), **held}
        return train_tsdae(TsdaeConfig(**settings)), Start(made, made)
    if stage in SELF_LABELLED:
        settings = _unsupervised(config, files, folder, start)
        text, column = settings.pop("train"), settings.pop("column")
        settings |= {"model": start.embedder, "pooling": config.pooling}
        result = train_contrastive(
            ContrastiveConfig(
                **settings,
                pairs_from=text,
                columns={"text": column},
                how=stage,
                validation=files.validation,
            )
        )
        return result, Start(made, made)
    settings = _supervised(config, folder, start)
    if stage == "contrastive":
        assert files.pairs is not None
        result = train_contrastive(
            ContrastiveConfig(
                **settings,
                train=files.pairs,
                validation=files.validation,
                hold_out=config.hold_out,
                loss=config.loss,
            )
        )
        return result, Start(made, made)
    assert files.gold is not None
    result = train_augmented(
        AugmentedConfig(
            **settings,
            gold=files.gold,
            pool=files.text,
            pool_columns=(files.column,),
            validation=files.gold_validation,
            test=files.evaluation,
            hold_out=config.hold_out or GOLD_HELD_OUT,
            cross_encoder=config.cross_encoder,
        )
    )
    return result, Start(made, made)


def _unsupervised(
    config: AdaptConfig, files: AdaptFiles, folder: Path, start: Start
) -> dict[str, Any]:
    """Settings of a stage on raw text."""
    return {
        **_common(config, folder),
        **_given(
            batch_size=config.unsupervised_batch_size,
            learning_rate=config.unsupervised_learning_rate,
        ),
        "model": start.model,
        "train": files.text,
        "column": files.column,
        "on_bad_row": config.on_bad_row,
        "epochs": config.unsupervised_epochs,
    }


def _supervised(config: AdaptConfig, folder: Path, start: Start) -> dict[str, Any]:
    """Settings of a stage on labels."""
    return {
        **_common(config, folder),
        **_given(
            batch_size=config.supervised_batch_size,
            learning_rate=config.supervised_learning_rate,
        ),
        "model": start.embedder,
        "pooling": config.pooling,
        "epochs": config.supervised_epochs,
        "on_bad_row": config.on_bad_row,
    }


def _common(config: AdaptConfig, folder: Path) -> dict[str, Any]:
    return {
        "out": str(folder),
        "evaluate_every": config.evaluate_every,
        "save_every": config.save_every,
        "max_seq_length": config.max_seq_length,
        "device": config.device,
        "dtype": config.dtype,
        "seed": config.seed,
        "resume": config.resume,
    }


def _given(**settings: Any) -> dict[str, Any]:
    """Without those that are left to the recipe."""
    return {name: value for name, value in settings.items() if value is not None}


def _with_encoder_of(config: AdaptConfig, embedder: str, folder: Path) -> str:
    """An embedder that pools as before, on what masked language modelling made of its encoder."""
    target = folder / "embedder"
    if not (target / "modules.json").is_file():
        model = load_embedder(config, embedder)
        model.encoder = load_embedder(config, str(folder / "model")).encoder
        model.save(target)
    return str(target)
