"""What the settings of several recipes have in common: their checks, and the device they name.

Settings are made before anything heavy is loaded, so this imports nothing but the errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from tenor.errors import ConfigError

__all__ = [
    "DEVICES", "DTYPES", "LARGE_EMBEDDER_RATE", "LARGE_RATE", "ON_BAD_ROW", "SMALL_RATE",
    "SeedSettings",
    "check_above_zero", "check_choices", "check_least", "check_no_gradient_caching", "check_rates",
    "check_run_settings", "check_seeds", "check_shares", "chosen", "device_of", "embedder_rate",
    "fine_tuning_rate", "split_seed_of",
]  # fmt: skip

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "bf16", "fp32")
ON_BAD_ROW = ("error", "skip")
LARGEST_SEED = (1 << 32) - 1
SMALL_WIDTH = 384  # encoders of at most this width learn better at a higher rate
SMALL_RATE, LARGE_RATE, LARGE_EMBEDDER_RATE = 1e-4, 5e-5, 2e-5


@dataclass(frozen=True, kw_only=True)
class SeedSettings:
    """How often a recipe trains, and what stays the same meanwhile.

    Attributes:
        seeds: train so many times, with seed, seed + 1, …, each in a folder of its own (seed-0/,
            …): the mean and the deviation of every figure are told, and the model that is best on
            the validation data is kept.
        split_seed: decides the rows that are held out, and what is drawn to measure on; by default
            the seed, and with several seeds the first one for all of them.
    """

    seeds: int = 1
    split_seed: int | None = None


def check_run_settings(config: Any) -> None:
    """Check what the settings of runs have in common, each field where they have it.

    The fields are out, train (where it must be given), hold_out with validation, on_bad_row,
    device, and those of `check_seeds`.

    Args:
        config: the settings, a dataclass.

    Raises:
        ConfigError: for a value that cannot be.
    """
    known = {field.name: field for field in fields(config)}
    if "out" in known and not config.out:
        raise ConfigError("out", config.out, "a folder for the run")
    if "train" in known and known["train"].default is MISSING and not config.train:
        raise ConfigError("train", config.train, "a file or a hub data set")
    if "hold_out" in known and config.hold_out is not None:
        check_shares(config, "hold_out")
        if config.hold_out and config.validation:
            allowed = "left out when there is a validation file"
            raise ConfigError("hold_out", config.hold_out, allowed)
    if "on_bad_row" in known and config.on_bad_row not in ON_BAD_ROW:
        raise ConfigError("on_bad_row", config.on_bad_row, "error or skip")
    if "device" in known and config.device not in DEVICES:
        raise ConfigError("device", config.device, "auto, cpu, cuda or mps")
    check_seeds(config)


def check_seeds(config: Any) -> None:
    """Check seed, split_seed and seeds, each where settings have it.

    Raises:
        ConfigError: for a value that cannot be, or several seeds without data to compare them by.
    """
    known = {field.name for field in fields(config)}
    for name in {"seed", "split_seed"} & known:
        value = getattr(config, name)
        if value is not None and not 0 <= value <= LARGEST_SEED:
            raise ConfigError(name, value, "from 0 up to 2^32 - 1")
    if "seeds" not in known:
        return
    check_least(config, 1, "seeds")
    if config.seed + config.seeds - 1 > LARGEST_SEED:
        raise ConfigError("seeds", config.seeds, "fewer: the last seed would be above 2^32 - 1")
    measured = [name for name in ("validation", "hold_out", "evaluate") if name in known]
    # A share that is left out, rather than 0, is one that the recipe chooses.
    chosen = "hold_out" in known and config.hold_out is None
    if config.seeds > 1 and not chosen and not any(getattr(config, name) for name in measured):
        allowed = f"1 without {' or '.join(measured)}: there is nothing to compare seeds by"
        raise ConfigError("seeds", config.seeds, allowed)


def check_no_gradient_caching(config: Any, why: str) -> None:
    """Refuse `chunk_tokens` where it would change nothing.

    Args:
        config: the settings.
        why: the loss needs none, in words.

    Raises:
        ConfigError: it is not 0.
    """
    if config.chunk_tokens:
        allowed = f"0: this loss needs no gradient caching, {why}"
        raise ConfigError("chunk_tokens", config.chunk_tokens, allowed)


def check_choices(config: Any, **choices: Sequence[str]) -> None:
    """Check fields that take one of a few words.

    Args:
        config: the settings.
        **choices: the words, by the field's name.

    Raises:
        ConfigError: for another word.
    """
    for name, allowed in choices.items():
        if getattr(config, name) not in allowed:
            raise ConfigError(name, getattr(config, name), f"one of {', '.join(allowed)}")


def check_least(config: Any, least: int, *names: str) -> None:
    """Check that numbers are no lower than another; `None`, for the default, is none.

    Args:
        config: the settings.
        least: 0, or the lowest number there may be.
        *names: of the fields.

    Raises:
        ConfigError: for a lower number.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and value < least:
            raise ConfigError(name, value, f"at least {least}" if least else "0 or more")


def check_above_zero(config: Any, *names: str) -> None:
    """Check that numbers are above 0.

    Raises:
        ConfigError: for one that is not.
    """
    for name in names:
        if getattr(config, name) <= 0:
            raise ConfigError(name, getattr(config, name), "above 0")


def check_rates(config: Any, *names: str) -> None:
    """Check that numbers, such as learning rates, lie between 0 and 1; `None` is none.

    Raises:
        ConfigError: for one that does not.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 < value < 1:
            raise ConfigError(name, value, "between 0 and 1")


def check_shares(config: Any, *names: str) -> None:
    """Check that numbers are shares of a whole, less than all of it.

    Raises:
        ConfigError: for one that is not.
    """
    for name in names:
        if not 0 <= getattr(config, name) < 1:
            raise ConfigError(name, getattr(config, name), "a share from 0 up to 1")


def device_of(config: Any) -> str | None:
    """The device that settings name, as models take it: `None`, the best there is, for auto."""
    return None if config.device == "auto" else str(config.device)


def split_seed_of(config: Any) -> int:
    """The seed of what is held out and measured on: `split_seed`, or else the run's own."""
    found = getattr(config, "split_seed", None)
    return int(config.seed if found is None else found)


def chosen(config: Any, arguments: Any) -> dict[str, float]:
    """The learning rates that settings leave open, as they were chosen; by their names."""
    names = ("learning_rate", "head_learning_rate")
    found = {name: getattr(arguments, name, None) for name in names}
    return {
        name: rate
        for name, rate in found.items()
        if rate is not None and getattr(config, name, None) is None
    }


def fine_tuning_rate(width: int) -> float:
    """The learning rate at which an encoder of so many dimensions is fine-tuned with a head.

    >>> fine_tuning_rate(384), fine_tuning_rate(768)
    (0.0001, 5e-05)
    """
    return SMALL_RATE if width <= SMALL_WIDTH else LARGE_RATE


def embedder_rate(width: int) -> float:
    """The learning rate at which an embedder of so many dimensions learns from labelled pairs.

    >>> embedder_rate(384), embedder_rate(768)
    (0.0001, 2e-05)
    """
    return SMALL_RATE if width <= SMALL_WIDTH else LARGE_EMBEDDER_RATE
