"""The freeze sweep: the same classifier trained with more and more blocks frozen.

What freezing costs in quality and saves in time and memory, on one's own data. Each depth is a run
folder of its own; what the frozen blocks make of the texts is handed on from depth to depth, so
that a block runs once a text while it is frozen, in all runs together.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from tenor.errors import ConfigError
from tenor.recipes.classifier import ClassifierConfig
from tenor.recipes.reporting import leaves_report
from tenor.training.arguments import TrainingArguments

__all__ = ["FreezeSweepConfig", "sweep_freeze"]


@dataclass(frozen=True, kw_only=True)
class FreezeSweepConfig(TrainingArguments):
    """Settings of a sweep over frozen depths, beside those of the training loop.

    Attributes:
        train: file (csv, tsv, jsonl, parquet, also .gz) or hub data set to train on: text, label.
        test: file or hub data set that every depth is measured on, at the end.
        out: folder of the sweep: config.toml, result.json, freeze.svg, and a run in depth-K/ each.
        depths: numbers of frozen blocks, such as 0,2,4,6; all: from none to every block.
        validation: file or hub data set to choose the weights of each run by; the last ones by
            default.
        model: encoder, embedder or classifier to start from: a name, folder or hub id.
        head: linear: a new output layer; mlp: a new hidden layer before it, too.
        class_weights: none, or balanced: rare labels count as much as frequent ones.
        label_smoothing: share of each label that is spread over all of them.
        layer_decay: learning rate of a block, relative to that of the next one above it.
        share_cache: keep what frozen blocks make of the texts, and hand it on to the next depth.
        columns: role (text, label) = column of the file, where columns have other names.
        on_bad_row: error, or skip to drop bad rows and count them.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        device: auto, cpu, cuda or mps.
        resume: go on with the sweep in `out`.
        epochs: passes over the data, at every depth.
        batch_size: texts a step.
        learning_rate: the highest, reached after warm-up; by default 1e-4 for encoders of at most
            384 dimensions, 5e-5 for others, and 1e-3 where no block is trained.
        head_learning_rate: of the head and the pooler; by default ten times learning_rate, up to
            1e-3, and no other where no block is trained.
    """

    command: ClassVar[str] = "sweep freeze"

    train: str
    test: str
    out: str
    depths: str = "all"
    validation: str | None = None
    model: str = "all-MiniLM-L6-v2"
    head: str = "linear"
    class_weights: str = "none"
    label_smoothing: float = 0.0
    layer_decay: float = 1.0
    share_cache: bool = True
    columns: dict[str, str] | None = None
    on_bad_row: str = "error"
    max_seq_length: int | None = None
    device: str = "auto"
    resume: bool = False
    epochs: int = 3
    batch_size: int = 32
    learning_rate: float | None = None  # type: ignore[assignment]
    head_learning_rate: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.test:
            raise ConfigError("test", self.test, "a file or a hub data set")
        if self.head == "logistic":
            raise ConfigError("head", self.head, "linear or mlp: with logistic all is frozen")
        self.chosen_depths(None)
        self.run(0)  # checks the rest

    def chosen_depths(self, blocks: int | None) -> tuple[int, ...]:
        """The depths to train with, in rising order.

        Args:
            blocks: how many the encoder has; `None` if that is not known yet.

        Raises:
            ConfigError: they are no list of numbers, or the encoder has fewer blocks.
        """
        if self.depths == "all":
            return tuple(range((blocks or 0) + 1))
        allowed = "all, or numbers of blocks with commas between them, such as 0,2,4,6"
        parts = [part.strip() for part in self.depths.split(",")]
        if not all(part.isascii() and part.isdigit() for part in parts):
            raise ConfigError("depths", self.depths, allowed)
        found = sorted({int(part) for part in parts})
        if blocks is not None and found[-1] > blocks:
            allowed = f"numbers from 0 to {blocks}: the encoder has no more blocks"
            raise ConfigError("depths", self.depths, allowed)
        return tuple(found)

    def run(self, depth: int) -> ClassifierConfig:
        """The settings of the run of one depth."""
        own = {each.name for each in fields(ClassifierConfig)} - {"out", "resume"}
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name in own}
        cache = f"{self.out}/prefix-cache" if self.share_cache and depth else "off"
        return ClassifierConfig(
            **given,
            out=f"{self.out}/depth-{depth}" if self.out else "",
            freeze=str(depth),
            prefix_cache=cache,
            resume=self.resume,
        )


@leaves_report
def sweep_freeze(config: FreezeSweepConfig) -> dict[str, Any]:
    """Train with every depth frozen, and measure all of them on the same texts.

    Args:
        config: the settings.

    Returns:
        What result.json holds: a row for each depth, and the paired differences against the first.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    import shutil
    import time

    from tenor.data.labelled_texts import read_labelled_like, read_labelled_texts
    from tenor.data.overlap import overlap
    from tenor.evaluation.classification import classification_metric
    from tenor.recipes.stages import finished_before, note, require_one_process
    from tenor.recipes.sweep_depth import blocks_of, run_depth
    from tenor.recipes.sweep_outcome import draw, outcome, tell_outcome
    from tenor.recipes.tell import tell
    from tenor.training.run import Run

    start = time.perf_counter()
    require_one_process("sweep freeze")
    if (done := finished_before(config)) is not None:
        return done
    table = read_labelled_texts(
        config.train,
        columns=config.columns,
        on_bad_row=config.on_bad_row,  # type: ignore[arg-type]
    )
    several = table.kind == "multi_labelled_texts"
    bad = config.on_bad_row
    test = read_labelled_like(table, config.test, columns=config.columns, on_bad_row=bad)  # type: ignore[arg-type]
    blocks = blocks_of(config, table.label_names or ())
    depths = config.chosen_depths(blocks)
    run = Run(config.out, config, resume=config.resume)
    run.check_data({table.path: table.sha256, test.path: test.sha256})
    note(run, "plan", {"depths": depths})
    shared = overlap(table, test).describe()
    tell(f"the encoder has {blocks} blocks; frozen in turn: {', '.join(map(str, depths))}")
    tell(shared)
    metric = classification_metric(several)
    made = []
    for depth in depths:
        one = run_depth(config, depth, table, test)
        made.append(one)
        note(run, f"depth-{depth}", one.row)
        tell(f"{depth} blocks frozen: {metric} {one.result.metrics[metric]:.4f} on {config.test}")
    result = outcome(config, made, blocks=blocks, metric=metric)
    result |= {"overlap": shared, "chart": draw(result, run.folder)}
    result["data"] = {
        name: {"path": each.path, "sha256": each.sha256, "rows": len(each)}
        for name, each in (("train", table), ("test", test))
    }
    result["seconds"] = time.perf_counter() - start
    run.write_result(result)
    shutil.rmtree(run.folder / "prefix-cache", ignore_errors=True)
    tell_outcome(result)
    return result
