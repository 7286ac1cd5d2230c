"""Masked language modelling: from raw text to an encoder of its domain.

Devlin et al. 2019, https://arxiv.org/abs/1810.04805; going on in the target's domain: Gururangan et
al. 2020, https://arxiv.org/abs/2004.10964.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tenor.errors import ConfigError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.seeds import over_seeds
from tenor.recipes.settings import (
    SeedSettings,
    check_least,
    check_no_gradient_caching,
    check_run_settings,
    device_of,
    split_seed_of,
)
from tenor.training.arguments import TrainingArguments

if TYPE_CHECKING:
    from tenor.models.masked_lm import MaskedLM

__all__ = ["MlmConfig", "train_mlm"]


@dataclass(frozen=True, kw_only=True)
class MlmConfig(SeedSettings, TrainingArguments):
    """Settings of masked language modelling, beside those of the training loop.

    Attributes:
        train: file (csv, tsv, jsonl, parquet, txt, also .gz) or hub data set with raw text.
        out: folder of the run: config.toml, log.jsonl, result.json, model/, checkpoints/.
        column: of the file, that holds the text.
        validation: file of held-out text, for the perplexity.
        hold_out: share of the training texts to hold out instead; by default 5 %, at most 2,000
            texts; 0 for none.
        model: masked language model, encoder or embedder to start from: a name, folder or hub id.
        from_scratch: start from random weights and a WordPiece vocabulary made of the training
            texts, instead of from a model.
        layers: of a model from scratch.
        hidden: width of a model from scratch.
        heads: attention heads of a model from scratch; they must divide the width.
        vocab_size: most tokens of a vocabulary from scratch.
        mask_share: share of the tokens that are to be predicted.
        whole_words: choose whole words instead of tokens.
        on_bad_row: error, or skip to drop rows that cannot be read and count them.
        max_seq_length: tokens of a block; longer documents are cut into several. The model's own
            limit by default, 256 from scratch.
        device: auto, cpu, cuda or mps.
        resume: go on with the run in `out`.
    """

    command: ClassVar[str] = "train mlm"

    train: str
    out: str
    column: str = "text"
    validation: str | None = None
    hold_out: float | None = None
    model: str = "all-MiniLM-L6-v2"
    from_scratch: bool = False
    layers: int = 6
    hidden: int = 384
    heads: int = 12
    vocab_size: int = 30_522
    mask_share: float = 0.15
    whole_words: bool = False
    on_bad_row: str = "error"
    max_seq_length: int | None = None
    device: str = "auto"
    resume: bool = False
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_run_settings(self)
        check_no_gradient_caching(self, "its logits are never held all at once")
        if not 0 < self.mask_share < 1:
            raise ConfigError("mask_share", self.mask_share, "above 0 and below 1")
        check_least(self, 1, "layers", "hidden", "heads")
        if self.hidden % self.heads:
            raise ConfigError("heads", self.heads, f"a divisor of the width, {self.hidden}")
        check_least(self, 300, "vocab_size")
        shape = ("layers", "hidden", "heads", "vocab_size")
        for name in ("model",) if self.from_scratch else shape:
            if (value := getattr(self, name)) != getattr(MlmConfig, name):
                how = "with" if self.from_scratch else "without"
                raise ConfigError(name, value, f"left out {how} from_scratch")


@over_seeds
@leaves_report
def train_mlm(config: MlmConfig) -> dict[str, Any]:
    """Train a masked language model on raw text, and measure its perplexity before and after.

    Args:
        config: the settings.

    Returns:
        What result.json holds.

    Raises:
        TenorError: for settings, data or a model that cannot be used; nothing is lost.
    """
    import numpy as np
    import torch
    from torch import nn

    from tenor.evaluation.perplexity import perplexity
    from tenor.recipes.fit import Fit
    from tenor.recipes.fit_data import Evaluation, Source
    from tenor.recipes.mlm_from_scratch import new_masked_lm
    from tenor.recipes.raw_text import read_texts, tell_perplexity
    from tenor.recipes.tell import tell
    from tenor.training.batch import TrainingData
    from tenor.training.denoising import vocabulary_facts
    from tenor.training.masking import Masking, cut_in_blocks

    fit = Fit(config, config.out, resume=config.resume)
    if (done := fit.done()) is not None:
        return done
    corpus, texts, held = read_texts(config)
    torch.manual_seed(config.seed)  # of a head, or a model, that is new
    model = new_masked_lm(config, texts) if config.from_scratch else _load(config)
    masking = Masking(
        facts=vocabulary_facts(model.tokenizer),
        share=config.mask_share,
        whole_words=config.whole_words,
    )
    ids = cut_in_blocks(model.tokenizer, texts)
    tell(
        f"{len(texts):,} documents, {len(ids.ids):,} tokens, in {len(ids):,} blocks of at most "
        f"{model.max_seq_length}"
    )
    evaluation = None
    if held:
        blocks = cut_in_blocks(model.tokenizer, held)
        source = config.validation or corpus.path
        measure = perplexity(blocks, masking, source, split_seed_of(config))
        evaluation = Evaluation(measure, "log_likelihood")
    else:
        tell("no held-out text: nothing will be measured (give --validation or --hold-out)")
    result = fit.train(
        model,
        nn.Identity(),
        TrainingData(ids, {"text": np.arange(len(ids))}, None, model.tokenizer.filler_id),
        loss="masked language modelling" + (", whole words" if config.whole_words else ""),
        source=Source(len(texts), corpus.skipped, corpus.path, corpus.sha256, "blocks"),
        evaluation=evaluation,
        arguments=config,
        card=lambda result: _card(fit, model, config, result),
        step=masking,
    )
    tell_perplexity(result)
    return result


def _load(config: MlmConfig) -> MaskedLM:
    from tenor.models.masked_lm import MaskedLM

    return MaskedLM.load(
        config.model,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
    )


def _card(fit: Any, model: MaskedLM, config: MlmConfig, result: dict[str, Any]) -> str:
    from tenor.formats.masked_lm import masked_lm_card

    base = "" if config.from_scratch else model.name
    facts = fit.run.card_facts(result)
    return masked_lm_card(facts["name"], base, facts["training"])
