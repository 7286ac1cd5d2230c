"""The command line: thin. A recipe's dataclass is its flags."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from tenor.errors import ConfigError, DataError, MissingExtraError, ModelError, TenorError

__all__ = ["main", "make_app"]

DONE, FAILED, WRONG_USE = 0, 1, 2


def make_app(config: Path | None = None) -> Any:
    """The command line as a cyclopts application.

    Args:
        config: TOML file with settings for the command; flags go before it.
    """
    from cyclopts import App
    from rich.console import Console

    import tenor
    from tenor.cli import commands

    app = App(
        name="tenor",
        help="From raw domain text to the best embedding model you can ship.",
        version=tenor.__version__,
        version_flags=["--version"],
        error_console=Console(stderr=True),
        suppress_keyboard_interrupt=False,
        config=None if config is None else _settings(config),
    )
    commands.add_to(app)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 done, 2 wrong usage or data, 1 failure."""
    _log_to_stderr()
    from cyclopts import CycloptsError

    given = sys.argv[1:] if arguments is None else arguments
    try:
        app = make_app(_config_file(given))
        app(given, exit_on_error=False, result_action="return_value")
        sys.stdout.flush()  # a closed pipe shows here, not when the interpreter ends
    except CycloptsError:
        sys.exit(WRONG_USE)  # cyclopts has said what is wrong
    except (ConfigError, DataError, ModelError, MissingExtraError) as error:
        print(f"tenor: {error}", file=sys.stderr)
        sys.exit(WRONG_USE)
    except TenorError as error:
        print(f"tenor: {error}", file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        print("tenor: interrupted", file=sys.stderr)
        sys.exit(FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has enough
        sys.exit(FAILED)
    sys.exit(DONE)


def _settings(path: Path) -> Any:
    """The settings in a TOML file, for whichever command runs."""
    import tomllib

    from cyclopts.config import Dict

    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("config", str(path), f"a TOML file ({error})") from error

    def apply(app: Any, commands: tuple[str, ...], arguments: Any) -> None:
        # Nested under the command's name: of flat settings cyclopts drops those that are called
        # as a command is, such as `train`.
        settings = stored
        for command in reversed(commands):
            settings = {command: settings}
        Dict(settings, source=str(path))(app, commands, arguments)

    return apply


def _config_file(arguments: list[str]) -> Path | None:
    """The TOML file that settings come from: `--config`, or the resumed run's own."""
    named = _value_of("--config", arguments)
    if named is not None:
        if not Path(named).is_file():
            raise ConfigError("config", named, "a TOML file")
        return Path(named)
    out = _value_of("--out", arguments)
    if "--resume" in arguments and out is not None:
        stored = Path(out) / "config.toml"
        return stored if stored.is_file() else None
    return None


def _value_of(flag: str, arguments: list[str]) -> str | None:
    for place, argument in enumerate(arguments):
        if argument.startswith(flag + "="):
            return argument.removeprefix(flag + "=")
        if argument == flag and place + 1 < len(arguments):
            return arguments[place + 1]
    return None


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("tenor")
    logger.handlers = [handler]
    logger.setLevel(os.environ.get("TENOR_LOG", "INFO").upper())
    logger.propagate = False
