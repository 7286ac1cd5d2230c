"""What the rules of a plan go by: the inputs, the model, and where the commands will write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenor.recipes.contrastive import ContrastiveConfig
from tenor.recipes.plan_command import Command
from tenor.recipes.plan_sources import Inputs, Source
from tenor.recipes.settings import LARGE_RATE, fine_tuning_rate

__all__ = ["Advice", "Context", "Unfit"]

FEWEST_HELD = 20  # rows from which some can be held out
FEW_ROWS = 1_000
WANTED_STEPS = 300  # of training; fewer hardly move a model
MOST_EPOCHS = 10


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A recipe that fits.

    Attributes:
        name: of it; its run's folder is called so.
        title: in words.
        why: it fits.
        source: what it trains on.
        commands: to paste, one after another; what trains, and then what measures.
        validation: what the recipe measures on in training, if not on held-out rows.
        raw: text that its first command learns from, before the source.
    """

    name: str
    title: str
    why: str
    source: Source
    commands: tuple[Command, ...]
    validation: Source | None = None
    raw: Source | None = None

    @property
    def config(self) -> Any:
        """The settings of what trains."""
        return next((each.config for each in reversed(self.commands) if each.config), None)


@dataclass(frozen=True)
class Unfit:
    """A recipe that will not work here.

    Attributes:
        name: of it, in words.
        why: it will not, and what would change that.
        path: of the file it is about.
    """

    name: str
    why: str
    path: str = ""


@dataclass
class Context:
    """What rules go by.

    Attributes:
        inputs: all that was read.
        model: name of the model to start from.
        trained: whether it is an embedder that was trained for similarity already.
        width: of its vectors.
        blocks: how many it has, that could be frozen.
        shared: settings that every recipe gets, such as max_seq_length.
        folder: where runs go.
        taken: names of runs that were given away.
    """

    inputs: Inputs
    model: str
    trained: bool
    width: int
    blocks: int = 0
    shared: Mapping[str, Any] = field(default_factory=dict)
    folder: str = "runs"
    taken: set[str] = field(default_factory=set)

    @property
    def rate(self) -> dict[str, Any]:
        """The learning rate of classifiers, taggers and cross-encoders, if not the recipe's own."""
        rate = fine_tuning_rate(self.width)
        return {} if rate == LARGE_RATE else {"learning_rate": rate}

    def out(self, name: str) -> str:
        """A folder for a run that holds nothing yet."""
        found, number = f"{self.folder}/{name}", 2
        while found in self.taken or Path(found).exists():
            found, number = f"{self.folder}/{name}-{number}", number + 1
        self.taken.add(found)
        return found

    def common(self, *sources: Source | None) -> dict[str, Any]:
        """Settings that recipes share, for what they read."""
        read = [each for each in sources if each is not None]
        skips = any(each.skipped for each in read)
        given: dict[str, Any] = dict(self.shared)
        if self.model != ContrastiveConfig.model:
            given["model"] = self.model
        if read and read[0].roles:
            given["columns"] = dict(read[0].roles)
        if skips:
            given["on_bad_row"] = "skip"
        return given

    def held_out(self, source: Source, shapes: Sequence[str] | None = None) -> dict[str, Any]:
        """Where a recipe's validation comes from: another file, or a share of the rows.

        Args:
            source: what is trained on.
            shapes: of what the recipe can be validated with; anything by default.
        """
        found = self.validation(source, shapes)
        if found is not None:
            return {"validation": found.path}
        rows = source.profile.rows
        if rows < FEWEST_HELD:
            return {}
        return {"hold_out": 0.2 if rows < FEW_ROWS else 0.1}

    def validation(self, source: Source, shapes: Sequence[str] | None = None) -> Source | None:
        """A file or folder to validate with, whose columns the recipe can read."""
        found = self.inputs.held_out(source, "validation")
        if found is None or (shapes is not None and found.shape not in shapes):
            return None
        # A recipe reads both files by the same names of columns.
        return found if found.read_like(source) else None

    def on_raw_text(self, source: Source) -> dict[str, Any]:
        """Settings of what learns from raw text: what recipes share, its column, held-out text."""
        held = self.inputs.raw_validation(source)
        given = {k: v for k, v in self.common(source, held).items() if k != "columns"}
        if "text" in source.roles:
            given["column"] = source.roles["text"]
        if held is not None:
            given["validation"] = held.path
        return given

    def epochs(self, rows: int, batch_size: int, fewest: int = 1) -> int:
        """Passes over the data that make a fair number of steps."""
        steps = max(-(-rows // batch_size), 1)
        return max(fewest, min(-(-WANTED_STEPS // steps), MOST_EPOCHS))

    def test(self, source: Source, words: Sequence[str], out: str) -> tuple[Command, ...]:
        """The command that measures a model on the test data, where there are any it can take.

        Args:
            source: what it was trained on.
            words: what measures it; "" for what suits the test data of an embedder.
            out: its run's folder.
        """
        found = self.inputs.held_out(source, "test")
        if found is None:
            return ()
        if not words:
            kinds = {"retrieval": ("evaluate", "retrieval"), "scored": ("evaluate", "sts")}
            if found.shape not in kinds:
                return ()
            words = kinds[found.shape]
        elif found.shape == "retrieval":
            return ()
        return (self.measure(words, f"{out}/model", found),)

    def measure(self, words: Sequence[str], model: str, found: Source) -> Command:
        """The command that measures a model on some data."""
        flags: list[str] = []
        for role, column in found.roles.items():
            flags += [f"--columns.{role}", column]
        if found.skipped and found.task is None:
            flags += ["--on-bad-row", "skip"]
        return Command(tuple(words), (model, found.path), flags=tuple(flags))
