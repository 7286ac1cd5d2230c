"""Runs followed in another program: `--track tensorboard`, or trackio; both write to disk alone.

The log is log.jsonl in any case; this hands the same figures on.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from tenor.errors import ConfigError, MissingExtraError

__all__ = ["TRACKERS", "Tracker", "check_tracker", "open_tracker", "tracked_name"]

log = logging.getLogger("tenor")

TRACKERS = ("tensorboard", "trackio")


class Tracker(Protocol):
    """Takes figures while a run goes on."""

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Add figures of a step, by their tracked names."""

    def close(self) -> None:
        """Write what is not on the disk yet."""


def check_tracker(track: str | None) -> None:
    """Make sure, before anything is done, that a run can be tracked as asked.

    Args:
        track: one of `TRACKERS`; `None` for no tracking.

    Raises:
        ConfigError: there is no such tracker.
        MissingExtraError: its extra is not installed.
    """
    if track is None:
        return
    if track not in TRACKERS:
        raise ConfigError("track", track, f"{' or '.join(TRACKERS)}, or left out")
    if find_spec(track) is None:
        raise MissingExtraError(track, f"Tracking with {track}")


def open_tracker(
    track: str, folder: str | Path, settings: Mapping[str, Any], *, first_step: int = 0
) -> Tracker:
    """Begin to track a run, or go on with it.

    Args:
        track: one of `TRACKERS`.
        folder: of the run; what is tracked goes to a folder in it, named as the tracker.
        settings: of the run.
        first_step: the step that the run goes on from, 0 where it starts, or starts again; what
            was tracked beyond it is void.

    Raises:
        ConfigError: there is no such tracker.
        MissingExtraError: its extra is not installed.
    """
    check_tracker(track)
    kind = _TensorBoard if track == "tensorboard" else _Trackio
    return kind(Path(folder), settings, first_step)


def tracked_name(name: str) -> str:
    """The name of a figure of the log where it is tracked: `eval_ndcg@10` is `eval/ndcg@10`.

    >>> tracked_name("eval_ndcg@10"), tracked_name("loss")
    ('eval/ndcg@10', 'train/loss')
    """
    if name.startswith("eval_"):
        return f"eval/{name.removeprefix('eval_')}"
    return f"train/{name}"


class _TensorBoard:
    """Event files in OUT/tensorboard, for `tensorboard --logdir OUT`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)
        if not first_step:
            words = "\n".join(f"    {line}" for line in _as_json(settings).splitlines())
            self._writer.add_text("settings", words, 0)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Trackio:
    """A database in OUT/trackio (or $TRACKIO_DIR), for `TRACKIO_DIR=… trackio show`.

    trackio chooses its folder once a process: of several runs in one, all go to that of the first.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], first_step: int) -> None:
        os.environ.setdefault("TRACKIO_DIR", str((folder / "trackio").resolve()))
        with redirect_stdout(sys.stderr):  # what it says is no command's answer
            import trackio

            name = folder.resolve().name
            self._trackio: Any = trackio
            trackio.init(
                project="tenor",
                name=name,
                config=json.loads(_as_json(settings)),
                resume="allow" if first_step else "never",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        log.info("trackio: %s", os.environ["TRACKIO_DIR"])

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        known = {name: value for name, value in figures.items() if math.isfinite(value)}
        self._trackio.log(known, step=step)

    def close(self) -> None:
        with redirect_stdout(sys.stderr):
            self._trackio.finish()


def _as_json(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), indent=2, default=str, ensure_ascii=False)
