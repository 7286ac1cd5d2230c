"""Which stages an adaptation has, in which order, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from tenor.errors import ConfigError
from tenor.recipes.adapt import REBUILDING, SUPERVISED, UNSUPERVISED, AdaptConfig
from tenor.recipes.tell import tell

__all__ = ["SUPERVISED_ONLY", "UNTOUCHED", "AdaptPlan", "make_plan"]

log = logging.getLogger("tenor")

UNTOUCHED, SUPERVISED_ONLY = "untouched", "supervised-only"

TSDAE_PAPER = "Wang et al. 2021, https://arxiv.org/abs/2104.06979"
GPL_PAPER = "Wang et al. 2022, https://arxiv.org/abs/2112.07577"
WORDS = {
    "tsdae": "TSDAE", "mlm": "masked language modelling", "simcse": "SimCSE",
    "cloze": "the inverse cloze task", "consecutive": "pairs of consecutive sentences",
    "crop": "pairs of random crops",
}  # fmt: skip


@dataclass(frozen=True)
class AdaptPlan:
    """What will be done.

    Attributes:
        stages: in their order.
        reasons: why these and why in this order, a sentence each.
        warnings: what is against it, where it was asked for.
        ablation: the stages that are also run from the untouched model.
    """

    stages: tuple[str, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    ablation: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """A run folder for each stage."""
        return tuple(f"{number}-{name}" for number, name in enumerate(self.stages, start=1))

    @property
    def ablation_folders(self) -> tuple[str, ...]:
        """A run folder for each stage of the ablation."""
        numbered = enumerate(self.ablation, start=1)
        return tuple(f"{SUPERVISED_ONLY}/{number}-{name}" for number, name in numbered)

    def tell(self, details: Iterable[str]) -> None:
        """Say the plan before it begins.

        Args:
            details: a line for each stage and what it works on.
        """
        tell(f"plan: {', then '.join(self.stages)}")
        for line in (*details, *(f"why: {reason}" for reason in self.reasons)):
            tell(f"  {line}")
        for warning in self.warnings:
            log.warning("warning: %s", warning)


def make_plan(config: AdaptConfig, *, trained: bool) -> AdaptPlan:
    """Choose the stages, or take those that were asked for and say what is against them.

    Args:
        config: the settings.
        trained: whether the model is an embedder, which was trained for similarity already.

    Raises:
        ConfigError: nothing is left to do, or an ablation has nothing to compare.
    """
    stages, reasons = config.stages, ["the stages and their order are as asked"]
    if not stages:
        stages, reasons = _chosen(config, trained)
    unsupervised = [place for place, name in enumerate(stages) if name in UNSUPERVISED]
    supervised = [place for place, name in enumerate(stages) if name in SUPERVISED]
    warnings = []
    if trained and (stages[0] in REBUILDING or stages[0] == "simcse"):
        name = WORDS[stages[0]]
        teaches = (
            f"{name[0].upper()}{name[1:]} teaches it to rebuild texts, not to compare them, and"
            if stages[0] in REBUILDING
            else f"{name} has only dropout to learn from, and"
        )
        warnings.append(
            f"{config.model} is an embedder that was trained for similarity. {teaches} usually "
            f"undoes some of that training; it is meant for a plain encoder ({TSDAE_PAPER}; "
            f"{GPL_PAPER}). Going on as asked: the untouched model is measured beside it."
        )
    late = [name for place, name in enumerate(stages) if _last(stages[:place]) > _rank(name)]
    if late:
        before = stages[: stages.index(late[0])]
        first = next(name for name in before if _rank(name) == _last(before))
        warnings.append(
            f"the order is reversed: {' and '.join(map(_words, late))} after {_words(first)} "
            "overwrites part of what that taught about similarity; raw text first and labels last "
            f"is better ({TSDAE_PAPER}). Going on as asked: each stage is compared with the one "
            "before."
        )
    ablation: tuple[str, ...] = ()
    if config.ablation:
        if not (unsupervised and supervised and unsupervised[0] < supervised[-1]):
            allowed = "left out: no stage without labels comes before one with labels here"
            raise ConfigError("ablation", True, allowed)
        ablation = tuple(stages[place] for place in supervised)
    return AdaptPlan(stages, tuple(reasons), tuple(warnings), ablation)


def _rank(stage: str) -> int:
    """How much of similarity a stage teaches: nothing, as much as raw text can, what labels say."""
    return 2 if stage in SUPERVISED else 0 if stage in REBUILDING else 1


def _last(stages: tuple[str, ...]) -> int:
    return max(map(_rank, stages), default=0)


def _words(stage: str) -> str:
    return WORDS.get(stage, stage)


def _chosen(config: AdaptConfig, trained: bool) -> tuple[tuple[str, ...], list[str]]:
    """The stages that suit the model and the labels, and why."""
    labels = tuple(
        stage
        for stage, given in (("contrastive", config.pairs), ("augmented", config.gold))
        if given
    )
    reasons = []
    if trained:
        if not labels:
            raise ConfigError(
                "stages",
                [],
                f"said for {config.model} without labels: it is an embedder that was trained for "
                "similarity, part of which TSDAE and masked language modelling usually undo. Give "
                "labels with pairs or gold, or a plain encoder as model; or name a stage to try, "
                "such as stages = cloze",
            )
        asked = ",".join(("tsdae", *labels))
        reasons.append(
            f"no stage without labels, as {config.model} is an embedder that was trained for "
            f"similarity, part of which it would undo ({TSDAE_PAPER}; {GPL_PAPER}); --stages "
            f"{asked} tries it all the same"
        )
        if labels == ("contrastive",):
            reasons.append("so the raw text is not trained on")
    else:
        reasons.append(
            f"{config.model} is a plain encoder: TSDAE makes an embedder of it with the target's "
            "raw text"
        )
        if labels:
            reasons.append(
                "labels last: what they teach about similarity would suffer from a stage without "
                f"labels after them ({TSDAE_PAPER})"
            )
    if len(labels) == 2:
        reasons.append("the many pairs come before the few gold ones and what these label")
    return (() if trained else ("tsdae",)) + labels, reasons
