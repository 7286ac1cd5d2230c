"""Domain adaptation: the target's raw text and labels from anywhere, in the right order of stages.

First the encoder learns the target's texts without labels, then what the labels say about
similarity (Wang et al. 2021, https://arxiv.org/abs/2104.06979). Every stage is measured on the
same held-out data of the target beside the untouched model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tenor.errors import ConfigError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.settings import (
    DEVICES,
    DTYPES,
    ON_BAD_ROW,
    check_choices,
    check_least,
    check_rates,
    check_run_settings,
)

__all__ = [
    "REBUILDING", "SELF_LABELLED", "STAGES", "SUPERVISED", "UNSUPERVISED", "AdaptConfig", "adapt",
]  # fmt: skip

REBUILDING = ("tsdae", "mlm")  # texts, not what makes two of them similar
SELF_LABELLED = ("simcse", "consecutive", "cloze", "crop")  # pairs made of the texts themselves
UNSUPERVISED, SUPERVISED = REBUILDING + SELF_LABELLED, ("contrastive", "augmented")
STAGES = UNSUPERVISED + SUPERVISED


@dataclass(frozen=True, kw_only=True)
class AdaptConfig:
    """Settings of domain adaptation; what is left out is as the recipe of each stage has it.

    Attributes:
        text: file (csv, tsv, jsonl, parquet, txt, also .gz) or hub data set with raw text of the
            target domain.
        evaluate: held-out data of the target domain that every model is measured on: a file of
            pairs, triplets, scored or labelled pairs or labelled texts, or a folder with corpus,
            queries and qrels.
        out: folder of the run: config.toml, log.jsonl, result.json, model/, data/, and a run
            folder for each stage, such as 1-tsdae/ and 2-contrastive/.
        pairs: file or hub data set with labels, of the target or from elsewhere: pairs, triplets,
            NLI, scored or labelled pairs, or labelled texts; for the stage contrastive.
        gold: file or hub data set with few scored or labelled pairs; for the stage augmented,
            which labels pairs of the target's texts by what it learnt of them.
        stages: what to do, in this order, such as tsdae,contrastive. Without labels: tsdae, mlm,
            and pairs made of the texts themselves by simcse, consecutive, cloze or crop; with
            labels: contrastive and augmented. By default chosen from the model and the labels
            there are.
        ablation: train the supervised stages from the untouched model, too, to see whether the
            unsupervised one was worth it.
        keep_best: keep the best stage's model also where it is not clearly better than the
            untouched one.
        validation: other held-out data of the target that chooses the best weights inside each
            stage: a file or folder as of evaluate.
        hold_out: share of the labelled rows that do this instead, in the supervised stages.
        model: encoder or embedder to start from: a name, folder or hub id.
        column: of the text, that holds it.
        columns: role = column of pairs and gold, where columns are not named as usual.
        evaluate_columns: the same of evaluate and validation.
        on_bad_row: error, or skip to drop bad rows and count them.
        max_texts: use at most so many different texts, drawn at random; 0 for all.
        max_pairs: use at most so many rows of pairs, drawn at random; 0 for all.
        cross_encoder: a trained cross-encoder that labels in the stage augmented; trained on the
            gold pairs by default.
        loss: of the stage contrastive: auto (from the columns) or one that `tenor train
            contrastive` knows.
        unsupervised_epochs: passes over the texts.
        unsupervised_batch_size: rows a step; by default 8 for tsdae, 32 for mlm, 64 for pairs.
        unsupervised_learning_rate: by default 3e-5 for tsdae, 1e-4 for mlm, 2e-5 for pairs.
        supervised_epochs: passes over the labelled rows.
        supervised_batch_size: rows a step; 64 by default.
        supervised_learning_rate: by default that of the stage's own command.
        evaluate_every: steps between evaluations on the validation data; 0 for once an epoch.
        save_every: steps between checkpoints; 0 for once an epoch.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        pooling: mean, cls, max, mean_sqrt_len, last or weighted_mean. By default an embedder keeps
            its own; a plain encoder gets mean, and cls by TSDAE.
        device: auto, cpu, cuda or mps.
        dtype: of the products: auto, bf16 or fp32.
        seed: decides the samples, the batches, the dropout and new layers.
        resume: go on with the run in `out`.
    """

    command: ClassVar[str] = "adapt"

    text: str
    evaluate: str
    out: str
    pairs: str | None = None
    gold: str | None = None
    stages: tuple[str, ...] = ()
    ablation: bool = False
    keep_best: bool = False
    validation: str | None = None
    hold_out: float = 0.0
    model: str = "all-MiniLM-L6-v2"
    column: str = "text"
    columns: dict[str, str] | None = None
    evaluate_columns: dict[str, str] | None = None
    on_bad_row: str = "error"
    max_texts: int = 0
    max_pairs: int = 0
    cross_encoder: str | None = None
    loss: str = "auto"
    unsupervised_epochs: int = 1
    unsupervised_batch_size: int | None = None
    unsupervised_learning_rate: float | None = None
    supervised_epochs: int = 1
    supervised_batch_size: int | None = None
    supervised_learning_rate: float | None = None
    evaluate_every: int = 0
    save_every: int = 500
    max_seq_length: int | None = None
    pooling: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    resume: bool = False

    def __post_init__(self) -> None:
        # On the command line one flag holds them all: tsdae,contrastive.
        named = [name.strip() for part in self.stages for name in part.split(",")]
        object.__setattr__(self, "stages", tuple(name for name in named if name))
        for name in ("text", "evaluate", "out", "model", "column"):
            if not getattr(self, name):
                raise ConfigError(name, getattr(self, name), "given")
        self._check_stages()
        check_choices(self, on_bad_row=ON_BAD_ROW, device=DEVICES, dtype=DTYPES)
        check_run_settings(self)
        check_least(self, 0, "max_texts", "max_pairs", "evaluate_every", "save_every")
        for kind in ("unsupervised", "supervised"):
            check_least(self, 1, f"{kind}_epochs", f"{kind}_batch_size")
            check_rates(self, f"{kind}_learning_rate")

    def _check_stages(self) -> None:
        for name in self.stages:
            if name not in STAGES:
                raise ConfigError("stages", name, f"made of {', '.join(STAGES)}")
        if len(set(self.stages)) < len(self.stages):
            raise ConfigError("stages", list(self.stages), "stages that stand there once each")
        for field, stage in (("pairs", "contrastive"), ("gold", "augmented")):
            given, asked = getattr(self, field), stage in self.stages
            if asked and not given:
                raise ConfigError(field, given, f"given for the stage {stage}")
            if given and self.stages and not asked:
                allowed = f"left out, or used by a stage {stage} in stages"
                raise ConfigError(field, given, allowed)
        if self.hold_out and not (self.pairs or self.gold):
            raise ConfigError("hold_out", self.hold_out, "left out without pairs or gold")
        for field, needed in (
            ("loss", "pairs"), ("max_pairs", "pairs"), ("cross_encoder", "gold")
        ):  # fmt: skip
            value = getattr(self, field)
            if value and value != "auto" and not getattr(self, needed):
                raise ConfigError(field, value, f"left out without {needed}")


@leaves_report
def adapt(config: AdaptConfig) -> dict[str, Any]:
    """Adapt a model to a domain stage by stage, measure each, and keep the best.

    Args:
        config: the settings.

    Returns:
        What result.json holds: among it `metrics` by stage, `differences` of each stage against
        the untouched model and against the one before, `adaptation_helps`, and `kept`, whose model
        is in model/.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    import time

    from tenor.formats.locate import locate
    from tenor.formats.sentence_transformers import is_trained_embedder
    from tenor.recipes.adapt_data import read_inputs
    from tenor.recipes.adapt_figures import Figures
    from tenor.recipes.adapt_files import write_files
    from tenor.recipes.adapt_outcome import keep, outcome, tell_outcome
    from tenor.recipes.adapt_plan import make_plan
    from tenor.recipes.adapt_stages import load_untouched, measure_untouched, run_plan
    from tenor.recipes.stages import finished_before, note, require_one_process
    from tenor.training.run import Run

    start = time.perf_counter()
    require_one_process("adapt")
    if (done := finished_before(config)) is not None:
        return done
    # All that can be wrong with what was given shows before the folder is made.
    plan = make_plan(config, trained=is_trained_embedder(locate(config.model)))
    untouched = load_untouched(config, plan)
    inputs = read_inputs(config)
    run = Run(config.out, config, resume=config.resume)
    run.check_data({**inputs.hashes, config.model: untouched.sha256 or ""})
    note(run, "plan", {"stages": plan.stages})
    plan.tell(inputs.describe(config, plan))
    files = write_files(inputs, config.column, run.folder.resolve() / "data")
    figures, record = Figures(inputs.held_out, run.folder / "evaluation"), inputs.record()
    before = measure_untouched(config, figures, untouched)
    del inputs, untouched  # the stages need the memory
    made = run_plan(config, plan, files, figures, run, before)
    result = outcome(config, plan, made, figures.metric, record)
    result["model"] = keep(config, run, made, result)
    result["seconds"] = time.perf_counter() - start
    run.write_result(result)
    tell_outcome(result)
    return result
