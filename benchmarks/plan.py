"""Does a recipe take as long as `tenor plan` says? Estimated against real seconds and memory.

For each data set the plan is made as a user makes it, in a process of its own; the first recipe it
recommends that trains in steps is then run by the very command the plan gave, with `--max-steps`
(`--steps` of few-shot training) added, so that it takes minutes. The plan is not told of that: its
own figures are scaled to so few steps, that is

    estimated = seconds − step × (S − s) − evaluation × (E − e) − saving × (E − e)

with S steps and E evaluations as planned, s and e as they are in the shortened run (those batches
included that a run tries before it starts). What is fixed (starting, loading, saving) thus weighs
more than in a whole run, and an error in it shows more. The real seconds are the process's, from
its start to its end; real memory is the process's peak.

Data: medquad (pairs), banking77 (labelled texts), conll2003 (tagged words), stsb (scored pairs).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._data import FOLDER
from benchmarks._sides import THREADS, write

SETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # splits, further flags of the plan
    "medquad": (
        ("train", "validation"),
        ("--columns.anchor", "question", "--columns.positive", "answer"),
    ),
    "banking77": (("train", "test"), ()),
    "conll2003": (("train", "validation"), ()),
    "stsb": (("train", "validation"), ()),
}
AROUND = 1  # evaluation before; the others come once an epoch


@dataclass
class Ended:
    """What a process wrote on stdout, its seconds, and its peak of memory in bytes."""

    out: str
    seconds: float
    peak: int


def tenor(*arguments: str) -> Ended:
    """Run a command of ours in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS)}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "tenor", *arguments],
        stdout=subprocess.PIPE, env=environment, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"tenor {shlex.join(arguments)} failed")
    return Ended(out, time.perf_counter() - start, usage.ru_maxrss * 1024)


def files(name: str, folder: Path, rows: int) -> list[str]:
    """The splits of a set; with `rows`, that many of each, for trying."""
    import numpy as np
    import pyarrow.parquet as pq

    found = []
    for split in SETS[name][0]:
        path = FOLDER / name / f"{split}.parquet"
        if rows:
            table = pq.read_table(path)
            kept = np.linspace(0, len(table) - 1, min(rows, len(table))).astype(int)
            path = folder / f"{split}.parquet"
            pq.write_table(table.take(kept), path)
        found.append(str(path))
    return found


def training_recipe(plan: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The first recipe with steps, and its training command's arguments."""
    for recipe in plan["recipes"]:
        if recipe["estimate"]["steps"] and recipe["estimate"]["seconds"]:
            for line in recipe["commands"]:
                words = shlex.split(line)
                if words[1] == "train":
                    return recipe, words[1:]
    sys.exit("the plan recommends nothing that trains in steps")


def shortened(told: dict[str, Any], steps: int) -> float:
    """The plan's seconds, scaled to fewer steps."""
    from tenor.recipes.plan_estimate import SAVING
    from tenor.training.probe import tried_batches

    planned, epochs = told["steps"], told["evaluations"] - AROUND
    fewer = planned + tried_batches(planned) - steps - tried_batches(steps)
    left_out = epochs - math.ceil(steps * epochs / planned)
    between = left_out * ((told["evaluation_seconds"] or 0.0) + SAVING)
    return float(told["seconds"] - told["seconds_per_step"] * fewer - between)


def compare(name: str, steps: int, rows: int) -> dict[str, Any]:
    """Plan for a set, train what the plan says, and hold one against the other."""
    with tempfile.TemporaryDirectory(prefix="tenor-plan-") as scratch:
        folder = Path(scratch)
        made = tenor("plan", *files(name, folder, rows), *SETS[name][1], "--json",
                     "--runs", str(folder / "runs"))  # fmt: skip
        recipe, command = training_recipe(json.loads(made.out))
        told = recipe["estimate"]
        steps = min(steps, told["steps"])
        flag = "--steps" if command[1] == "few-shot" else "--max-steps"
        ran = tenor(*command, flag, str(steps), "--json")
        result = json.loads(ran.out)
    estimated = shortened(told, steps)
    stage = result["stages"]["contrastive"] if command[1] == "few-shot" else result
    return {
        "data": name,
        "recipe": recipe["name"],
        "steps": stage["steps"],
        "planned_steps": told["steps"],
        "planned_seconds": told["seconds"],
        "estimated_seconds": estimated,
        "real_seconds": ran.seconds,
        "real_to_estimated": ran.seconds / estimated,
        "estimated_seconds_per_step": told["seconds_per_step"],
        "estimated_gib": told["gib"],
        "real_gib": ran.peak / 2**30,
        "plan_took_seconds": made.seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rows", type=int, default=0, help="of each file, for trying; 0 for all")
    given = parser.parse_args()
    found = []
    for name in given.sets:
        found.append(compare(name, given.steps, given.rows))
        print(found[-1], flush=True)
    write(
        "plan",
        {
            "threads": THREADS, "steps": given.steps, "rows": given.rows or "all",
            "estimate": "the plan's own figures, scaled to the steps that were run",
            "data": found,
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
