"""Models that are saved as a folder with a card, whole or not at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenor.formats.atomic import replaced_folder

__all__ = ["SavedModel"]


class SavedModel(ABC):
    """A model that can be saved, and says of itself what a model card says.

    Attributes:
        name: what it was loaded from.
        sha256: of the files it was loaded from; `None` where it was made in memory.
    """

    name: str
    sha256: str | None

    def save(self, folder: str | Path, *, card: str | None = None) -> None:
        """Write the model, whole or not at all.

        Args:
            folder: replaced if it exists.
            card: text of README.md; a plain card by default.

        Raises:
            ModelError: when `folder` exists and holds something that is no model.
        """
        with replaced_folder(folder) as target:
            self.write(target)
            text = card or self.card(name=Path(folder).name, training=None, evaluation=[])
            (target / "README.md").write_text(text, encoding="utf-8")

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write everything but the card into a folder, which must exist."""

    @abstractmethod
    def card(
        self, *, name: str, training: dict[str, Any] | None, evaluation: Sequence[dict[str, Any]]
    ) -> str:
        """The model card, which is the README.md of a saved folder.

        Args:
            name: the model's name.
            training: what a run recorded, or `None`.
            evaluation: results of this model.
        """
