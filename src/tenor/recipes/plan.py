"""The plan: what a user has, what is wrong with it, which recipes fit, and what each will take.

It reads everything, embeds a sample and tries a few steps; it trains nothing and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenor.errors import ConfigError
from tenor.recipes.settings import DTYPES, check_above_zero, check_choices, check_run_settings

if TYPE_CHECKING:
    from tenor.models.embedder import Embedder
    from tenor.recipes.plan_context import Context
    from tenor.recipes.plan_estimate import Measured
    from tenor.recipes.plan_sources import Inputs, Source

__all__ = ["PlanConfig", "PlanSettings", "context_of", "load_start", "make_plan"]


@dataclass(frozen=True, kw_only=True)
class PlanSettings:
    """Settings of a plan, for any files.

    Attributes:
        model: encoder or embedder to plan for: a name, folder or hub id.
        validation: a file or retrieval folder to validate with, whatever its name.
        test: the same, to test with. Without these two, names tell: train, validation, dev, test.
        columns: role = column, where columns are not named as usual, such as anchor = title.
        probe: embed a sample to find wrong labels, and try a few training steps to tell times;
            without it a plan takes seconds, and says less.
        seconds: about how long to try for, in all.
        runs: folder that the commands write their runs to.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        device: auto, cpu, cuda or mps.
        dtype: of the products: auto, bf16 or fp32.
        seed: decides the samples.
    """

    model: str = "all-MiniLM-L6-v2"
    validation: str | None = None
    test: str | None = None
    columns: dict[str, str] | None = None
    probe: bool = True
    seconds: float = 25.0
    runs: str = "runs"
    max_seq_length: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("model", "runs"):
            if not getattr(self, name):
                raise ConfigError(name, getattr(self, name), "given")
        check_run_settings(self)
        check_above_zero(self, "seconds")
        check_choices(self, dtype=DTYPES)


@dataclass(frozen=True, kw_only=True)
class PlanConfig(PlanSettings):
    """A plan for some files.

    Attributes:
        files: files, hub data sets, and folders, which stand for the files in them; one with
            corpus, queries and qrels is a retrieval task.
    """

    files: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.files:
            raise ConfigError("files", [], "at least one file or folder")


def make_plan(config: PlanConfig) -> dict[str, Any]:
    """Look at a user's data, and say what to do with it.

    Args:
        config: the settings.

    Returns:
        Plain values: `files` (what was read, in figures), `findings` (what is noteworthy, the
        worst first), `recipes` (what fits, in order, with `commands` and `estimate`), `unfit`
        (what will not work, and why), `model`, `machine`, `seconds`.

    Raises:
        TenorError: no file can be used, or the model cannot be loaded.
    """
    import time

    from tenor.recipes.plan_estimate import estimate
    from tenor.recipes.plan_findings import file_findings, model_findings, ordered
    from tenor.recipes.plan_measure import measure, text_measures
    from tenor.recipes.plan_rules import advise
    from tenor.recipes.plan_sources import read_inputs
    from tenor.recipes.tell import tell
    from tenor.training.run import machine, versions

    start = time.perf_counter()
    embedder = load_start(config)
    inputs = read_inputs(
        config.files, columns=config.columns, validation=config.validation, test=config.test
    )
    context = context_of(config, inputs, embedder)
    findings = [*inputs.findings, *file_findings(inputs)]
    facts = text_measures(inputs, embedder)
    findings += model_findings(inputs, facts, embedder)
    advice, unfit = advise(context, findings)
    if config.probe:
        tell("trying this machine: a sample embedded, a few training steps, nothing is kept")
        measured, noted = measure(config, context, advice, facts, embedder)
        findings += noted
        if noted:  # labels that contradict their texts leave nothing to train
            advice, unfit = advise(context_of(config, inputs, embedder), findings)
    else:
        from tenor.recipes.plan_estimate import Measured

        measured = Measured(facts)
    return {
        "model": {
            "name": config.model, "sha256": embedder.sha256, "trained": context.trained,
            "limit": embedder.max_seq_length, "dimensions": embedder.dimensions,
        },
        "files": [_file(each, measured) for each in inputs.sources],
        "findings": [each.to_json() for each in ordered(findings)],
        "recipes": [
            {
                "name": each.name,
                "title": each.title,
                "why": each.why,
                "trains_on": each.source.path,
                "commands": [command.line() for command in each.commands],
                "estimate": (made := estimate(each, measured)).to_json(),
                "takes": made.describe(),
            }
            for each in advice
        ],
        "unfit": [{"name": each.name, "why": each.why, "path": each.path} for each in unfit],
        "versions": versions(),
        "machine": machine(),
        "seconds": time.perf_counter() - start,
    }  # fmt: skip


def load_start(config: PlanSettings) -> Embedder:
    """The model to plan for.

    Raises:
        ModelError: it cannot be loaded.
        ConfigError: it has no encoder to train.
    """
    from tenor.models.static import StaticEmbedder
    from tenor.recipes.embedder_fit import embedder_of

    embedder = embedder_of(config, config.model, pooling=None)
    if isinstance(embedder, StaticEmbedder):
        raise ConfigError("model", config.model, "an encoder or embedder; this one is static")
    return embedder


def context_of(config: PlanSettings, inputs: Inputs, embedder: Embedder) -> Context:
    """What the rules go by."""
    from tenor.formats.locate import locate
    from tenor.formats.sentence_transformers import is_trained_embedder
    from tenor.recipes.plan_context import Context

    shared = {"max_seq_length": config.max_seq_length}
    shared |= {n: v for n in ("device", "dtype") if (v := getattr(config, n)) != "auto"}
    return Context(
        inputs=inputs,
        model=config.model,
        trained=is_trained_embedder(locate(config.model)),
        width=embedder.encoder.width,
        blocks=len(embedder.encoder.blocks),
        shared={name: value for name, value in shared.items() if value is not None},
        folder=config.runs,
    )


def _file(source: Source, measured: Measured) -> dict[str, Any]:
    facts = measured.facts.get(source.path, {})
    tokens = {name: each.to_json() for name, each in facts.items()}
    return {**source.to_json(), "tokens": tokens}
