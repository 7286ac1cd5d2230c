"""The published experiments of `examples/`, run whole from the default model, all-MiniLM-L6-v2.

Each is run by `tenor reproduce NAME --model all-MiniLM-L6-v2 --data …`, in a process of its own.
With its result the entry of `examples/measured.json` is written, which `tenor reproduce --list`
shows; `mnr-nli` alone was published for this model, so that the others' figures are not those of
the published model. NLI pairs are those of `nli_train_pool`, which stands in for SNLI and MultiNLI.
`banking77-mteb` needs the extra `mteb`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._data import FOLDER, MODEL
from benchmarks._sides import RESULTS, THREADS, write
from benchmarks.plan import tenor

MEASURED = Path(__file__).resolve().parents[1] / "src" / "tenor" / "examples" / "measured.json"


def note(name: str) -> None:
    """Put a result into measured.json, in the place of what this benchmark had put there."""
    result = json.loads((RESULTS / f"reproduce_{name}.json").read_text())
    source = f"benchmarks/results/reproduce_{name}.json"
    measured: dict[str, list[dict[str, Any]]] = json.loads(MEASURED.read_text())
    asked = result["published"] or result["figures"]  # where figures were published, those alone
    entry = {
        "model": result["model"],
        "on": result["on"],
        "figures": {
            key: round(value, 4) for key, value in result["figures"].items() if key in asked
        },
        "complete": True,
        "how": f"the whole experiment, seed {result['seed']}",
        "source": source,
        "commit": result["commit"],
    }
    kept = [one for one in measured.get(name, []) if one["source"] != source]
    measured[name] = [entry, *kept]
    MEASURED.write_text(json.dumps(measured, indent=2) + "\n")


def main() -> None:
    from tenor.recipes.experiments import experiments

    known = list(experiments())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=known)
    parser.add_argument("--rows", type=int, help="of each file to train on, for trying")
    parser.add_argument("--note", action="store_true", help="of results that are there, only that")
    given = parser.parse_args()
    for name in given.names:
        if given.note:
            note(name)
            continue
        with tempfile.TemporaryDirectory() as scratch:
            tried = [] if given.rows is None else ["--max-rows", str(given.rows)]
            ran = tenor(
                "reproduce", name, "--model", MODEL, "--data", str(FOLDER),
                "--out", f"{scratch}/out", "--json", *tried,
            )  # fmt: skip
        said = json.loads(ran.out)
        kept = ("model", "published_model", "on", "figures", "published", "seed", "max_rows")
        write(
            f"reproduce_{name}",
            {
                "threads": THREADS, "seconds": ran.seconds, "peak_mib": ran.peak / 2**20,
                **{key: said[key] for key in kept},
            },
        )  # fmt: skip
        print(name, said["figures"], f"{ran.seconds:.0f} s", flush=True)
        if given.rows is None:
            note(name)


if __name__ == "__main__":
    main()
