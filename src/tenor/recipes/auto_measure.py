"""What was measured of machine and labels, kept so that a next start need not do it again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenor.data.findings import Example, Finding
from tenor.formats.atomic import write_text
from tenor.models.embedder import Embedder
from tenor.recipes.auto_data import AutoData
from tenor.recipes.plan_context import Advice
from tenor.recipes.plan_encoding import EncodingPace
from tenor.recipes.plan_labels import LabelCheck, check_labels
from tenor.recipes.plan_probe import Pace
from tenor.recipes.plan_rehearsals import rehearse
from tenor.recipes.tell import tell

__all__ = ["Measurements"]


class Measurements:
    """Measures once.

    Args:
        path: the file in which it is kept.
        seconds: to measure for, in all.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self._kept: dict[str, Any] = {}
        if path.exists():
            self._kept = json.loads(path.read_text(encoding="utf-8"))

    def labels(self, data: AutoData, embedder: Embedder) -> LabelCheck:
        """Whether labels and texts agree, and how quickly texts are embedded."""
        if "labels" not in self._kept:
            check = check_labels(data.train, embedder, seconds=self.seconds / 3)
            self._keep(
                "labels",
                {
                    "findings": [each.to_json() for each in check.findings],
                    "pace": None if check.pace is None else vars(check.pace),
                    "fit_seconds": check.fit_seconds,
                },
            )
            return check
        kept = self._kept["labels"]
        findings = [
            Finding(
                **{**each, "examples": tuple(Example(**example) for example in each["examples"])}
            )
            for each in kept["findings"]
        ]
        pace = None if kept["pace"] is None else EncodingPace(**kept["pace"])
        fit = kept["fit_seconds"]
        return LabelCheck(tuple(findings), pace, None if fit is None else (fit[0], fit[1]))

    def paces(self, advice: Sequence[Advice]) -> dict[str, Pace]:
        """What a step of each recipe takes."""
        if "paces" not in self._kept:
            found = {}
            for each in advice:
                seconds = self.seconds / (2 * len(advice))
                pace = rehearse(each.config, each.source, seconds=seconds)
                if pace is not None:
                    found[each.name] = vars(pace)
                    tell(f"{each.name}: {pace.seconds:.2f} s a step")
            self._keep("paces", found)
        return {name: Pace(**each) for name, each in self._kept["paces"].items()}

    def _keep(self, name: str, values: Any) -> None:
        self._kept[name] = values
        write_text(self.path, json.dumps(self._kept, ensure_ascii=False) + "\n")
