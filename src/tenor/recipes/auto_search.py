"""The candidates within the budget, one after another, and the choice among them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tenor.data.findings import Finding
from tenor.errors import ConfigError, RunInterruptedError, TenorError, TrainingError
from tenor.models.embedder import Embedder
from tenor.recipes.auto import AutoConfig
from tenor.recipes.auto_candidates import (
    Candidate,
    Fitted,
    candidates,
    fit_to_time,
    hurried,
    twice_as_long,
    usable_advice,
)
from tenor.recipes.auto_clock import BudgetClock
from tenor.recipes.auto_data import AutoData
from tenor.recipes.auto_measure import Measurements
from tenor.recipes.auto_outcome import UNTOUCHED, confirm, keep, outcome, tell_outcome
from tenor.recipes.auto_training import evaluation_of, train
from tenor.recipes.auto_trials import Trial, Trials
from tenor.recipes.plan_context import Context
from tenor.recipes.plan_estimate import SAVING, Measured
from tenor.recipes.plan_findings import file_findings
from tenor.recipes.plan_measure import text_measures
from tenor.recipes.plan_sources import EMBEDDER_SHAPES
from tenor.recipes.stages import note
from tenor.recipes.tell import tell
from tenor.training.run import Run

__all__ = ["Search"]

STATE, MEASURED = "auto.json", "measured.json"
TRYING = 0.06  # share of the budget for telling how long things take
LONGEST_TRY = 25.0  # seconds
MOST = 0.6  # share of the time left that a candidate gets while others wait
RESERVE = 0.03  # share of the budget kept for what nobody foresaw
LOADING = 2.0  # seconds: a model, once everything is imported
LONGER = 3  # times that the best candidate may be trained twice as long, if there is time left


class Search:
    """One start of a search; what an earlier start did is found on disk.

    Args:
        config: the settings.
        run: its folder.
        clock: what is left of the budget.
        data: what is trained on and measured with.
        context: what the plan's rules go by.
        embedder: the untouched model.
    """

    def __init__(
        self,
        config: AutoConfig,
        run: Run,
        clock: BudgetClock,
        data: AutoData,
        context: Context,
        embedder: Embedder,
    ) -> None:
        self.config, self.run, self.clock, self.data = config, run, clock, data
        self.is_embedder = data.train.shape in EMBEDDER_SHAPES
        self.trials = Trials(run.folder / STATE)
        self.folder = str(run.folder.resolve() / "candidates")
        for line in data.notes:
            tell(line)
        seconds = min(TRYING * clock.seconds, LONGEST_TRY)
        measurements = Measurements(run.folder / MEASURED, seconds)
        check = measurements.labels(data, embedder)
        findings: list[Finding] = [*file_findings(data.inputs), *check.findings]
        for finding in findings:
            if finding.severity != "note":
                tell(f"{finding.severity}: {finding.message}")
        advice = usable_advice(context, findings)
        path = data.train.path
        self.measured = Measured(
            text_measures(data.inputs, embedder),
            {(name, path): pace for name, pace in measurements.paces(advice).items()},
            {} if check.pace is None else {path: check.pace},
            {} if check.fit_seconds is None else {path: check.fit_seconds},
        )
        self.tries = candidates(context, advice, self.measured, self.folder)
        # Seconds of one evaluation, and of all that comes after the choice.
        self.evaluating = self._encoding(data.validation)
        self.testing = self._encoding(data.test)
        self.final = 2 * (self.testing + LOADING) + SAVING + RESERVE * clock.seconds
        if self.is_embedder and self.trials.get(UNTOUCHED) is None:
            self._measure_untouched(embedder)

    def go(self) -> dict[str, Any]:
        """Try, choose, confirm.

        Raises:
            ConfigError: the budget is too small for any candidate.
            TrainingError: every candidate failed.
            RunInterruptedError: somebody stopped it.
        """
        self.tries = hurried(self.tries, self.clock.left - self.final, self.evaluating)
        tell(f"to try: {', '.join(each.name for each in self.tries)}")
        self._try_all(self.tries)
        if not any(each.name != UNTOUCHED for each in self.trials.done):
            self._try_briefly()
        for _ in range(LONGER):
            again = self._best_again()
            if again is None:
                break
            self.tries.append(again)
            self._try_all([again])
        self._require_one()
        return self._finish()

    def _encoding(self, source: Any) -> float:
        return self.measured.encoding_seconds(self.measured.tokens(source)) or 0.0

    def _measure_untouched(self, embedder: Embedder) -> None:
        """The model as it is, where it is one of those to choose from."""
        evaluation = evaluation_of(self.data, self.data.validation)
        result, metric = evaluation.measure(embedder), evaluation.metric
        trial = Trial(
            UNTOUCHED, "the model as it is", "done", {}, metric, result.metrics[metric],
            list(result.intervals[metric]), seconds=result.seconds,
        )  # fmt: skip
        self._remember(trial)
        tell(trial.describe())

    # -- candidates ------------------------------------------------------------------------------

    def _try_all(self, tries: Sequence[Candidate]) -> None:
        for number, each in enumerate(tries):
            before = self.trials.get(each.name)
            if before is not None and before.status != "running":
                continue
            left = self.clock.left - self.final
            if before is not None:
                self._run(each, before, left)
                continue
            waiting = sum(other.estimate.seconds or 0.0 for other in tries[number:])
            alone = number + 1 == len(tries)
            fitted = self._fitted(each, left, 1.0 if alone or waiting <= left else MOST)
            if fitted is None:
                self._skip(each, left)
            else:
                settings = self._with_floor(fitted)
                self._run(each, Trial(each.name, each.title, "running", settings), left)

    def _fitted(self, candidate: Candidate, left: float, share: float) -> Fitted | None:
        """The settings for a share of the time left; for all of it, where that is too little."""
        fitted = fit_to_time(candidate, share * left, self.evaluating)
        half = 0.5 * candidate.estimate.steps
        if fitted is None or fitted.settings.get("max_steps", half) < half:
            return fit_to_time(candidate, left, self.evaluating)
        return fitted

    def _try_briefly(self) -> None:
        """Where there was no time for any of them: the first that can do a few steps."""
        left = self.clock.left - self.final
        for each in self.tries:
            before = self.trials.get(each.name)
            fitted = fit_to_time(each, left, self.evaluating, least=0.0)
            if fitted is not None and (before is None or before.status == "skipped"):
                trial = Trial(each.name, each.title, "running", self._with_floor(fitted))
                self._run(each, trial, left)
                return

    def _best_again(self) -> Candidate | None:
        """The best candidate, twice as long, where the time that is left is enough for that."""
        leader = self.trials.leader
        found = next((each for each in self.tries if leader and each.name == leader.name), None)
        longer = None if found is None else twice_as_long(found, self.measured, self.folder)
        if leader is None or longer is None:
            return None
        if self.trials.get(longer.name) is not None:  # an earlier start began it
            return longer
        fitted = fit_to_time(longer, self.clock.left - self.final, self.evaluating)
        enough = fitted is not None and fitted.settings.get("max_steps", 0) > 1.5 * leader.steps
        return longer if enough else None

    def _with_floor(self, fitted: Fitted) -> dict[str, Any]:
        """The settings, with the figure below which a candidate is hopeless by its middle."""
        leader, settings = self.trials.leader, dict(fitted.settings)
        if leader is not None and leader.interval is not None and "evaluate_every" in settings:
            settings["stop_below"] = leader.interval[0]
        return settings

    def _run(self, candidate: Candidate, trial: Trial, left: float) -> None:
        """Train a candidate, or go on with it, and remember what became of it."""
        self._remember(trial)
        # The limit counts from the first step on, and the weights are measured again after it.
        limit = left - LOADING - SAVING - 2 * self.evaluating
        if limit <= 1.0 and candidate.estimate.steps:
            self._skip(candidate, left)
            return
        steps = trial.settings.get("max_steps") or trial.settings.get("steps")
        told = f", {steps:,} of {candidate.estimate.steps:,} steps" if steps else ""
        tell(f"candidate {candidate.name}: {candidate.title}{told}; {left:.0f} s left")
        start = time.monotonic()
        minutes = {"max_minutes": limit / 60} if candidate.estimate.steps else {}
        try:
            result = train(replace(candidate.config, **trial.settings, **minutes))
        except RunInterruptedError:
            raise
        except TenorError as error:
            tell(f"{candidate.name} failed: {error}")
            self._remember(replace(trial, status="failed", why=str(error)))
            return
        metric = str(result["metric"])
        trial = replace(
            trial,
            status="done",
            metric=metric,
            value=result["after"]["metrics"][metric],
            interval=list(result["after"]["intervals"][metric]),
            steps=int(result.get("steps") or 0),
            stopped=result.get("stopped"),
            seconds=time.monotonic() - start,
            expected_seconds=candidate.estimate.seconds,
        )
        self._remember(trial)
        ahead = ", the best so far" if self.trials.leader == trial else ""
        tell(f"{trial.describe()} on the validation data{ahead}")

    def _skip(self, candidate: Candidate, left: float) -> None:
        needed = candidate.estimate.seconds or 0.0
        why = f"no time: it takes about {needed:.0f} s, and {max(left, 0.0):.0f} s are left"
        tell(f"left out: {candidate.name} ({why})")
        self._remember(Trial(candidate.name, candidate.title, "skipped", {}, why=why))

    def _remember(self, trial: Trial) -> None:
        self.trials.remember(trial)
        self.clock.note()
        if trial.status != "running":
            figures = {"status": trial.status, "value": trial.value, "seconds": trial.seconds}
            note(self.run, trial.name, figures)

    # -- the end ---------------------------------------------------------------------------------

    def _require_one(self) -> None:
        if self.trials.done:
            return
        failed = [each for each in self.trials.all if each.status == "failed"]
        if failed:
            raise TrainingError(f"every candidate failed; {failed[0].name}: {failed[0].why}")
        needed = min(each.estimate.seconds or 0.0 for each in self.tries) + self.final
        raise ConfigError(
            "budget",
            self.config.budget,
            f"more: the cheapest candidate takes about {needed:.0f} seconds here with its test. "
            f"Delete {self.run.folder}, or name another --out, and give a larger budget",
        )

    def _finish(self) -> dict[str, Any]:
        leader = self.trials.leader
        assert leader is not None
        tell(f"kept: {leader.name}; confirming it on the test data, once")
        baseline = UNTOUCHED if self.is_embedder else self._cheapest()
        if self.clock.left < 1.6 * self.testing:
            tell("no time is left to measure another model on the test data beside it")
            baseline = None
        confirmed = confirm(self.config, self.run, self.data, leader, baseline)
        model = keep(self.config, self.run, leader)
        self.clock.note()
        result = outcome(
            self.run, self.data, self.trials, confirmed,
            used=self.clock.used, budget=self.clock.seconds,
        )  # fmt: skip
        result["model"] = model
        self.run.write_result(result)
        tell_outcome(result)
        return result

    def _cheapest(self) -> str | None:
        """The cheapest candidate that was measured: what the others have to beat."""
        done = {each.name for each in self.trials.done}
        return next((each.name for each in self.tries if each.name in done), None)
