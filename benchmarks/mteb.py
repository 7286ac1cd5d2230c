"""The same mteb, the same tasks, two models of the same weights: scores and seconds.

Tasks: Banking77 as a local classification task, STS-B's test pairs as a local STS task. Sides:
tenor (its default: bf16 where the CPU has it), tenor in fp32, and sentence-transformers with its
defaults, which is how mteb itself runs a model. Seconds are those of mteb's whole evaluation of a
task whose data are read; of them, those of encoding. The rest is mteb's own work: on Banking77 the
ten classifiers that it fits and scores. Tenor's tasks are those of `tenor evaluate mteb`, which let
mteb read each label once; sentence-transformers' are mteb's own.

Needs the extra `mteb` in the benchmark's environment.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks._data import MODEL, model_folder, read
from benchmarks._sides import THREADS, Side, first_peak, median, ratios, serve, write

SIDES = ("tenor", "tenor fp32", "sentence-transformers")
TASKS = {"banking77": ("train", "test"), "stsb": ("test",)}


def write_tasks(folder: Path, every: int) -> None:
    """The tasks as folders, every n-th row of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, splits in TASKS.items():
        (folder / name).mkdir()
        for split in splits:
            rows = pa.table(read(name, split))
            rows = rows.take(list(range(0, len(rows), every)))
            pq.write_table(rows, folder / name / f"{split}.parquet")


def side(name: str, folder: str) -> None:
    import torch

    import mteb
    from tenor.evaluation.local_tasks import find_local_task
    from tenor.evaluation.mteb_data import local_mteb_task
    from tenor.evaluation.mteb_tasks import chosen_tasks

    torch.set_num_threads(THREADS)
    model: Any
    if name == "sentence-transformers":
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(model_folder(), device="cpu")
    else:
        from tenor import Embedder
        from tenor.evaluation.mteb_models import MtebEmbedder

        dtype = "fp32" if name.endswith("fp32") else "auto"
        embedder = Embedder.load(MODEL, device="cpu", dtype=dtype)

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        path = Path(folder) / request["task"]
        if name == "sentence-transformers":
            task = local_mteb_task(find_local_task(path))
        else:
            [task] = chosen_tasks([], path, "eng-Latn")
        # What Tenor remembers of a task must not help in the next turn.
        measured = model if name == "sentence-transformers" else MtebEmbedder(embedder)
        start = time.perf_counter()
        result = mteb.evaluate(
            measured,
            task,
            cache=None,
            encode_kwargs={"show_progress_bar": False},
            show_progress_bar=False,
            co2_tracker=False,
        )
        seconds = time.perf_counter() - start
        [found] = result.task_results
        [scores] = found.scores["test"]
        encoding = [
            phase["end"] - phase["start"]
            for phase in found.evaluation_phases or []
            if phase["name"].startswith("Encoding")
        ]
        return {
            "task": request["task"],
            "seconds": seconds,
            "encoding_seconds": sum(encoding),
            "rate": 1 / seconds,
            "encoding_rate": 1 / sum(encoding),
            "metric": task.metadata.main_score,
            "score": scores["main_score"],
        }

    warnings.simplefilter("ignore")  # what mteb and its libraries say about each other
    turn({"task": "stsb"})
    serve({}, turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side")
    parser.add_argument("--folder")
    parser.add_argument("--every", type=int, default=1, help="take every n-th row")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    if given.side:
        side(given.side, given.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(Path(folder), given.every)
        sides = [Side("mteb", name, ["--folder", folder]) for name in SIDES]
        for name in TASKS:
            measure(name, sides, given.turns, given.every)
        for one in sides:
            one.close()


def measure(name: str, sides: list[Side], turns: int, every: int) -> None:
    for one in sides:
        one.turns.clear()
    for number in range(turns):
        for one in sides:
            found = one.turn({"task": name})
            said = f"{found['metric']} {found['score']:.6f}, {found['seconds']:.2f} s"
            said += f", {found['encoding_seconds']:.2f} s of them encoding"
            print(f"turn {number + 1}: {name}: {one.name}: {said}", flush=True)
    peer = sides[-1]
    rows = [
        {
            "side": one.name,
            "metric": one.turns[0]["metric"],
            "score": one.turns[0]["score"],
            "score_minus_peer": one.turns[0]["score"] - peer.turns[0]["score"],
            "seconds": [turn["seconds"] for turn in one.turns],
            "encoding_seconds": [turn["encoding_seconds"] for turn in one.turns],
            "median_seconds": median(one, "seconds"),
            "peak_mib": first_peak(one),
            # How many times quicker than the peer, of the sides that are ours.
            "faster": None if one is peer else ratios(one, peer),
            "encoding_faster": None if one is peer else ratios(one, peer, "encoding_rate"),
        }
        for one in sides
    ]
    for row in rows:
        print(row)
    write(f"mteb_{name}", {"every": every, "turns": turns, "sides": rows})


if __name__ == "__main__":
    main()
