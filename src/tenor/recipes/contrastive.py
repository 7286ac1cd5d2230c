"""Contrastive fine-tuning of a bi-encoder: from pairs, triplets, scores or labels to an embedder.

Sentence-BERT (Reimers & Gurevych 2019, https://arxiv.org/abs/1908.10084) and what followed it.
Without labels, pairs are made of documents: see `tenor.recipes.self_supervised`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from tenor.errors import ConfigError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.seeds import over_seeds
from tenor.recipes.settings import (
    LARGE_EMBEDDER_RATE,
    SeedSettings,
    check_run_settings,
    embedder_rate,
    split_seed_of,
)
from tenor.training.freezing import FreezingArguments

if TYPE_CHECKING:
    from tenor.data.pair_making import PairMaking
    from tenor.data.schema import PairTable
    from tenor.models.embedder import Embedder
    from tenor.training.objectives import Objective

__all__ = [
    "ContrastiveConfig", "load_embedder", "objective_of", "rate_of", "train_contrastive",
    "with_rate",
]  # fmt: skip

# What only says how pairs are made of documents.
_PAIR_MAKING = (
    "how", "per_document", "window", "min_words", "max_words", "max_pairs", "common_share",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig(SeedSettings, FreezingArguments):
    """Settings of contrastive fine-tuning, beside those of the training loop.

    Attributes:
        train: file (csv, tsv, jsonl, parquet, txt, also .gz) or hub data set to train on.
        out: folder of the run: config.toml, log.jsonl, result.json, model/, checkpoints/.
        validation: file or hub data set to evaluate on, or a folder with corpus, queries, qrels.
        model: embedder or encoder to start from: a name, folder or hub id.
        loss: auto (from the columns), mnr, cosine, softmax, contrastive, online-contrastive,
            triplet, cosent or supervised-contrastive.
        columns: role = column of the file, where columns are not named as usual, such as
            anchor = title. With pairs_from the roles are text, title and summary.
        hold_out: share of the training rows to evaluate on, where there is no validation file; with
            pairs_from, share of the documents.
        on_bad_row: error, or skip to drop bad rows and count them.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        pooling: mean, cls, max, mean_sqrt_len, last or weighted_mean; the model's by default.
        scale: inverse temperature of mnr and cosent.
        margin: of contrastive, online-contrastive and triplet; each has its default.
        distance: of these: cosine, euclidean or manhattan.
        temperature: of supervised-contrastive.
        symmetric: let mnr rank anchors for each positive, too.
        matryoshka: dimensions at which the loss is also computed, so that vectors can be cut.
        learning_rate: the highest, reached after warm-up; by default 1e-4 for encoders of at most
            384 dimensions and 2e-5 for wider ones, and with pairs_from 2e-5.
        positive_from: with mnr on scored pairs, the lowest score (0 to 1) of a positive pair.
        texts_per_class: with supervised-contrastive, texts of one class that stand together.
        device: auto, cpu, cuda or mps.
        pairs_from: file or hub data set with documents without labels to make pairs of, instead of
            train.
        how: simcse (each text with itself, dropout makes the difference), title (title and text),
            consecutive (sentences that follow one another), summary (summary and text), cloze (a
            sentence and the rest of its passage) or crop (two random spans of a passage).
        per_document: pairs of one document at most; 1 with title and summary, else 4.
        window: with consecutive, sentences of a span; 1.
        min_words: shorter spans are left out; 5, with simcse 1.
        max_words: longer spans are cut; about what max_seq_length holds.
        max_pairs: pairs in all, of more a random sample; 1,000,000.
        common_share: a sentence or title in more than this share of the documents is boilerplate
            and makes no pair; 0.01.
        resume: go on with the run in `out`.
    """

    command: ClassVar[str] = "train contrastive"

    train: str | None = None
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
    learning_rate: float | None = None  # type: ignore[assignment]
    positive_from: float = 0.8
    texts_per_class: int = 4
    device: str = "auto"
    pairs_from: str | None = None
    how: str | None = None
    per_document: int | None = None
    window: int | None = None
    min_words: int | None = None
    max_words: int | None = None
    max_pairs: int | None = None
    common_share: float | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_run_settings(self)
        if self.pairs_from is None and not self.train:
            allowed = "a file or a hub data set (--train), unless there is one with --pairs-from"
            raise ConfigError("train", self.train, allowed)
        if self.scale <= 0 or self.temperature <= 0:
            raise ConfigError("scale", self.scale, "above 0, as must be the temperature")
        if self.texts_per_class < 2:
            raise ConfigError("texts_per_class", self.texts_per_class, "at least 2")
        if self.pairs_from is not None:
            self._check_pairs_from()
            return
        for name in _PAIR_MAKING:
            if (value := getattr(self, name)) is not None:
                raise ConfigError(name, value, "left out without pairs_from")

    def _check_pairs_from(self) -> None:
        if not self.pairs_from:
            raise ConfigError("pairs_from", self.pairs_from, "a file or a hub data set")
        if self.train:
            allowed = "left out with pairs_from, which takes its place"
            raise ConfigError("train", self.train, allowed)
        if self.loss not in ("auto", "mnr"):
            allowed = "auto or mnr with pairs_from: its pairs have neither scores nor labels"
            raise ConfigError("loss", self.loss, allowed)
        if self.hold_out and self.how == "simcse":
            allowed = (
                "left out with how = 'simcse': a text and itself tell nothing about a model. Give "
                "a validation file or folder"
            )
            raise ConfigError("hold_out", self.hold_out, allowed)
        self.pair_making()

    def pair_making(self) -> PairMaking:
        """How pairs are made of documents.

        Raises:
            ConfigError: for a value that cannot be.
        """
        from tenor.data.pair_making import PairMaking

        given = {name: getattr(self, name) for name in _PAIR_MAKING}
        return PairMaking(**given, seed=split_seed_of(self))


@over_seeds
@leaves_report
def train_contrastive(config: ContrastiveConfig) -> dict[str, Any]:
    """Fine-tune an embedder, evaluate it before and after, and save it with everything about it.

    Args:
        config: the settings.

    Returns:
        What result.json holds.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    from tenor.data.loss_choice import check_loss, choose_loss
    from tenor.data.prepare import hold_out, prepare
    from tenor.data.schema import read_pairs
    from tenor.recipes.embedder_fit import EmbedderFit
    from tenor.recipes.tell import announce_table, tell

    fit = EmbedderFit(config, config.out, resume=config.resume)
    if (done := fit.done()) is not None:
        return done
    if config.train is None:
        from tenor.recipes.self_supervised import train_on_documents

        return train_on_documents(config, fit)
    table = read_pairs(config.train, columns=config.columns, on_bad_row=config.on_bad_row)  # type: ignore[arg-type]
    loss, why = choose_loss(table.kind) if config.loss == "auto" else (config.loss, "as asked")
    check_loss(loss, table.kind)
    announce_table(table, loss, why)
    held = None
    if config.hold_out:
        table, held = hold_out(table, config.hold_out, split_seed_of(config))
    rows = prepare(table, loss, threshold=config.positive_from, seed=config.seed)
    if rows is not table:
        tell(f"made {len(rows):,} rows of kind {rows.kind} of them{_notes(rows)}")
    model = load_embedder(config)
    return fit.embedder(
        model,
        objective_of(config, model, loss, classes=len(rows.label_names or ()) or 2),
        rows,
        loss=loss,
        validation=held if held is not None else config.validation,
        group=config.texts_per_class if loss == "supervised-contrastive" else 1,
        arguments=with_rate(config, model),
    )


def load_embedder(config: ContrastiveConfig) -> Embedder:
    """The model to start from; new layers are made from the seed."""
    import torch

    from tenor.recipes.embedder_fit import embedder_of

    torch.manual_seed(config.seed)
    return embedder_of(config, config.model, pooling=config.pooling)


def rate_of(config: ContrastiveConfig, width: int) -> float:
    """The learning rate of an encoder of so many dimensions: as asked, or else chosen."""
    if config.learning_rate is not None:
        return config.learning_rate
    return LARGE_EMBEDDER_RATE if config.pairs_from is not None else embedder_rate(width)


def with_rate(config: ContrastiveConfig, model: Embedder) -> ContrastiveConfig:
    """The settings with a learning rate, chosen where it is left open."""
    return replace(config, learning_rate=rate_of(config, model.encoder.width))


def objective_of(
    config: ContrastiveConfig, model: Embedder, loss: str, *, classes: int = 2
) -> Objective:
    """What is minimised; `classes` is the number of labels, for softmax."""
    from tenor.training.objectives import make_objective

    return make_objective(
        loss,
        dimensions=model.dimensions,
        classes=classes,
        scale=config.scale,
        margin=config.margin,
        distance=config.distance,
        temperature=config.temperature,
        symmetric=config.symmetric,
        matryoshka=config.matryoshka,
    ).to(model.device)


def _notes(table: PairTable) -> str:
    if not table.notes:
        return ""
    return " (" + ", ".join(f"{n.replace('_', ' ')} {v:,}" for n, v in table.notes.items()) + ")"
