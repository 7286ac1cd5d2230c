"""What the settings of several recipes have in common: their checks, and the device they name.

Settings are made before anything heavy is loaded, so this imports nothing but the errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from tenor.errors import ConfigError

__all__ = [
    "DEVICES", "ON_BAD_ROW", "check_above_zero", "check_choices", "check_least",
    "check_no_gradient_caching", "check_rates", "check_run_settings", "check_shares", "device_of",
]  # fmt: skip

DEVICES = ("auto", "cpu", "cuda", "mps")
ON_BAD_ROW = ("error", "skip")


def check_run_settings(config: Any) -> None:
    """Check what the settings of runs have in common, each field where they have it.

    The fields are out, train (where it must be given), hold_out with validation, on_bad_row,
    device and seed.

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
    if "seed" in known and not 0 <= config.seed < 1 << 32:
        raise ConfigError("seed", config.seed, "from 0 up to 2^32 - 1")


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
