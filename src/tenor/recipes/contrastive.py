"""Contrastive fine-tuning of a bi-encoder: from pairs, triplets, scores or labels to an embedder.

Sentence-BERT (Reimers & Gurevych 2019, https://arxiv.org/abs/1908.10084) and what followed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenor.errors import ConfigError
from tenor.training.arguments import TrainingArguments

if TYPE_CHECKING:
    from tenor.data.schema import PairTable

__all__ = ["ContrastiveConfig", "train_contrastive"]


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig(TrainingArguments):
    """Settings of contrastive fine-tuning, beside those of the training loop.

    Attributes:
        train: file (csv, tsv, jsonl, parquet, txt, also .gz) or hub data set to train on.
        out: folder of the run: config.toml, log.jsonl, result.json, model/, checkpoints/.
        validation: file or hub data set to evaluate on, or a folder with corpus, queries, qrels.
        model: embedder or encoder to start from: a name, folder or hub id.
        loss: auto (from the columns), mnr, cosine, softmax, contrastive, online-contrastive,
            triplet, cosent or supervised-contrastive.
        columns: role = column of the file, where columns are not named as usual, such as
            anchor = title.
        hold_out: share of the training rows to evaluate on, where there is no validation file.
        on_bad_row: error, or skip to drop bad rows and count them.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        pooling: mean, cls, max, mean_sqrt_len, last or weighted_mean; the model's by default.
        scale: inverse temperature of mnr and cosent.
        margin: of contrastive, online-contrastive and triplet; each has its default.
        distance: of these: cosine, euclidean or manhattan.
        temperature: of supervised-contrastive.
        symmetric: let mnr rank anchors for each positive, too.
        matryoshka: dimensions at which the loss is also computed, so that vectors can be cut.
        positive_from: with mnr on scored pairs, the lowest score (0 to 1) of a positive pair.
        texts_per_class: with supervised-contrastive, texts of one class that stand together.
        device: auto, cpu, cuda or mps.
        resume: go on with the run in `out`.
    """

    train: str
    out: str
    validation: str | None = None
    model: str = "all-MiniLM-L6-v2"
    loss: str = "auto"
    columns: dict[str, str] | None = None
    hold_out: float = 0.0
    on_bad_row: str = "error"
    max_seq_length: int | None = None
    pooling: str | None = None
    scale: float = 20.0
    margin: float | None = None
    distance: str | None = None
    temperature: float = 0.05
    symmetric: bool = False
    matryoshka: tuple[int, ...] = ()
    positive_from: float = 0.8
    texts_per_class: int = 4
    device: str = "auto"
    resume: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.out:
            raise ConfigError("out", self.out, "a folder for the run")
        if not self.train:
            raise ConfigError("train", self.train, "a file or a hub data set")
        if not 0 <= self.hold_out < 1:
            raise ConfigError("hold_out", self.hold_out, "a share from 0 up to 1")
        if self.hold_out and self.validation:
            raise ConfigError("hold_out", self.hold_out, "left out when there is a validation file")
        if self.on_bad_row not in ("error", "skip"):
            raise ConfigError("on_bad_row", self.on_bad_row, "error or skip")
        if self.device not in ("auto", "cpu", "cuda", "mps"):
            raise ConfigError("device", self.device, "auto, cpu, cuda or mps")
        if self.scale <= 0 or self.temperature <= 0:
            raise ConfigError("scale", self.scale, "above 0, as must be the temperature")
        if self.texts_per_class < 2:
            raise ConfigError("texts_per_class", self.texts_per_class, "at least 2")


def train_contrastive(config: ContrastiveConfig) -> dict[str, Any]:
    """Fine-tune an embedder, evaluate it before and after, and save it with everything about it.

    Args:
        config: the settings.

    Returns:
        What result.json holds.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    import torch

    from tenor.data.loss_choice import check_loss, choose_loss
    from tenor.data.prepare import hold_out, prepare
    from tenor.data.schema import read_pairs
    from tenor.models.embedder import Embedder, best_device
    from tenor.recipes.embedder_fit import EmbedderFit
    from tenor.recipes.fit import announce_table, tell
    from tenor.training.objectives import make_objective

    fit = EmbedderFit(config, config.out, resume=config.resume)
    if fit.finished is not None:
        tell(f"{config.out} is done already; nothing to resume.")
        return fit.finished
    table = read_pairs(config.train, columns=config.columns, on_bad_row=config.on_bad_row)  # type: ignore[arg-type]
    loss, why = choose_loss(table.kind) if config.loss == "auto" else (config.loss, "as asked")
    check_loss(loss, table.kind)
    announce_table(table, loss, why)
    held = None
    if config.hold_out:
        table, held = hold_out(table, config.hold_out, config.seed)
    rows = prepare(table, loss, threshold=config.positive_from, seed=config.seed)
    if rows is not table:
        tell(f"made {len(rows):,} rows of kind {rows.kind} of them{_notes(rows)}")

    torch.manual_seed(config.seed)  # of layers that are new
    model = Embedder.load(
        config.model,
        device=best_device() if config.device == "auto" else config.device,
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
        pooling=config.pooling,
    )
    objective = make_objective(
        loss,
        dimensions=model.dimensions,
        classes=len(rows.label_names or ()) or 2,
        scale=config.scale,
        margin=config.margin,
        distance=config.distance,
        temperature=config.temperature,
        symmetric=config.symmetric,
        matryoshka=config.matryoshka,
    ).to(model.device)
    return fit.embedder(
        model,
        objective,
        rows,
        loss=loss,
        validation=held if held is not None else config.validation,
        group=config.texts_per_class if loss == "supervised-contrastive" else 1,
        arguments=config,
    )


def _notes(table: PairTable) -> str:
    if not table.notes:
        return ""
    return " (" + ", ".join(f"{n.replace('_', ' ')} {v:,}" for n, v in table.notes.items()) + ")"
