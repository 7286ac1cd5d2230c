"""What is tried: the plan's recipes with a few settings each, for as long as there is time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tenor.data.findings import Finding
from tenor.errors import DataError
from tenor.recipes.classifier import ClassifierConfig
from tenor.recipes.contrastive import ContrastiveConfig, rate_of
from tenor.recipes.few_shot import FewShotConfig
from tenor.recipes.plan_context import Advice, Context
from tenor.recipes.plan_estimate import SAVING, Estimate, Measured, estimate
from tenor.recipes.plan_rules import advise
from tenor.recipes.settings import SMALL_RATE, fine_tuning_rate
from tenor.training.arguments import TrainingArguments

__all__ = [
    "Candidate",
    "Fitted",
    "candidates",
    "fit_to_time",
    "hurried",
    "twice_as_long",
    "usable_advice",
]

# The plan's recipes that give a model of the kind that is looked for.
USED = ("logistic", "few-shot", "fine-tuned", "contrastive", "tagger")
FEWEST_STEPS = 4
LEAST_SHARE = 0.15  # of the steps it should have, below which a candidate is not worth a start
SLOW_SHARE = 0.5  # the same at a lower rate for longer, whose point is the length
MOST_OFTEN = 4  # evaluations, and checkpoints, of a training where they are cheap
CHEAP = 0.1  # share of a training's time that either may take
HALF = 0.65  # of the time of a step, where half of the blocks are frozen
STARTING = 2.5  # seconds: a model and the rows, once everything is imported


@dataclass(frozen=True)
class Candidate:
    """Something to try.

    Attributes:
        name: its run's folder is called so.
        recipe: name of the plan's advice that it is of.
        title: in words.
        advice: the plan's, with these settings.
        estimate: what it takes with all of its steps.
        least: share of its steps below which it is not worth a start.
    """

    name: str
    recipe: str
    title: str
    advice: Advice
    estimate: Estimate
    least: float = LEAST_SHARE

    @property
    def config(self) -> Any:
        """The recipe's settings."""
        return self.advice.config


@dataclass(frozen=True)
class Fitted:
    """A candidate's settings for the time there is.

    Attributes:
        settings: that change, such as max_steps.
        seconds: it will take.
    """

    settings: dict[str, Any]
    seconds: float


def usable_advice(context: Context, findings: Sequence[Finding]) -> list[Advice]:
    """The plan's recipes that give a model of the kind that is looked for.

    Args:
        context: what the plan's rules go by.
        findings: what is the matter with the data.

    Raises:
        DataError: nothing fits.
    """
    advice, unfit = advise(context, findings)
    usable = [each for each in advice if each.name in USED]
    if not usable:
        path = context.inputs.sources[0].path
        reasons = " ".join(f"{each.name}: {each.why}" for each in unfit if each.path == path)
        raise DataError(f"nothing can be trained on it. {reasons}", path=path)
    return usable


def candidates(
    context: Context, advice: Sequence[Advice], measured: Measured, folder: str
) -> list[Candidate]:
    """What is worth trying, the cheapest first.

    Args:
        context: what the plan's rules go by.
        advice: the recipes.
        measured: what their steps take.
        folder: where the runs go.
    """
    made = []
    for each in advice:
        for name, title, changes in _variants(each, context):
            made.append(_candidate(each, name, title, changes, measured, folder))
    return sorted(made, key=lambda each: each.estimate.seconds or 0.0)


def twice_as_long(candidate: Candidate, measured: Measured, folder: str) -> Candidate | None:
    """The same with twice as many epochs; `None` for what has none.

    Args:
        candidate: that was tried.
        measured: what its steps take.
        folder: where the runs go.
    """
    epochs = getattr(candidate.config, "epochs", None)
    if epochs is None or not candidate.estimate.steps:
        return None
    title = f"{candidate.title}, twice as long"
    name = f"{candidate.name}-long"
    return _candidate(candidate.advice, name, title, {"epochs": 2 * epochs}, measured, folder)


def _candidate(
    advice: Advice,
    name: str,
    title: str,
    changes: dict[str, Any],
    measured: Measured,
    folder: str,
) -> Candidate:
    config = replace(advice.config, **{"out": f"{folder}/{name}", **changes})
    train = next(each for each in advice.commands if each.config is not None)
    told = replace(advice, commands=(replace(train, config=config),))
    pace = measured.pace(advice.name, advice.source)
    if pace is not None and str(getattr(config, "freeze", "none")).isdigit():
        halved = replace(pace, seconds=HALF * pace.seconds)
        paces = {**measured.paces, (advice.name, advice.source.path): halved}
        measured = replace(measured, paces=paces)
    cost = estimate(told, measured, starting=STARTING)
    slower = {"learning_rate", "epochs"} <= changes.keys()
    least = SLOW_SHARE if slower else LEAST_SHARE
    return Candidate(name, advice.name, title, told, cost, least)


def hurried(tries: Sequence[Candidate], seconds: float, evaluating: float) -> list[Candidate]:
    """The order for the time there is: with little of it, the fastest learners come first.

    Where an embedder would get less than half of its steps, only one of its candidates will be
    trained, and both directions get further in few steps, and so does a higher learning rate.

    Args:
        tries: the candidates, the cheapest first.
        seconds: there are.
        evaluating: seconds that one evaluation takes.
    """
    embedders = [each for each in tries if isinstance(each.config, ContrastiveConfig)]
    if not embedders:
        return list(tries)
    first = embedders[0]
    fitted = fit_to_time(first, seconds, evaluating)
    if fitted is not None and fitted.settings["max_steps"] >= 0.5 * first.estimate.steps:
        return list(tries)
    order = sorted(  # what keeps the recipe's own rate has the lowest
        embedders, key=lambda each: (not each.config.symmetric, -(each.config.learning_rate or 0.0))
    )
    return [*(each for each in tries if each not in embedders), *order]


def fit_to_time(
    candidate: Candidate, seconds: float, evaluating: float, *, least: float | None = None
) -> Fitted | None:
    """The settings with which a candidate is done in so many seconds.

    Args:
        candidate: what is to be tried.
        seconds: there are.
        evaluating: seconds that one evaluation takes.
        least: share of its steps below which it is not worth a start; by default the candidate's.

    Returns:
        `None` where there is too little time.
    """
    config, told = candidate.config, candidate.estimate
    assert told.seconds is not None
    if not told.steps or told.seconds_per_step is None:
        return Fitted({}, told.seconds) if told.seconds <= seconds else None
    step = told.seconds_per_step
    # What the estimate counts beside the steps; evaluations and checkpoints are counted anew.
    epochs = getattr(config, "epochs", 0)
    counted = told.seconds_per_step * told.steps + epochs * (evaluating + SAVING)
    room = seconds - max(told.seconds - counted, 0.0)
    steps = min(told.steps, int(room / step))
    least = candidate.least if least is None else least
    needed = max(min(FEWEST_STEPS, told.steps), math.ceil(least * told.steps))
    if isinstance(config, FewShotConfig):
        work = seconds - room + steps * step
        return Fitted({"steps": steps}, work) if steps >= needed else None
    evaluations, saves = (_often(steps * step, each) for each in (evaluating, SAVING))
    between = evaluations * evaluating + saves * SAVING
    steps = min(told.steps, int((room - between) / step))
    if steps < needed:
        return None
    settings = {
        "max_steps": steps,
        "evaluate_every": math.ceil(steps / evaluations),
        "save_every": math.ceil(steps / saves),
    }
    return Fitted(settings, seconds - room + steps * step + between)


def _often(training: float, once: float) -> int:
    """How often something is done in a training, so that it stays cheap."""
    return min(max(int(CHEAP * training / max(once, 1e-3)), 1), MOST_OFTEN)


def _variants(advice: Advice, context: Context) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, title and changed settings of what is tried of a recipe."""
    config, name = advice.config, advice.name
    half = context.blocks // 2
    plain = (name, advice.title, dict[str, Any]())
    if isinstance(config, ContrastiveConfig):
        return _embedders(plain, advice, rate_of(config, context.width))
    if not isinstance(config, TrainingArguments) or (
        isinstance(config, ClassifierConfig) and config.head == "logistic"
    ):
        return [plain]
    found = [plain]
    if half:
        title = f"{advice.title}, the first {half} blocks frozen"
        found.insert(0, (f"{name}-half-frozen", title, {"freeze": str(half)}))
    chosen: float | None = config.learning_rate
    rate = (chosen or fine_tuning_rate(context.width)) / 2
    title = f"{advice.title}, at half the learning rate, twice as long"
    found.append((f"{name}-slow", title, {"learning_rate": rate, "epochs": 2 * config.epochs}))
    return found


def _embedders(
    plain: tuple[str, str, dict[str, Any]], advice: Advice, rate: float
) -> list[tuple[str, str, dict[str, Any]]]:
    name, title, _ = plain
    small = rate >= SMALL_RATE
    faster, words = (2 * rate, "twice") if small else (3 * rate, "three times")
    found = [plain, (f"{name}-fast", f"{title}, at {words} the rate", {"learning_rate": faster})]
    if advice.source.shape in ("scored", "labelled_pairs"):
        found.append((f"{name}-cosine", f"{title}, cosine loss", {"loss": "cosine"}))
    elif advice.source.shape in ("pairs", "triplets"):
        changes = {"symmetric": True, "learning_rate": rate if small else faster}
        found.append((f"{name}-symmetric", f"{title}, ranked both ways", changes))
    return found
