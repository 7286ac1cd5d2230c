"""How a pooling step's config.json names its modes: read in all forms, written in the oldest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenor.errors import ModelError
from tenor.formats.layout import EmbedderLayout

__all__ = ["pooling_config", "read_modes"]

# In the order in which sentence-transformers concatenates the modes of the old layout.
POOLING_NAMES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last",
}
POOLING_KEYS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len": "pooling_mode_mean_sqrt_len_tokens",
    "weighted_mean": "pooling_mode_weightedmean_tokens",
    "last": "pooling_mode_lasttoken",
}
# The first readers know only these four keys, and fail on others: those are written when needed.
FIRST_POOLING_KEYS = ("cls", "max", "mean", "mean_sqrt_len")


def read_modes(config: dict[str, Any], path: Path) -> tuple[str, ...]:
    """The pooling modes that a step's config.json names; `path` is its, for errors.

    Raises:
        ModelError: a mode or a key is not supported.
    """
    if "pooling_mode" in config:
        given = config["pooling_mode"]
        modes = (given,) if isinstance(given, str) else tuple(given)
    else:
        keys = {key: name for name, key in POOLING_KEYS.items()}
        known = {"word_embedding_dimension", "embedding_dimension", "include_prompt", *keys}
        unknown = [key for key in config if key not in known]
        if unknown:
            raise ModelError(f"{path}: {', '.join(unknown)} is not supported.")
        return tuple(name for key, name in keys.items() if config.get(key)) or ("mean",)
    unsupported = [mode for mode in modes if mode not in POOLING_NAMES]
    if unsupported or not modes:
        raise ModelError(
            f"{path}: pooling {unsupported or modes!r} is not one of {', '.join(POOLING_NAMES)}."
        )
    return tuple(POOLING_NAMES[mode] for mode in modes)


def pooling_config(layout: EmbedderLayout, width: int) -> dict[str, Any]:
    """What the config.json of the pooling step says of a layout; `width` is the transformer's.

    Raises:
        ModelError: a mode does not exist, or there is none.
    """
    unknown = [mode for mode in layout.pooling if mode not in POOLING_KEYS]
    if unknown or not layout.pooling:
        raise ModelError(f"pooling {unknown} is not one of {', '.join(POOLING_KEYS)}.")
    if list(layout.pooling) == [mode for mode in POOLING_KEYS if mode in layout.pooling]:
        config: dict[str, Any] = {"word_embedding_dimension": width}
        for mode, key in POOLING_KEYS.items():
            if mode in layout.pooling or mode in FIRST_POOLING_KEYS:
                config[key] = mode in layout.pooling
    else:
        # The old keys know only one order. An old reader must fail here, not mix up dimensions.
        new_names = {ours: theirs for theirs, ours in POOLING_NAMES.items()}
        modes = [new_names[mode] for mode in layout.pooling]
        config = {"embedding_dimension": width, "pooling_mode": modes}
    if not layout.include_prompt:
        config["include_prompt"] = False
    return config
