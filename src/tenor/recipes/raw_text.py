"""What the recipes that learn from raw text share: what they read, and what they say of it."""

from __future__ import annotations

from typing import Any

from tenor.data.corpus import Corpus, read_corpus, split_corpus
from tenor.recipes.settings import split_seed_of
from tenor.recipes.tell import tell

__all__ = ["read_texts", "tell_perplexity"]


def read_texts(config: Any) -> tuple[Corpus, list[str], list[str]]:
    """Read the raw text that settings name, and hold some of it out.

    Args:
        config: settings with train, column, validation, hold_out, on_bad_row and seed.

    Returns:
        All there is to train on, the texts that are trained on, and the held-out ones.

    Raises:
        DataError: a file cannot be used, or too few texts would be left.
    """
    corpus = read_corpus(config.train, config.column, config.on_bad_row)
    tell(corpus.describe())
    validation = None
    if config.validation:
        validation = read_corpus(config.validation, config.column, config.on_bad_row)
    texts, held = split_corpus(
        corpus, validation=validation, hold_out=config.hold_out, seed=split_seed_of(config)
    )
    return corpus, texts, held


def tell_perplexity(result: dict[str, Any]) -> None:
    """Say the perplexity before and after, where it was measured."""
    before, after = result["before"], result["after"]
    if after and "perplexity" in after["metrics"]:
        low, high = after["intervals"]["perplexity"]
        tell(
            f"perplexity of held-out text: {before['metrics']['perplexity']:.2f} before, "
            f"{after['metrics']['perplexity']:.2f} [{low:.2f}, {high:.2f}] after"
        )
