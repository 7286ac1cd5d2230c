"""One start of `tenor auto`: what was given, the folder, the clock, and then the search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenor.models.embedder import Embedder
from tenor.recipes.auto import AutoConfig, parse_budget
from tenor.recipes.auto_clock import BudgetClock
from tenor.recipes.auto_data import choose_source, read_back, split_data, write_data
from tenor.recipes.auto_search import Search
from tenor.recipes.plan import PlanSettings, context_of, load_start
from tenor.recipes.plan_encoding import EncodingPace, encoding_pace
from tenor.recipes.plan_sources import Source, read_inputs
from tenor.recipes.plan_text_facts import text_facts
from tenor.recipes.stages import note, require_one_process
from tenor.recipes.tell import tell
from tenor.training.run import Run

__all__ = ["run_auto"]

BUDGET = "budget.json"
VALIDATING, TESTING = 0.02, 0.1  # share of the budget that one evaluation may take
FEWEST_MEASURED = 100  # rows


def run_auto(config: AutoConfig, started: float) -> dict[str, Any]:
    """See `tenor.recipes.auto.auto`.

    Args:
        config: the settings.
        started: when this start began, by `time.monotonic`.
    """
    require_one_process("auto")
    out = Path(config.out)
    if (out / "result.json").exists():
        finished = Run(out, config, resume=True).finished
        assert finished is not None
        tell(f"{out} is done already; name another --out for a new run.")
        return finished
    settings = PlanSettings(
        model=config.model,
        max_seq_length=config.max_seq_length,
        device=config.device,
        dtype=config.dtype,
        seed=config.seed,
        runs=f"{config.out}/candidates",
    )
    embedder = load_start(settings)
    budget = parse_budget(config.budget)
    made = read_back(out)
    if made is None:
        # All that can be wrong with what was given shows before the folder is made.
        inputs = read_inputs([config.folder], columns=config.columns)
        source = choose_source(inputs, config.folder)
        pace = encoding_pace(source, embedder, seconds=min(0.01 * budget, 5.0))
        split = split_data(config, inputs, source, _MostRows(budget, pace, embedder))
    run = Run(out, config, resume=True)
    with BudgetClock(out / BUDGET, budget, started=started) as clock:
        if made is None:
            made = write_data(split, out)
        run.check_data({**made.hashes, config.model: embedder.sha256 or ""})
        note(run, "data", {"train": made.train.profile.rows})
        context = context_of(settings, made.inputs, embedder)
        search = Search(config, run, clock, made, context, embedder)
        del embedder  # the candidates need the memory
        return search.go()


class _MostRows:
    """How many rows can be measured on within the time."""

    def __init__(self, budget: float, pace: EncodingPace | None, embedder: Embedder) -> None:
        self.budget, self.pace, self.embedder = budget, pace, embedder

    def __call__(self, source: Source, split: str) -> int:
        if self.pace is None:
            return source.profile.rows
        facts = text_facts(source, self.embedder)
        tokens = sum(each.texts * each.read for each in facts.values())
        seconds = tokens / self.pace.tokens
        share = VALIDATING if split == "validation" else TESTING
        if source.task is not None:
            share = 2 * TESTING  # of a search task nothing can be left out
        rows = source.profile.rows
        return max(int(rows * share * self.budget / max(seconds, 1e-6)), FEWEST_MEASURED)
